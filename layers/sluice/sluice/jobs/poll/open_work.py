"""All open work of one poll, and what of it is due: shards to reconcile, lost batches, notices. Without I/O.

Which messages take a job on, and when a job is stuck or late, is in ``jobs.next_steps``.
"""

from __future__ import annotations

from collections.abc import Container, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace

from sluice.claude.batches import MessageBatch
from sluice.jobs.messages import QueueMessage, Step
from sluice.jobs.model import Job, NoticeState, Shard, ShardStatus
from sluice.jobs.next_steps import OpenJob, reconcilable_at
from sluice.settings import JobSettings


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

    def __bool__(self) -> bool:
        return bool(self.jobs or self.shards)

    def open_jobs(self) -> Iterator[OpenJob]:
        for job_id, job in self.jobs.items():
            yield OpenJob(job, tuple(self.shards.get(job_id, ())))

    def with_status(self, status: ShardStatus) -> Iterator[Shard]:
        return (shard for shards in self.shards.values() for shard in shards if shard.status is status)


def unresolved(shard: Shard) -> tuple[str, ...]:
    """Return the candidates of an adopting shard that have not been ruled out."""
    return tuple(candidate for candidate in shard.candidates if candidate not in shard.ruled_out)


def reconciliations_due(
    work: OpenWork, seen: Mapping[str, MessageBatch], gone: Iterable[str], now: float, settings: JobSettings
) -> Iterator[QueueMessage]:
    """Yield the messages of the shards that can be reconciled further.

    These are the submitting ones whose batch, if there is one, is listed by now, and the adopting ones of which a
    candidate has ended or is gone, or none is left.
    """
    away = set(gone)
    for shard in work.with_status(ShardStatus.SUBMITTING):
        if now >= reconcilable_at(shard, settings.reconcile_after_seconds):
            yield QueueMessage(Step.SUBMIT, shard.ref.message())
    for shard in work.with_status(ShardStatus.ADOPTING):
        left = unresolved(shard)
        if not left or any(each in away or (each in seen and seen[each].ended) for each in left):
            yield QueueMessage(Step.SUBMIT, shard.ref.message())


def is_lost(shard: Shard, gone: Container[str | None], now: float, settings: JobSettings) -> bool:
    """Return whether Claude does not know a shard's batch, long after it was made."""
    running = shard.status is ShardStatus.IN_PROGRESS
    return running and shard.batch_id in gone and now - shard.moved_at > settings.stuck_after_minutes * 60


def all_notices_sent(job: Job) -> bool:
    """Return whether a job has ended and all has been told of it, so that there is nothing left to do for it."""
    return job.status.final and NoticeState.PENDING not in job.notices.values() and not job.calls_back


def as_of_last_movement(open_job: OpenJob) -> Job:
    """Return the job with ``moved_at`` covering its shards too, as its notices show it."""
    return replace(open_job.job, moved_at=open_job.last_movement)
