"""The routes of jobs: HTTP in, one call, JSON out."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any
from urllib.parse import unquote

from aws_lambda_powertools.event_handler import Response
from aws_lambda_powertools.event_handler.api_gateway import Router

from sluice.errors import NotFound
from sluice.http.api import json_response, operators_only
from sluice.jobs.control import cancel_job, release_job
from sluice.jobs.model import Job
from sluice.jobs.progress import JobProgress, average_batch_seconds, progress_of
from sluice.jobs.services import Services
from sluice.timestamps import rfc3339


class JobRoutes:
    """Hang ``router`` into the API."""

    def __init__(self, services: Services) -> None:
        self.router = Router()
        self._services = services
        only = [operators_only]
        self.router.get("/v1/jobs", middlewares=only)(self.list)
        self.router.get("/v1/jobs/<job_id>", middlewares=only)(self.read)
        self.router.post("/v1/jobs/<job_id>/release", middlewares=only)(self.release)
        self.router.post("/v1/jobs/<job_id>/cancel", middlewares=only)(self.cancel)

    def list(self) -> Response[str]:
        """List the jobs that are open; one that has ended is found by its id, or in the Outbox."""
        data = [job_view(job) for job in self._services.jobs.open() if isinstance(job, Job)]
        return json_response(200, {"data": data})

    def read(self, job_id: str) -> Response[str]:
        services, job_id = self._services, unquote(job_id)
        job = services.jobs.find(job_id)
        if job is None:
            raise NotFound(f"There is no job {job_id}.")
        batch_seconds = average_batch_seconds(services.dynamodb)
        progress = progress_of(job, services.shards.of_job(job_id), batch_seconds, services.now())
        return json_response(200, {**job_view(job), "progress": progress_view(progress)})

    def release(self, job_id: str) -> Response[str]:
        return json_response(200, job_view(release_job(self._services, unquote(job_id))))

    def cancel(self, job_id: str) -> Response[str]:
        return json_response(202, job_view(cancel_job(self._services, unquote(job_id))))


def job_view(job: Job) -> dict[str, Any]:
    """Show a job: times as RFC 3339, costs in US dollars, estimated."""
    view: dict[str, Any] = {
        "id": job.job_id,
        "type": "job",
        "status": str(job.status),
        "bucket": job.upload.bucket,
        "key": job.upload.key,
        "version": job.upload.version,
        "received_at": rfc3339(job.received_at),
        "started_at": rfc3339(job.started_at),
        "finished_at": rfc3339(job.finished_at),
        "cancel_requested": job.cancel_requested,
        "hold": asdict(job.hold) if job.hold else None,
        "failure": job.failure,
        "plan": None,
        "tally": asdict(job.tally) if job.tally else None,
    }
    if job.plan:
        view["plan"] = {name: value for name, value in asdict(job.plan).items() if name != "manifest_key"}
    return view


def progress_view(progress: JobProgress) -> dict[str, Any]:
    """Show progress: whole seconds."""
    left = progress.seconds_left
    return {
        **asdict(progress),
        "elapsed": round(progress.elapsed),
        "seconds_left": None if left is None else round(left),
    }
