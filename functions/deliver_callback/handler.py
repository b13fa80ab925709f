"""Deliver the callback of the task that each message names."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from sluice.aws.sqs_batch import QueueStep, StepResult, queue_handler
from sluice.backoff import TASK_STEP_FAILED
from sluice.deadline import Deadline
from sluice.tasks.services import TaskServices


def _step() -> QueueStep:
    services = TaskServices.from_env(os.environ)
    courier = services.courier(services.task_callbacks())
    queue_url = services.settings.callback_queue_url

    def act(message: Mapping[str, Any], deadline: Deadline) -> StepResult:
        return StepResult(courier.deliver(str(message["task_id"]), deadline))

    return QueueStep(act, services.sqs, queue_url, "Callbacks", in_threads=True, backoff=TASK_STEP_FAILED)


handler = queue_handler(_step)
