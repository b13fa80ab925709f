"""Submit the shard that each message names."""

from __future__ import annotations

import os
from functools import cache
from typing import Any

from aws_lambda_powertools import Logger
from aws_lambda_powertools.utilities.batch import BatchProcessor, EventType, process_partial_response
from aws_lambda_powertools.utilities.data_classes.sqs_event import SQSRecord
from aws_lambda_powertools.utilities.typing import LambdaContext

from sluice.jobs.redelivery import retried_soon
from sluice.jobs.services import Services
from sluice.jobs.submit.submit import submit

logger = Logger()
processor = BatchProcessor(event_type=EventType.SQS, raise_on_entire_batch_failure=False)


@cache
def services() -> Services:
    return Services.from_env(os.environ)


def submit_record(record: SQSRecord, lambda_context: LambdaContext) -> None:
    def seconds_left() -> float:
        return lambda_context.get_remaining_time_in_millis() / 1000

    message = record.json_body
    with retried_soon(services().queues, services().settings.submit_queue_url, record, logger):
        result = submit(services(), message, seconds_left)
    logger.info(
        "shard",
        job_id=message["job_id"],
        shard=message["shard"],
        wave=message["wave"],
        result=result.word,
        batch_id=result.batch_id,
        error_type=result.error_type,
    )


@logger.inject_lambda_context
def handler(event: dict[str, Any], context: LambdaContext) -> Any:
    return process_partial_response(event, submit_record, processor, context)
