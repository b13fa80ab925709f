"""Collect the shard that each message names."""

from __future__ import annotations

import os

from sluice.aws.sqs_batch import QueueStep, queue_handler
from sluice.jobs.collect.collect import collect
from sluice.jobs.services import Services


def _step() -> QueueStep:
    services = Services.from_env(os.environ)
    return QueueStep(
        lambda message, _deadline: collect(services, message), services.sqs, services.settings.collect_queue_url
    )


handler = queue_handler(_step)
