"""Holding jobs for what stops all work until a person acts, told of once however many jobs it hits."""

from __future__ import annotations

from collections.abc import Sequence

from sluice.errors import ConditionFailed
from sluice.jobs.model import Hold, Job, JobStatus
from sluice.jobs.notices.announce import announce_incident
from sluice.jobs.services import Services

_PREFIX = "incident:"
# A job moves on its own account now and then while it is being held.
_TRIES = 5


def incident_of(job: Job) -> str | None:
    """Return the kind of the incident that holds a job; None where none does."""
    if job.status is not JobStatus.HELD or job.hold is None or not job.hold.kind.startswith(_PREFIX):
        return None
    return job.hold.kind.removeprefix(_PREFIX)


def hold_for_incident(services: Services, job: Job, kind: str, reason: str) -> None:
    """Hold a job that met a systemic failure; tell a person unless that was done. May be called again and again.

    ``kind`` is the API's error type, followed by ":" and the model where it concerns one. A crash in between is mended
    by the poller, which calls ``tell_of_incident`` for held jobs.
    """
    held = _hold(services, job.job_id, Hold(_PREFIX + kind, reason))
    tell_of_incident(services, kind, reason, [held or job])


def tell_of_incident(services: Services, kind: str, reason: str, jobs: Sequence[Job]) -> bool:
    """Open the incident where it is not open; tell of it where nobody did, and say whether that was so."""
    if not services.incidents.open_incident(kind, reason):
        return False
    announce_incident(services, kind, reason, jobs)
    services.incidents.mark_told(kind)
    return True


def _hold(services: Services, job_id: str, hold: Hold) -> Job | None:
    for _ in range(_TRIES):
        job = services.table.job(job_id)
        if job is None or job.status is JobStatus.HELD or job.status.final:
            return job
        try:
            return services.table.hold(job, hold, services.now())
        except ConditionFailed:
            continue
    return None
