"""Serve the API: tasks, jobs and incidents, behind a Function URL."""

from __future__ import annotations

import os
from functools import cache
from typing import Any

from aws_lambda_powertools import Logger
from aws_lambda_powertools.utilities.typing import LambdaContext

from sluice.http.api import Api
from sluice.jobs.api import JobRoutes
from sluice.jobs.serve.service import JobService
from sluice.jobs.services import Services as JobServices
from sluice.tasks.api import TaskRoutes
from sluice.tasks.services import TaskServices

logger = Logger()


@cache
def _api() -> Api:
    services = TaskServices.from_env(os.environ)
    tasks = TaskRoutes(services.door(), services.incidents())
    guard = services.guard()
    jobs = JobRoutes(JobService(JobServices.from_env(os.environ), guard, services.callback_policy()))
    return Api(guard, [tasks.router, jobs.router], services.settings.allowed_origins)


@logger.inject_lambda_context
def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    return _api().answer(event, context)
