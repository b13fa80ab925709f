"""Finish the job that each message names."""

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
from sluice.jobs.finish.finish import finish
from sluice.jobs.services import Services

logger = Logger()


@cache
def _step() -> QueueStep:
    services = Services.from_env(os.environ)

    def act(record: SQSRecord, _deadline: Deadline) -> StepResult:
        return finish(services, record.json_body)

    return QueueStep(act, services.queues, services.settings.finish_queue_url, logger, Metrics())


@logger.inject_lambda_context
def handler(event: dict[str, Any], context: LambdaContext) -> Mapping[str, Any]:
    return _step().process(event, context)
