"""Plan what was dropped in the Inbox, and do what people ask by dropping commands."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from sluice.aws.sqs_batch import QueueStep, StepResult, queue_handler
from sluice.deadline import Deadline
from sluice.jobs.plan.events import receive_message
from sluice.jobs.plan.model_check import ModelCatalogue
from sluice.jobs.plan.plan import Planner
from sluice.jobs.services import Services


def _step() -> QueueStep:
    services = Services.from_env(os.environ)
    catalogue = ModelCatalogue(services.claude)

    def act(message: Mapping[str, Any], deadline: Deadline) -> StepResult:
        return receive_message(Planner(services, catalogue, deadline), message)

    return QueueStep(act, services.sqs, services.settings.plan_queue_url)


handler = queue_handler(_step)
