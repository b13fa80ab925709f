"""The routes of jobs: HTTP in, one call, JSON out."""

from __future__ import annotations

from typing import Any
from urllib.parse import unquote

from aws_lambda_powertools.event_handler import Response
from aws_lambda_powertools.event_handler.api_gateway import Router

from sluice.errors import InvalidRequest
from sluice.http.api import caller_of, headers_of, json_response
from sluice.http.request import base_url, read_body
from sluice.jobs.model import Job, JobStatus
from sluice.jobs.serve.lists import DEFAULT_PAGE, JobList, parse_filter
from sluice.jobs.serve.reading import JobReading
from sluice.jobs.serve.request import parse_job_request
from sluice.jobs.serve.rows import DEFAULT_ROWS, JobRows
from sluice.jobs.serve.service import JobService
from sluice.jobs.views import job_view


class JobRoutes:
    """Hang ``router`` into the API."""

    def __init__(self, service: JobService) -> None:
        self.router = Router()
        self._service = service
        self._reading = JobReading(service.services)
        self._list = JobList(service.services)
        self._rows = JobRows(service.services)
        self.router.post("/v1/jobs")(self.create)
        self.router.get("/v1/jobs")(self.list)
        self.router.get("/v1/jobs/<job_id>")(self.read)
        self.router.get("/v1/jobs/<job_id>/upload")(self.upload)
        self.router.post("/v1/jobs/<job_id>/upload/complete")(self.complete)
        self.router.get("/v1/jobs/<job_id>/files/<name>")(self.file)
        self.router.get("/v1/jobs/<job_id>/rows")(self.rows)
        self.router.post("/v1/jobs/<job_id>/retry")(self.retry)
        self.router.delete("/v1/jobs/<job_id>")(self.delete)
        self.router.post("/v1/jobs/<job_id>/release")(self.release)
        self.router.post("/v1/jobs/<job_id>/cancel")(self.cancel)

    def create(self) -> Response[str]:
        event = self.router.current_event.raw_event
        policy, as_text = self._service.callback_policy, not event.get("isBase64Encoded")
        request = parse_job_request(self._query, read_body(event), policy, as_text=as_text)
        job = self._service.create(caller_of(self.router), request, headers_of(self.router), base_url(event))
        location = job.ticket.status_url if job.ticket else ""
        return json_response(201, self._with_upload(job), {"location": location})

    def _with_upload(self, job: Job) -> dict[str, Any]:
        if job.status is not JobStatus.AWAITING_UPLOAD:
            return job_view(job)
        return {**job_view(job), "upload": self._service.uploads.describe(job)}

    def upload(self, job_id: str) -> Response[str]:
        """Give new links for a file that has not come, or not all of it."""
        job = self._find(job_id)
        after = whole_number(self._query, "after", 0)
        return json_response(200, self._service.uploads.describe(job, after))

    def complete(self, job_id: str) -> Response[str]:
        return json_response(200, job_view(self._service.uploads.complete(self._find(job_id))))

    def list(self) -> Response[str]:
        """List jobs, newest first: the caller's own, or all where an operator asks."""
        query, caller = self._query, caller_of(self.router)
        wanted = parse_filter(query)
        limit = whole_number(query, "limit", DEFAULT_PAGE)
        page = self._list.page(None if caller.is_operator else caller.owner, wanted, limit, query.get("after_id"))
        data = [job_view(job) for job in page.jobs]
        return json_response(200, {"data": data, "has_more": page.last_id is not None, "last_id": page.last_id})

    def read(self, job_id: str) -> Response[str]:
        return json_response(200, self._reading.view(self._find(job_id), base_url(self.router.current_event.raw_event)))

    def file(self, job_id: str, name: str) -> Response[str]:
        """Lead to a file, by a link that lives for minutes."""
        link = self._reading.link(self._find(job_id), unquote(name))
        return json_response(302, link, {"location": link["url"], "cache-control": "no-store"})

    def rows(self, job_id: str) -> Response[str]:
        """Give a page of rows, each with what became of it."""
        query, job = self._query, self._find(job_id)
        after, limit = whole_number(query, "after", 0), whole_number(query, "limit", DEFAULT_ROWS)
        return json_response(200, self._rows.page(job, after, limit, query.get("status")))

    def release(self, job_id: str) -> Response[str]:
        return json_response(200, job_view(self._service.release(caller_of(self.router), unquote(job_id))))

    def retry(self, job_id: str) -> Response[str]:
        event = self.router.current_event.raw_event
        job = self._service.retry(caller_of(self.router), unquote(job_id), base_url(event))
        return json_response(201, job_view(job), {"location": job.ticket.status_url if job.ticket else ""})

    def delete(self, job_id: str) -> Response[str]:
        return json_response(202, job_view(self._service.delete(caller_of(self.router), unquote(job_id))))

    def cancel(self, job_id: str) -> Response[str]:
        return json_response(202, job_view(self._service.cancel(caller_of(self.router), unquote(job_id))))

    def _find(self, job_id: str) -> Job:
        return self._service.find(caller_of(self.router), unquote(job_id))

    @property
    def _query(self) -> dict[str, str]:
        return dict(self.router.current_event.query_string_parameters or {})


def whole_number(query: dict[str, str], name: str, default: int) -> int:
    """Read a parameter of the query. Raises InvalidRequest."""
    try:
        return int(query.get(name) or default)
    except ValueError:
        raise InvalidRequest(f"{name}: has to be a whole number.") from None
