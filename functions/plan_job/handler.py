"""Plan what was dropped in the Inbox, and do what people ask by dropping commands."""

from __future__ import annotations

import os
from functools import cache
from typing import Any

from aws_lambda_powertools import Logger
from aws_lambda_powertools.utilities.batch import BatchProcessor, EventType, process_partial_response
from aws_lambda_powertools.utilities.data_classes.sqs_event import SQSRecord
from aws_lambda_powertools.utilities.typing import LambdaContext

from sluice.jobs.plan.events import parse_message, receive
from sluice.jobs.plan.model_check import ModelCatalogue
from sluice.jobs.plan.plan import Planner
from sluice.jobs.redelivery import retried_soon
from sluice.jobs.services import Services

# What is left of an invocation when reading stops: time to close a shard, look for repeated ids and hand over.
HAND_OVER_SECONDS = 60

logger = Logger()
processor = BatchProcessor(event_type=EventType.SQS, raise_on_entire_batch_failure=False)


@cache
def services() -> Services:
    return Services.from_env(os.environ)


@cache
def catalogue() -> ModelCatalogue:
    return ModelCatalogue(services().claude)


def plan_record(record: SQSRecord, lambda_context: LambdaContext) -> None:
    def may_go_on() -> bool:
        return lambda_context.get_remaining_time_in_millis() > HAND_OVER_SECONDS * 1000

    with retried_soon(services().queues, services().settings.plan_queue_url, record, logger):
        planner = Planner(services(), catalogue(), may_go_on)
        for arrival in parse_message(record.body):
            logger.info("arrival", outcome=receive(planner, arrival))


@logger.inject_lambda_context
def handler(event: dict[str, Any], context: LambdaContext) -> Any:
    return process_partial_response(event, plan_record, processor, context)
