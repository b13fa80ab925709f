"""Deliver the callbacks of a batch of messages."""

from __future__ import annotations

import os
from collections.abc import Mapping
from functools import cache
from typing import Any

from aws_lambda_powertools import Logger, Metrics
from aws_lambda_powertools.utilities.typing import LambdaContext

from sluice.tasks.batch import TaskBatch
from sluice.tasks.services import TaskServices

logger = Logger()
metrics = Metrics()


@cache
def _batch() -> TaskBatch:
    services = TaskServices.from_env(os.environ)
    queue_url = services.settings.callback_queue_url
    return TaskBatch(services.callback_delivery().deliver, services.queues, queue_url, "Callbacks", logger, metrics)


@logger.inject_lambda_context
@metrics.log_metrics
def handler(event: dict[str, Any], context: LambdaContext) -> Mapping[str, Any]:
    return _batch().process(event, context)
