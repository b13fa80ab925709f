"""Look once at all that is open; the schedule calls each minute."""

from __future__ import annotations

import os
from dataclasses import asdict
from functools import cache
from typing import Any

from aws_lambda_powertools import Logger, Metrics
from aws_lambda_powertools.metrics import MetricUnit
from aws_lambda_powertools.utilities.typing import LambdaContext

from sluice.deadline import Deadline
from sluice.jobs.poll.poll import poll
from sluice.jobs.services import Services

logger = Logger()
metrics = Metrics()


@cache
def services() -> Services:
    return Services.from_env(os.environ)


@logger.inject_lambda_context
def handler(_event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    report = asdict(poll(services(), Deadline.of(context)))
    if any(report.values()):
        logger.info("polled", **report)
    if report["failed"]:
        metrics.add_metric("JobsNotTended", MetricUnit.Count, report["failed"])
        metrics.flush_metrics()
    return report
