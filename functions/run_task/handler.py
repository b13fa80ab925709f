"""Run the tasks of a batch of messages; on the schedule, look for tasks that lost theirs."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from functools import cache
from typing import Any

from aws_lambda_powertools import Logger, Metrics
from aws_lambda_powertools.metrics import MetricUnit
from aws_lambda_powertools.utilities.typing import LambdaContext

from sluice.tasks.batch import TaskBatch
from sluice.tasks.service import send_again
from sluice.tasks.services import TaskServices
from sluice.tasks.table import TaskTable

logger = Logger()
metrics = Metrics()


@cache
def _services() -> TaskServices:
    return TaskServices.from_env(os.environ)


@cache
def _batch() -> TaskBatch:
    services = _services()
    queue_url = services.settings.task_queue_url
    return TaskBatch(services.worker().run, services.queues, queue_url, "Tasks", logger, metrics)


def _sweep() -> None:
    services = _services()
    count = send_again(services.settings, TaskTable(services.table), services.queues, time.time())
    metrics.add_metric("TasksSentAgain", MetricUnit.Count, count)


@logger.inject_lambda_context
@metrics.log_metrics
def handler(event: dict[str, Any], context: LambdaContext) -> Mapping[str, Any]:
    if "Records" in event:
        return _batch().process(event, context)
    _sweep()
    return {}
