"""Run the task that each message names; on the schedule, send messages to those whose time comes or that lost one."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from functools import cache
from typing import Any

from aws_lambda_powertools import Logger, Metrics
from aws_lambda_powertools.metrics import MetricUnit
from aws_lambda_powertools.utilities.typing import LambdaContext

from sluice.aws.sqs_batch import QueueStep, StepResult
from sluice.backoff import TASK_STEP_FAILED
from sluice.deadline import Deadline
from sluice.tasks.operations import send_due
from sluice.tasks.services import TaskServices
from sluice.tasks.table import TaskTable

logger = Logger()
metrics = Metrics()


@cache
def _services() -> TaskServices:
    return TaskServices.from_env(os.environ)


@cache
def _step() -> QueueStep:
    services = _services()
    worker = services.worker()
    queue_url = services.settings.task_queue_url

    def act(message: Mapping[str, Any], deadline: Deadline) -> StepResult:
        return StepResult(worker.run(str(message["task_id"]), deadline))

    return QueueStep(act, services.sqs, queue_url, "Tasks", in_threads=True, backoff=TASK_STEP_FAILED)


def _send_due(deadline: Deadline) -> None:
    services = _services()
    # Only what there is: a metric costs by the hour in which it was sent (CloudWatch: Pricing).
    if count := send_due(services.settings, TaskTable(services.table), services.sqs, time.time(), deadline):
        metrics.add_metric("TasksSentAgain", MetricUnit.Count, count)
        metrics.flush_metrics()


@logger.inject_lambda_context
def handler(event: dict[str, Any], context: LambdaContext) -> Mapping[str, Any]:
    if "Records" in event:
        return _step().process(event, context)
    _send_due(Deadline.of(context))
    return {}
