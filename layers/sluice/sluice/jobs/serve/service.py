"""What a caller can do with jobs: make, list, read, steer. A job is its owner's; operators may do all.

What was dropped in the Inbox has no owner, and is the operators' alone. A job of somebody else's is not found.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass

from sluice.access.guard import Caller, Guard
from sluice.callbacks.addresses import AddressPolicy
from sluice.errors import AwsError, ConditionFailed, Conflict, Forbidden, NotFound
from sluice.http.idempotency import Idempotency, parse_idempotency_key
from sluice.jobs.control import cancel_job, release_job, send_pending
from sluice.jobs.model import Job, JobStatus, Ticket, Upload
from sluice.jobs.outbox import JSON
from sluice.jobs.serve.request import JobRequest
from sluice.jobs.serve.retries import Retries
from sluice.jobs.serve.uploads import Uploads
from sluice.jobs.services import Services
from sluice.jobs.tickets import OPEN_SECONDS, announced_key, new_ticket_id


@dataclass(frozen=True, slots=True)
class JobService:
    """Raises RequestErrors, and AwsErrors."""

    services: Services
    guard: Guard
    callback_policy: AddressPolicy

    @property
    def uploads(self) -> Uploads:
        return Uploads(self.services)

    def create(self, caller: Caller, request: JobRequest, headers: Mapping[str, str], base_url: str) -> Job:
        """Announce a job, and take its file where it came along; a repeated call finds what its first one made."""
        key = parse_idempotency_key(headers)
        self.guard.admit(caller)
        self._refuse_budgets(caller)
        idempotency = Idempotency.of(caller.owner, key, request.fingerprint) if key else None
        job = self._repeated(idempotency) or self._announce(caller, request, idempotency, base_url)
        if request.file is None or job.status is not JobStatus.AWAITING_UPLOAD:
            return job
        try:
            return self.uploads.take(job, request.file)
        except AwsError:
            # The caller gets an error and will ask again with nothing to tie the calls together: one must not run.
            if idempotency is None:
                with suppress(AwsError):
                    self.services.jobs.withdraw(job.job_id, self.services.now())
            raise

    def _refuse_budgets(self, caller: Caller) -> None:
        if caller.terms and caller.terms.budget is not None:
            raise Forbidden(
                f"The key {caller.terms.name!r} has a budget, to which jobs are not held: use a key without one, or "
                "another door."
            )

    def _announce(self, caller: Caller, request: JobRequest, idempotency: Idempotency | None, base_url: str) -> Job:
        services, job = self.services, self._new_job(caller, request, base_url)
        if request.settings and job.ticket and job.ticket.settings_key:
            services.outbox.put(job.ticket.settings_key, request.settings, JSON)
        try:
            services.jobs.announce_upload(job, idempotency)
        except AwsError as error:
            if isinstance(error, ConditionFailed) and idempotency and (first := self._repeated(idempotency)):
                self.uploads.drop(job)
                return first
            # The answer to a write may be lost, and a try to write the same again then finds it done.
            if services.jobs.find(job.job_id) is None:
                raise
        return job

    def _new_job(self, caller: Caller, request: JobRequest, base_url: str) -> Job:
        now, job_id = self.services.now(), new_ticket_id(request.filename)
        key = announced_key(request.folder, job_id, request.filename)
        url = f"{self.services.settings.api_base_url.rstrip('/') or base_url}/v1/jobs/{job_id}"
        terms = caller.terms
        ticket = Ticket(
            size=request.size,
            open_until=now + OPEN_SECONDS,
            status_url=url,
            upload_id=None if request.file is not None else self.uploads.begin(key, request.size),
            settings_key=f"work/settings/{job_id}.json" if request.settings else None,
            hold=request.hold,
            models=terms.models if terms else (),
            key_name=terms.name if terms else "",
            callback_url=request.callback_url,
            metadata=request.metadata,
        )
        upload = Upload(self.services.settings.inbox, key, None, "", request.size, job_id)
        return Job(
            upload,
            JobStatus.AWAITING_UPLOAD,
            received_at=now,
            moved_at=now,
            created_at=now,
            owner=caller.owner,
            ticket=ticket,
        )

    def _repeated(self, idempotency: Idempotency | None) -> Job | None:
        """Return the job that an earlier call with the same key made; None where this is the first."""
        first = self.services.jobs.first_call(idempotency) if idempotency else None
        if idempotency is None or first is None:
            return None
        if first.fingerprint != idempotency.fingerprint:
            raise Conflict("Idempotency-Key: it was used before, with another body.")
        job = self.services.jobs.find(first.job_id)
        if job is None:
            raise Conflict("Idempotency-Key: its first job is forgotten; use another key.")
        return job

    def find(self, caller: Caller, job_id: str) -> Job:
        """Find a job that is the caller's to see and to steer. Raises NotFound."""
        job = self.services.jobs.find(job_id)
        owned = job is not None and job.owner is not None and job.owner == caller.owner
        if job is None or not (owned or caller.is_operator):
            raise NotFound(f"There is no job {job_id}.")
        return job

    def release(self, caller: Caller, job_id: str) -> Job:
        """Let a held job go on. Raises Conflict where it is not held, Forbidden where an operator has to decide."""
        job = self.find(caller, job_id)
        if job.hold and job.hold.needs_operator and not caller.is_operator:
            raise Forbidden(f"Job {job_id} waits for an operator of this stack: {job.hold.reason}")
        return release_job(self.services, job_id)

    def retry(self, caller: Caller, job_id: str, base_url: str) -> Job:
        """Run again what failed, as a job of its own. Raises Conflict where nothing did."""
        job = self.find(caller, job_id)
        self.guard.admit(caller)
        self._refuse_budgets(caller)
        url = f"{self.services.settings.api_base_url.rstrip('/') or base_url}/v1/jobs"
        return Retries(self.services).retry(caller, job, url)

    def delete(self, caller: Caller, job_id: str) -> Job:
        """Have all of an ended job deleted. Raises Conflict where it has not ended."""
        job = self.find(caller, job_id)
        if job.status not in (JobStatus.DELETING, JobStatus.DELETED):
            try:
                job = self.services.jobs.request_delete(job, self.services.now())
            except ConditionFailed:
                raise Conflict(
                    f"Job {job_id} is {job.status}: cancel it first, and delete it once it has ended."
                ) from None
        if job.status is JobStatus.DELETING:
            send_pending(self.services, job)
        return job

    def cancel(self, caller: Caller, job_id: str) -> Job:
        """End a job. One whose file has not come ends at once. Raises Conflict where it has ended."""
        job = self.find(caller, job_id)
        if job.status is not JobStatus.AWAITING_UPLOAD:
            return cancel_job(self.services, job_id)
        try:
            job = self.services.jobs.withdraw(job_id, self.services.now())
        except ConditionFailed:
            # Its file has come meanwhile.
            return cancel_job(self.services, job_id)
        self.uploads.drop(job)
        return job
