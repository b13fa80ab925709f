"""Finish the job that each message names."""

from __future__ import annotations

import os
from functools import cache
from typing import Any

from aws_lambda_powertools import Logger, Metrics
from aws_lambda_powertools.metrics import MetricUnit
from aws_lambda_powertools.utilities.batch import BatchProcessor, EventType, process_partial_response
from aws_lambda_powertools.utilities.data_classes.sqs_event import SQSRecord
from aws_lambda_powertools.utilities.typing import LambdaContext

from sluice.jobs.finish.finish import finish
from sluice.jobs.redelivery import retried_soon
from sluice.jobs.services import Services

logger = Logger()
metrics = Metrics()
processor = BatchProcessor(event_type=EventType.SQS, raise_on_entire_batch_failure=False)


@cache
def services() -> Services:
    return Services.from_env(os.environ)


def finish_record(record: SQSRecord) -> None:
    message = record.json_body
    job_id = message["job_id"]
    with retried_soon(services().queues, services().settings.finish_queue_url, record, logger):
        result = finish(services(), message)
    if result.problems:
        logger.error("books do not balance", job_id=job_id, problems=list(result.problems))
        metrics.add_metric("BooksMismatch", MetricUnit.Count, 1)
        metrics.flush_metrics()
    logger.info("job", job_id=job_id, result=result.word, status=result.status)


def handler(event: dict[str, Any], context: LambdaContext) -> Any:
    return process_partial_response(event, finish_record, processor, context)
