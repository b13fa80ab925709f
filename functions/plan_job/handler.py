"""Plan what was dropped in the Inbox, and do what people ask by dropping commands."""

from __future__ import annotations

import os
from collections.abc import Mapping
from functools import cache
from typing import Any

from aws_lambda_powertools import Logger, Metrics
from aws_lambda_powertools.utilities.data_classes.sqs_event import SQSRecord
from aws_lambda_powertools.utilities.typing import LambdaContext

from sluice.aws.sqs_batch import QueueStep, StepResult
from sluice.deadline import Deadline
from sluice.jobs.plan.events import receive_message
from sluice.jobs.plan.model_check import ModelCatalogue
from sluice.jobs.plan.plan import Planner
from sluice.jobs.services import Services

logger = Logger()


@cache
def _step() -> QueueStep:
    services = Services.from_env(os.environ)
    catalogue = ModelCatalogue(services.claude)

    def act(record: SQSRecord, deadline: Deadline) -> StepResult:
        return receive_message(Planner(services, catalogue, deadline), record.body)

    return QueueStep(act, services.queues, services.settings.plan_queue_url, logger, Metrics())


@logger.inject_lambda_context
def handler(event: dict[str, Any], context: LambdaContext) -> Mapping[str, Any]:
    return _step().process(event, context)
