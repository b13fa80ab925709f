"""Delete the job that each message names."""

from __future__ import annotations

import os
from functools import partial

from sluice.aws.sqs_batch import QueueStep, queue_handler
from sluice.jobs.delete.delete import delete
from sluice.jobs.services import Services


def _step() -> QueueStep:
    services = Services.from_env(os.environ)
    return QueueStep(partial(delete, services), services.sqs, services.settings.delete_queue_url)


handler = queue_handler(_step)
