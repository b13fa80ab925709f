"""When the message of a step that failed comes again.

A queue shows it after its visibility timeout, which has to be long enough for a function that is still at work (Lambda:
six times the function's timeout). A function that knows that it failed need not wait for that.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from aws_lambda_powertools import Logger
from aws_lambda_powertools.utilities.data_classes.sqs_event import SQSRecord

from sluice.aws.sqs import Sqs
from sluice.errors import AwsError, describe_error

FIRST_SECONDS = 30.0
LONGEST_SECONDS = 1800.0
_FACTOR = 3.0
_SPREAD = 0.25


def delay_after(receives: int) -> float:
    """Return the seconds to wait after a message was received ``receives`` times (from 1), with jitter."""
    seconds = min(FIRST_SECONDS * _FACTOR ** min(receives - 1, 10), LONGEST_SECONDS)
    return seconds * random.uniform(1 - _SPREAD, 1.0)  # noqa: S311  jitter, not a secret


@contextmanager
def retried_soon(queues: Sqs, queue_url: str, record: SQSRecord, logger: Logger) -> Iterator[None]:
    """Log what the step raises, with the job and the shard of the message, and let the message come again soon."""
    try:
        yield
    except Exception as failure:
        logger.error("A step failed; its message comes again.", **_named(record), **describe_error(failure))
        receives = int(record.attributes.approximate_receive_count or 1)
        try:
            queues.change_visibility(queue_url, record.receipt_handle, delay_after(receives))
        except AwsError as error:
            logger.warning("The message comes again after its visibility timeout.", error=str(error))
        raise


def _named(record: SQSRecord) -> dict[str, Any]:
    try:
        message = record.json_body
    except ValueError:
        return {}
    return {name: message[name] for name in ("job_id", "shard", "wave") if name in message}
