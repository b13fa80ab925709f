"""What a person, or a call of the API, asks of a job: let it go on, or end it."""

from __future__ import annotations

from dataclasses import replace

from sluice.errors import ConditionFailed, Conflict, NotFound
from sluice.jobs.messages import send
from sluice.jobs.model import Job, JobStatus
from sluice.jobs.next_steps import OpenJob, pending_messages
from sluice.jobs.notices.announce import incident_of
from sluice.jobs.notices.text import status_notice
from sluice.jobs.services import Services

# The Outbox keeps work files, the plan among them, for 31 days, and the run of a job may take some of them.
_PLAN_LASTS_SECONDS = 27 * 86_400
_OVER = "It was held for more than 27 days, and its plan is not kept for much longer. Drop the file again."


def release_job(services: Services, job_id: str) -> Job:
    """Let a held job go on from where it stood; one held by an incident ends that, and so the hold of all it hit.

    An incident of that kind that began after this job was held goes on: nobody has decided on it.

    Raises NotFound, or Conflict where it is not held.
    """
    job = _find(services, job_id)
    if job.status is not JobStatus.HELD:
        raise Conflict(f"Job {job_id} is not held: it is {job.status}.")
    if kind := incident_of(job):
        # The poller lets the other jobs go that it holds.
        services.incidents.release(kind, job.incident_number)
    return resume_job(services, job)


def resume_job(services: Services, job: Job) -> Job:
    """Take a job out of its hold and send the messages that take it on; one whose plan has expired fails."""
    now = services.now()
    try:
        if _has_outlived_its_plan(job, now):
            # Not every function that may release a job may also publish: the poller sends the notice.
            return services.jobs.give_up(job, _OVER, status_notice(JobStatus.FAILED), now)
        job = services.jobs.release(job, now)
    except ConditionFailed:
        # Somebody else did; its messages may be under way, and do no harm twice.
        job = _find(services, job.job_id)
    send_pending(services, job)
    return job


def _has_outlived_its_plan(job: Job, now: float) -> bool:
    """Return whether a job was held so long before its first shard was made that the plan of its shards is gone."""
    held_at = now if job.held_at is None else job.held_at
    return job.status_before_hold is JobStatus.PLANNED and now - held_at > _PLAN_LASTS_SECONDS


def cancel_job(services: Services, job_id: str) -> Job:
    """End a job: what has not been sent never is, what Claude has finished is kept and counted.

    Its batches are cancelled by the poller, within a minute. Raises NotFound, or Conflict where it has ended.
    """
    before = _find(services, job_id)
    try:
        job = services.jobs.request_cancel(job_id, services.now())
    except ConditionFailed:
        raise Conflict(f"Job {job_id} has ended: it is {before.status}.") from None
    if job.status is JobStatus.HELD:
        # A crash before this is mended by the poller.
        return resume_job(services, job)
    if before.status is not JobStatus.RECEIVED:
        # One that was just received is being read; a message would have it read once more.
        send_pending(services, job)
    return job


def send_pending(services: Services, job: Job) -> int:
    """Send all the messages that take a job on from where it stands; return how many."""
    return send(services, pending_messages(OpenJob(job, tuple(services.shards.of_job(job.job_id)))))


def _find(services: Services, job_id: str) -> Job:
    job = services.jobs.find(job_id)
    if job is None:
        raise NotFound(f"There is no job {job_id}.")
    return job


def activate(services: Services, job: Job) -> Job:
    """planned -> running, and on to what comes next. Can be repeated after a crash at any line, and side by side."""
    if job.status is JobStatus.PLANNED and job.plan:
        now = services.now()
        shards = services.outbox.read_shards(job.plan.manifest_key)
        services.shards.create(replace(shard, moved_at=now) for shard in shards)
        try:
            job = services.jobs.start(job.job_id, job.plan.shards, now)
        except ConditionFailed:
            job = services.jobs.find(job.job_id) or job
    if job.status is JobStatus.RUNNING:
        send_pending(services, job)
    return job
