"""Deliver the callback of the task that each message names."""

from __future__ import annotations

import os
from collections.abc import Mapping
from functools import cache
from typing import Any

from aws_lambda_powertools import Logger, Metrics
from aws_lambda_powertools.utilities.data_classes.sqs_event import SQSRecord
from aws_lambda_powertools.utilities.typing import LambdaContext

from sluice.aws.sqs_batch import QueueStep, StepResult
from sluice.backoff import TASK_STEP_FAILED
from sluice.deadline import Deadline
from sluice.tasks.services import TaskServices

logger = Logger()


@cache
def _step() -> QueueStep:
    services = TaskServices.from_env(os.environ)
    delivery = services.callback_delivery()
    queue_url = services.settings.callback_queue_url

    def act(record: SQSRecord, deadline: Deadline) -> StepResult:
        return StepResult(delivery.deliver(str(record.json_body["task_id"]), deadline))

    return QueueStep(
        act, services.queues, queue_url, logger, Metrics(), "Callbacks", in_threads=True, backoff=TASK_STEP_FAILED
    )


@logger.inject_lambda_context
def handler(event: dict[str, Any], context: LambdaContext) -> Mapping[str, Any]:
    return _step().process(event, context)
