"""Submit the shard that each message names."""

from __future__ import annotations

import os
from functools import partial

from sluice.aws.sqs_batch import QueueStep, queue_handler
from sluice.jobs.services import Services
from sluice.jobs.submit.submit import submit


def _step() -> QueueStep:
    services = Services.from_env(os.environ)
    return QueueStep(partial(submit, services), services.sqs, services.settings.submit_queue_url)


handler = queue_handler(_step)
