"""The routes of jobs: HTTP in, one call, JSON out."""

from __future__ import annotations

from urllib.parse import unquote

from aws_lambda_powertools.event_handler import Response
from aws_lambda_powertools.event_handler.api_gateway import Router

from sluice.api import json_response, operators_only
from sluice.errors import NotFound
from sluice.jobs.api.views import job_view, progress_view
from sluice.jobs.batches.control import cancel_job, release_job
from sluice.jobs.model import Job
from sluice.jobs.progress import average_batch_seconds, progress_of
from sluice.jobs.services import Services


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
        data = [job_view(job) for job in self._services.table.open() if isinstance(job, Job)]
        return json_response(200, {"data": data})

    def read(self, job_id: str) -> Response[str]:
        services, job_id = self._services, unquote(job_id)
        job = services.table.job(job_id)
        if job is None:
            raise NotFound(f"There is no job {job_id}.")
        batch_seconds = average_batch_seconds(services.table.table)
        progress = progress_of(job, services.table.shards(job_id), batch_seconds, services.now())
        return json_response(200, {**job_view(job), "progress": progress_view(progress)})

    def release(self, job_id: str) -> Response[str]:
        return json_response(200, job_view(release_job(self._services, unquote(job_id))))

    def cancel(self, job_id: str) -> Response[str]:
        return json_response(202, job_view(cancel_job(self._services, unquote(job_id))))
