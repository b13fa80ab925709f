"""Finish the job that each message names."""

from __future__ import annotations

import os

from sluice.aws.sqs_batch import QueueStep, queue_handler
from sluice.jobs.finish.finish import finish
from sluice.jobs.services import Services


def _step() -> QueueStep:
    services = Services.from_env(os.environ)
    return QueueStep(
        lambda message, _deadline: finish(services, message), services.sqs, services.settings.finish_queue_url
    )


handler = queue_handler(_step)
