"""Deliver the callback of the task, or of the job, that each message names."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from sluice.aws.sqs_batch import QueueStep, StepResult, queue_handler
from sluice.backoff import TASK_STEP_FAILED
from sluice.deadline import Deadline
from sluice.jobs.callbacks import JobCallbacks
from sluice.jobs.table import JobTable
from sluice.tasks.services import TaskServices


def _step() -> QueueStep:
    services = TaskServices.from_env(os.environ)
    of_tasks = services.courier(services.task_callbacks())
    of_jobs = services.courier(JobCallbacks(JobTable(services.table)))
    queue_url = services.settings.callback_queue_url

    def act(message: Mapping[str, Any], deadline: Deadline) -> StepResult:
        if "job_id" in message:
            return StepResult(of_jobs.deliver(str(message["job_id"]), deadline))
        return StepResult(of_tasks.deliver(str(message["task_id"]), deadline))

    return QueueStep(act, services.sqs, queue_url, "Callbacks", in_threads=True, backoff=TASK_STEP_FAILED)


handler = queue_handler(_step)
