"""What takes a job on from its present state: the messages to send, and whether they are overdue. Without I/O.

Whoever wants a job to go on (the poller, a release, a cancellation) asks here which messages that takes. Each step can
be repeated without harm, so a message that may have been lost is simply sent again.
"""

from __future__ import annotations

from dataclasses import dataclass

from sluice.jobs.messages import QueueMessage, Step
from sluice.jobs.model import UNDECIDED, HoldKind, Job, JobStatus, Shard, ShardStatus
from sluice.settings import JobSettings

# Once its messages were sent again this often and it still has not moved, a job needs a person.
RESENDS_BEFORE_NOTICE = 2
# And once they were so often, each time after twice as long, it is held: by default, after about four days. Jobs wait
# for hours behind others that are very large.
MOST_RESENDS = 6
# For a person, for its file, or for nothing but its end.
_WAITING = (JobStatus.HELD, JobStatus.AWAITING_UPLOAD, JobStatus.DELETING)


@dataclass(frozen=True, slots=True)
class OpenJob:
    """A job with those of its shards that are open."""

    job: Job
    shards: tuple[Shard, ...]

    @property
    def last_movement(self) -> float:
        """When the job or one of its shards last moved; later, where a shard is not due until then. Epoch seconds."""
        return max([self.job.moved_at, *(max(shard.moved_at, shard.due_at) for shard in self.shards)])


def job_message(job: Job) -> QueueMessage | None:
    """Return the message that takes the job itself on; None where its shards have to move first, or a person."""
    match job.status:
        case JobStatus.RECEIVED | JobStatus.PLANNED:
            return QueueMessage(Step.PLAN, {"job_id": job.job_id, "checkpoint": job.checkpoint_key})
        case JobStatus.RUNNING if job.open_shards == 0:
            return QueueMessage(Step.FINISH, {"job_id": job.job_id})
        case JobStatus.DELETING:
            return QueueMessage(Step.DELETE, {"job_id": job.job_id})
        case _:
            return None


def shard_message(job: Job, shard: Shard) -> QueueMessage | None:
    """Return the message that takes a shard on; None where it waits for Claude, or its job for a person."""
    match shard.status:
        case ShardStatus.PLANNED if job.status is JobStatus.RUNNING:
            return QueueMessage(Step.COLLECT if job.cancel_requested else Step.SUBMIT, shard.ref.message())
        case ShardStatus.SUBMITTING | ShardStatus.ADOPTING:
            return QueueMessage(Step.SUBMIT, shard.ref.message())
        case ShardStatus.ENDED:
            return QueueMessage(Step.COLLECT, shard.ref.message())
        case _:
            return None


def pending_messages(open_job: OpenJob) -> list[QueueMessage]:
    """Return the messages that take a job on from where it stands.

    Undecided shards are left out: the poller has them reconciled when the time has come (see ``reconcilable_at``).
    """
    own = job_message(open_job.job)
    decided = (shard for shard in open_job.shards if shard.status not in UNDECIDED)
    return [
        queue_message
        for queue_message in (own, *(shard_message(open_job.job, shard) for shard in decided))
        if queue_message
    ]


def reconcilable_at(shard: Shard, reconcile_after_seconds: float) -> float:
    """Return from when on Claude's list holds any batch that this shard's intent led to, in epoch seconds.

    The call was over when its lease was; what it made is listed ``reconcile_after_seconds`` later at most.
    """
    return (shard.lease_until or 0.0) + reconcile_after_seconds


def is_stuck(open_job: OpenJob, now: float, settings: JobSettings) -> bool:
    """Return whether a job could go on, but neither moved nor had its messages sent again for too long.

    What a person has been asked to look into is left alone.
    """
    job = open_job.job
    if job.status is JobStatus.HELD and job.hold and job.hold.kind == HoldKind.STUCK:
        return False
    patience = settings.stuck_after_minutes * 60 * 2 ** resends_in_vain(open_job)
    last = max(open_job.last_movement, open_job.job.resent_at or 0.0)
    return now - last > patience and bool(pending_messages(open_job))


def resends_in_vain(open_job: OpenJob) -> int:
    """Return how often the messages of a job were sent again since it, or one of its shards, last moved."""
    job = open_job.job
    return job.resends if (job.resent_at or 0.0) > open_job.last_movement else 0


def is_stuck_despite_resends(open_job: OpenJob) -> bool:
    """Return whether sending its messages again did not help. A held job is never stuck: it waits for a person."""
    job = open_job.job
    if job.status is JobStatus.HELD:
        return False
    return resends_in_vain(open_job) >= RESENDS_BEFORE_NOTICE


def is_late(job: Job, now: float, settings: JobSettings) -> bool:
    """Return whether a job should have finished by now. One that waits for a person, or for its file, is never late."""
    waits = job.status.final or job.status in _WAITING
    return not waits and now - job.received_at > settings.late_after_hours * 3600
