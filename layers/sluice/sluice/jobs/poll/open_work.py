"""What of the open work needs a push: messages that were lost, waits that are over, notices that are due. Without I/O.

A message is sent again only where nothing of its job has moved for longer than it should, so that a job whose shards
queue up behind each other is left alone; what waits for a known moment is taken up when that has come.
"""

from __future__ import annotations

from collections.abc import Container, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace

from sluice.claude.batches import MessageBatch
from sluice.jobs.messages import OpenJob, QueueMessage, Step, pending_messages
from sluice.jobs.model import Job, JobStatus, NoticeState, Shard, ShardStatus
from sluice.jobs.submit.reconcile import trusted_at
from sluice.settings import JobSettings

# A function that makes a notice pending sends it within this time, or has died.
NOTICE_SECONDS = 120.0
# A job that was pushed so often without moving is told of.
RESENDS_BEFORE_NOTICE = 2


@dataclass(slots=True)
class OpenWork:
    """All that is open: ``shards`` by their job's id."""

    jobs: dict[str, Job] = field(default_factory=dict)
    shards: dict[str, list[Shard]] = field(default_factory=dict)

    @classmethod
    def of(cls, items: Iterable[Job | Shard]) -> OpenWork:
        work = cls()
        for item in items:
            if isinstance(item, Job):
                work.jobs[item.job_id] = item
            else:
                work.shards.setdefault(item.ref.job_id, []).append(item)
        return work

    def open_jobs(self) -> Iterator[OpenJob]:
        for job_id, job in self.jobs.items():
            yield OpenJob(job, tuple(self.shards.get(job_id, ())))

    def with_status(self, status: ShardStatus) -> Iterator[Shard]:
        return (shard for shards in self.shards.values() for shard in shards if shard.status is status)


def unresolved(shard: Shard) -> tuple[str, ...]:
    """Return the candidates of an adopting shard that have still to be looked into."""
    return tuple(candidate for candidate in shard.candidates if candidate not in shard.ruled_out)


def reconciliations_due(
    work: OpenWork, seen: Mapping[str, MessageBatch], gone: Iterable[str], now: float, settings: JobSettings
) -> Iterator[QueueMessage]:
    """Yield the messages of shards whose intent can be cleared up now: listed for sure, or a candidate has ended."""
    away = set(gone)
    for shard in work.with_status(ShardStatus.SUBMITTING):
        if now >= trusted_at(shard, settings.reconcile_after_seconds):
            yield QueueMessage(Step.SUBMIT, shard.ref.message())
    for shard in work.with_status(ShardStatus.ADOPTING):
        left = unresolved(shard)
        if not left or any(each in away or (each in seen and seen[each].ended) for each in left):
            yield QueueMessage(Step.SUBMIT, shard.ref.message())


def is_stuck(open_job: OpenJob, now: float, settings: JobSettings) -> bool:
    """Return whether a job has work that should move by itself and did not, since its last push either."""
    patience = settings.stuck_after_minutes * 60
    last = max(open_job.last_movement, open_job.job.resent_at or 0.0)
    return now - last > patience and bool(pending_messages(open_job))


def is_lost(shard: Shard, gone: Container[str | None], now: float, settings: JobSettings) -> bool:
    """Return whether Claude does not know a shard's batch, long after it was made."""
    running = shard.status is ShardStatus.IN_PROGRESS
    return running and shard.batch_id in gone and now - shard.moved_at > settings.stuck_after_minutes * 60


def is_stuck_despite_resends(open_job: OpenJob) -> bool:
    """Return whether pushing a stuck job was to no avail. Whoever has to release a held one knows."""
    job = open_job.job
    if job.status is JobStatus.HELD:
        return False
    return job.resends >= RESENDS_BEFORE_NOTICE and (job.resent_at or 0.0) > open_job.last_movement


def is_late(job: Job, now: float, settings: JobSettings) -> bool:
    """Return whether a job should have finished by now. A held one waits for a person, who knows."""
    waits = job.status.final or job.status is JobStatus.HELD
    return not waits and now - job.received_at > settings.late_after_hours * 3600


def has_overdue_notice(job: Job, now: float) -> bool:
    """Return whether a notice has been pending for longer than the one who made it so may take."""
    since = max(job.moved_at, job.noticed_at or 0.0)
    return now - since > NOTICE_SECONDS and NoticeState.PENDING in job.notices.values()


def all_notices_sent(job: Job) -> bool:
    """Return whether a job is over and announced, so that there is nothing left to look at."""
    return job.status.final and NoticeState.PENDING not in job.notices.values()


def as_of_last_movement(open_job: OpenJob) -> Job:
    """Return the job with the movement of its shards counted as its own, as a person sees it."""
    return replace(open_job.job, moved_at=open_job.last_movement)
