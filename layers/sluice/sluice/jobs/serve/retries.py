"""Running again what failed: the requests of ``errors.jsonl`` as a job of their own."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace

import msgspec

from sluice.access.guard import Caller
from sluice.aws.s3 import ObjectInfo
from sluice.aws.s3_links import ObjectLinks
from sluice.errors import ConditionFailed, Conflict, ObjectNotFound
from sluice.jobs.job_settings import read_settings
from sluice.jobs.model import Job, JobStatus, Ticket, Upload
from sluice.jobs.outbox import JSON
from sluice.jobs.services import Services
from sluice.jobs.tickets import OPEN_SECONDS, announced_key, new_ticket_id, take_arrival

# S3: CopyObject copies up to 5 GB.
_MAX_COPY_BYTES = 5 * 1000**3
# A retry in one of these states has run nothing, or was given up: what failed may be run once more.
_GIVEN_UP = (JobStatus.CANCELLED, JobStatus.FAILED, JobStatus.EXPIRED, JobStatus.DELETING, JobStatus.DELETED)


@dataclass(frozen=True, slots=True)
class Retries:
    """Raises Conflict where nothing failed, or not yet, and AwsError."""

    services: Services

    def retry(self, caller: Caller, job: Job, jobs_url: str) -> Job:
        """Make the job of what failed, once: a repeated call finds it. ``jobs_url`` is where jobs are reached."""
        if not job.status.final or job.tally is None or not job.tally.errored:
            raise Conflict(f"Job {job.job_id} is {job.status}, and has no failed requests that could be run again.")
        earlier = self.services.jobs.find(job.retried_as) if job.retried_as else None
        if earlier is None or earlier.status in _GIVEN_UP:
            earlier = self._announce(caller, job, jobs_url)
        if earlier.status is JobStatus.AWAITING_UPLOAD:
            return self._copy(job, earlier)
        return earlier

    def _announce(self, caller: Caller, job: Job, jobs_url: str) -> Job:
        services, now = self.services, self.services.now()
        filename = f"{job.upload.key.rpartition('/')[2].split('.')[0]}-retry.jsonl"
        job_id = new_ticket_id(filename)
        size = self._errors(job).size
        terms, before = caller.terms, job.ticket
        ticket = Ticket(
            size=size,
            open_until=now + OPEN_SECONDS,
            status_url=f"{jobs_url}/{job_id}",
            settings_key=self._keep_settings(job, job_id),
            models=terms.models if terms else before.models if before else (),
            key_name=terms.name if terms else before.key_name if before else "",
            callback_url=before.callback_url if before else None,
            metadata=before.metadata if before else None,
        )
        key = announced_key(job.upload.folder, job_id, filename)
        upload = Upload(services.settings.inbox, key, None, "", size, job_id)
        owner = job.owner or caller.owner
        new = Job(upload, JobStatus.AWAITING_UPLOAD, now, now, created_at=now, owner=owner, ticket=ticket)
        try:
            services.jobs.announce_retry(job, new)
        except ConditionFailed:
            # Another call was first.
            again = services.jobs.find(job.job_id) or job
            found = services.jobs.find(again.retried_as) if again.retried_as else None
            if found is None:
                raise
            return found
        return new

    def _keep_settings(self, job: Job, job_id: str) -> str | None:
        """Keep what of the first job's settings the requests do not say themselves."""
        try:
            folder = read_settings(self.services.outbox, job).folder
        except (ObjectNotFound, ValueError):
            return None
        limits = {name: value for name, value in msgspec.to_builtins(folder.limits).items() if value is not None}
        kept = {
            "betas": list(folder.betas) or None,
            "anthropic_version": folder.anthropic_version,
            "retry_max_tokens": folder.retry_max_tokens,
            "limits": limits or None,
        }
        key = f"work/settings/{job_id}.json"
        given = {name: value for name, value in kept.items() if value is not None}
        self.services.outbox.put(key, json.dumps(given).encode(), JSON)
        return key

    def _errors(self, job: Job) -> ObjectInfo:
        outbox = self.services.outbox
        try:
            found = outbox.s3.head(outbox.bucket, f"{job.job_id}/errors.jsonl")
        except ObjectNotFound:
            raise Conflict(f"Job {job.job_id} has no errors.jsonl any more.") from None
        if found.size > _MAX_COPY_BYTES:
            raise Conflict(f"errors.jsonl of job {job.job_id} has more than 5 GB: upload it as a job of its own.")
        return found

    def _copy(self, job: Job, new: Job) -> Job:
        links = ObjectLinks(self.services.s3, new.upload.bucket, new.upload.key)
        made = links.copy_from(self.services.outbox.bucket, f"{job.job_id}/errors.jsonl", new.upload.size)
        upload = replace(new.upload, version=made.version, etag=made.etag)
        return take_arrival(self.services, upload) or new
