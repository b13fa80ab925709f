"""When the message of a step that failed comes again.

A queue shows it after its visibility timeout, which has to be long enough for a function that is still at work (Lambda:
six times the function's timeout). A function that knows that it failed need not wait for that.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from aws_lambda_powertools import Logger
from aws_lambda_powertools.utilities.data_classes.sqs_event import SQSRecord

from sluice.aws.sqs import Sqs
from sluice.backoff import STEP_FAILED
from sluice.errors import AwsError, describe_error


@contextmanager
def retried_soon(queues: Sqs, queue_url: str, record: SQSRecord, logger: Logger) -> Iterator[None]:
    """Log what the step raises, with the job and the shard of the message, and let the message come again soon."""
    try:
        yield
    except Exception as failure:
        logger.error("A step failed; its message comes again.", **_named(record), **describe_error(failure))
        receives = int(record.attributes.approximate_receive_count or 1)
        try:
            queues.change_visibility(queue_url, record.receipt_handle, STEP_FAILED.delay(receives))
        except AwsError as error:
            logger.warning("The message comes again after its visibility timeout.", error=str(error))
        raise


def _named(record: SQSRecord) -> dict[str, Any]:
    try:
        message = record.json_body
    except ValueError:
        return {}
    return {name: message[name] for name in ("job_id", "shard", "wave") if name in message}
