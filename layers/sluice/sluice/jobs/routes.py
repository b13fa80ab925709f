"""The routes of jobs: HTTP in, one call, JSON out.

Whoever builds the API (``sluice.api.build_api``) puts the ``Services`` of jobs under "jobs".
"""

from __future__ import annotations

from typing import Any, cast
from urllib.parse import unquote

from aws_lambda_powertools.event_handler import Response
from aws_lambda_powertools.event_handler.api_gateway import Router

from sluice.api import json_response
from sluice.errors import NotFound
from sluice.jobs.control import cancel_job, release_job
from sluice.jobs.model import Job
from sluice.jobs.progress import average_batch_seconds, progress_of
from sluice.jobs.services import Services
from sluice.jobs.views import job_view, progress_view

router = Router()


def _services() -> Services:
    return cast(Services, router.context["jobs"])


@router.get("/v1/jobs")
def list_jobs() -> Response[str]:
    """List the jobs that are open; one that has ended is found by its id, or in the Outbox."""
    data: list[dict[str, Any]] = [job_view(job) for job in _services().table.open() if isinstance(job, Job)]
    return json_response(200, {"data": data})


@router.get("/v1/jobs/<job_id>")
def read_job(job_id: str) -> Response[str]:
    services, job_id = _services(), unquote(job_id)
    job = services.table.job(job_id)
    if job is None:
        raise NotFound(f"There is no job {job_id}.")
    batch_seconds = average_batch_seconds(services.table.table)
    progress = progress_of(job, services.table.shards(job_id), batch_seconds, services.now())
    return json_response(200, {**job_view(job), "progress": progress_view(progress)})


@router.post("/v1/jobs/<job_id>/release")
def release(job_id: str) -> Response[str]:
    return json_response(200, job_view(release_job(_services(), unquote(job_id))))


@router.post("/v1/jobs/<job_id>/cancel")
def cancel(job_id: str) -> Response[str]:
    return json_response(202, job_view(cancel_job(_services(), unquote(job_id))))
