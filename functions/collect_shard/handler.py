"""Collect the shard that each message names."""

from __future__ import annotations

import os
from functools import cache
from typing import Any

from aws_lambda_powertools import Logger, Metrics
from aws_lambda_powertools.metrics import MetricUnit
from aws_lambda_powertools.utilities.batch import BatchProcessor, EventType, process_partial_response
from aws_lambda_powertools.utilities.data_classes.sqs_event import SQSRecord
from aws_lambda_powertools.utilities.typing import LambdaContext

from sluice.jobs.collect.collect import Collection, collect
from sluice.jobs.redelivery import retried_soon
from sluice.jobs.services import Services

logger = Logger()
metrics = Metrics()
processor = BatchProcessor(event_type=EventType.SQS, raise_on_entire_batch_failure=False)


@cache
def services() -> Services:
    return Services.from_env(os.environ)


def collect_record(record: SQSRecord) -> None:
    message = record.json_body
    with retried_soon(services().queues, services().settings.collect_queue_url, record, logger):
        result = collect(services(), message)
    count(result)
    logger.info(
        "shard",
        job_id=message["job_id"],
        shard=message["shard"],
        wave=message["wave"],
        result=result.word,
        missing=result.missing,
        error_type=result.error_type,
    )


def count(result: Collection) -> None:
    if result.outcome is None:
        return
    metrics.add_metric("RequestsSucceeded", MetricUnit.Count, result.outcome.succeeded)
    metrics.add_metric("RequestsErrored", MetricUnit.Count, result.outcome.errored)
    metrics.add_metric("RequestsSentAgain", MetricUnit.Count, result.outcome.retried)
    metrics.flush_metrics()


def handler(event: dict[str, Any], context: LambdaContext) -> Any:
    return process_partial_response(event, collect_record, processor, context)
