"""The states of jobs and shards in the table: each method is one transition, and one conditional write.

A transition that finds another state than the one it starts from raises ConditionFailed and changes nothing: somebody
else was there first. A counter that decides that the last shard is done changes in the same transaction as the shard.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace

from sluice.aws.table import Put, Table, Update
from sluice.errors import ConditionFailed
from sluice.jobs.model import Hold, Job, JobStatus, Outcome, Plan, Shard, ShardRef, ShardStatus, Upload
from sluice.jobs.records import (
    OPEN_PARTITION,
    batch_key,
    is_shard,
    job_from_item,
    job_item,
    job_key,
    outcome_values,
    shard_from_item,
    shard_item,
    shard_key,
)

# How long a job stays in the table after its end; its results stay in the Outbox as the bucket's lifecycle says.
KEEP_SECONDS = 90 * 86_400
_LIVE = (JobStatus.RECEIVED, JobStatus.PLANNED, JobStatus.RUNNING)


@dataclass(frozen=True, slots=True)
class JobTable:
    table: Table

    # Reading

    def job(self, job_id: str) -> Job | None:
        item = self.table.get(job_key(job_id))
        return job_from_item(item) if item else None

    def shard(self, ref: ShardRef) -> Shard | None:
        item = self.table.get(shard_key(ref))
        return shard_from_item(item) if item else None

    def shards(self, job_id: str) -> Iterator[Shard]:
        """Yield the shards of a job, waves together, in the order of the input."""
        return map(shard_from_item, self.table.query(job_key(job_id).pk, "SHARD#"))

    def open(self) -> Iterator[Job | Shard]:
        """Yield all jobs and shards that are open: jobs first. One query a megabyte, and one where nothing is open."""
        for item in self.table.open(OPEN_PARTITION):
            yield shard_from_item(item) if is_shard(item) else job_from_item(item)

    def owns_batch(self, batch_id: str) -> bool:
        return self.table.get(batch_key(batch_id)) is not None

    # A job's way

    def claim(self, upload: Upload, now: float, settings_key: str | None = None) -> Job:
        """Make the job of an upload, or return the one that an earlier notification of it made."""
        job = Job(upload, JobStatus.RECEIVED, received_at=now, moved_at=now, settings_key=settings_key)
        try:
            self.table.put(Put(job_item(job)))
        except ConditionFailed:
            return self.job(upload.job_id) or job
        return job

    def record_plan(self, job_id: str, plan: Plan, now: float, hold: Hold | None = None) -> Job:
        """received -> planned, or held before it is: one plan wins, however often the file was read."""
        changes: dict[str, object] = {"plan": asdict(plan), "status": JobStatus.PLANNED}
        if hold:
            changes |= _held(hold, JobStatus.PLANNED)
        return self._move(job_id, now, changes, JobStatus.RECEIVED)

    def create_shards(self, shards: Iterable[Shard]) -> None:
        """Put the shards of a planned job, those that are there already left as they are."""
        for shard in shards:
            try:
                self.table.put(Put(shard_item(shard)))
            except ConditionFailed:
                continue

    def start(self, job_id: str, shards: int, now: float) -> Job:
        """planned -> running, once all of its shards are in the table."""
        changes = {"status": JobStatus.RUNNING, "open_shards": shards, "started_at": now}
        return self._move(job_id, now, changes, JobStatus.PLANNED)

    def hold(self, job: Job, hold: Hold, now: float) -> Job:
        """received | planned | running -> held. The caller tells a person, where it was the one who held it."""
        if job.status not in _LIVE:
            raise ConditionFailed(f"Job {job.job_id} is {job.status}.")
        return self._move(job.job_id, now, _held(hold, job.status), job.status)

    def release(self, job: Job, now: float) -> Job:
        """held -> the state before."""
        if job.status_before_hold is None:
            raise ConditionFailed(f"Job {job.job_id} is not held.")
        update = Update(
            job_key(job.job_id),
            set={"status": job.status_before_hold, "moved_at": now, "released_hold": job.hold.kind if job.hold else ""},
            remove=("hold", "status_before_hold"),
            where={"status": JobStatus.HELD},
        )
        return job_from_item(self.table.update(update))

    def request_cancel(self, job_id: str, now: float) -> Job:
        """Mark a job for its end. A held one goes back to where it was, to be ended there."""
        job = job_from_item(
            self.table.update(
                Update(
                    job_key(job_id),
                    set={"cancel_requested": True, "moved_at": now},
                    where={"status": (*_LIVE, JobStatus.HELD)},
                )
            )
        )
        return self.release(job, now) if job.status is JobStatus.HELD else job

    def finish(self, job_id: str, status: JobStatus, notice: str, now: float) -> Job:
        """running -> a final state, when no shard is open; its notice is pending from the same write on."""
        changes: dict[str, object] = {"status": status, "finished_at": now, "expires_at": round(now) + KEEP_SECONDS}
        update = Update(
            job_key(job_id),
            set={**changes, "moved_at": now, "notices": {notice: "pending"}},
            where={"status": JobStatus.RUNNING, "open_shards": 0},
        )
        return job_from_item(self.table.update(update))

    def fail(self, job_id: str, failure: str, notice: str, now: float) -> Job:
        """received -> failed: nothing in the file can run."""
        changes: dict[str, object] = {
            "status": JobStatus.FAILED,
            "failure": failure,
            "finished_at": now,
            "expires_at": round(now) + KEEP_SECONDS,
            "notices": {notice: "pending"},
        }
        return self._move(job_id, now, changes, JobStatus.RECEIVED)

    def _move(self, job_id: str, now: float, changes: dict[str, object], found: JobStatus) -> Job:
        update = Update(job_key(job_id), set={**changes, "moved_at": now}, where={"status": found})
        return job_from_item(self.table.update(update))

    # A shard's way

    def begin_submission(self, shard: Shard, now: float, lease_seconds: float) -> Shard:
        """planned -> submitting: the intent, written before the call is made."""
        changes = {"status": ShardStatus.SUBMITTING, "intent_at": now, "lease_until": now + lease_seconds}
        return self._move_shard(shard, now, changes, ShardStatus.PLANNED)

    def give_back(self, shard: Shard, now: float, not_before: float) -> Shard:
        """submitting | adopting -> planned: it is certain that no batch was made."""
        update = Update(
            shard_key(shard.ref),
            set={"status": ShardStatus.PLANNED, "moved_at": now, "not_before": not_before},
            remove=("intent_at", "lease_until", "candidates"),
            where={"status": (ShardStatus.SUBMITTING, ShardStatus.ADOPTING), "intent_at": shard.intent_at},
        )
        return shard_from_item(self.table.update(update))

    def begin_adoption(self, shard: Shard, candidates: Sequence[str], now: float, lease_seconds: float) -> Shard:
        """submitting | adopting -> adopting, with the batches that may be the shard's."""
        changes: dict[str, object] = {"status": ShardStatus.ADOPTING, "candidates": list(candidates)}
        changes["lease_until"] = now + lease_seconds
        return self._move_shard(shard, now, changes, ShardStatus.SUBMITTING, ShardStatus.ADOPTING)

    def record_batch(self, shard: Shard, batch_id: str, now: float) -> Shard:
        """submitting | adopting -> in_progress; the batch is known as this shard's from the same transaction on."""
        key = batch_key(batch_id)
        update = Update(
            shard_key(shard.ref),
            set={"status": ShardStatus.IN_PROGRESS, "batch_id": batch_id, "submitted_at": now, "moved_at": now},
            remove=("lease_until", "candidates"),
            where={"status": (ShardStatus.SUBMITTING, ShardStatus.ADOPTING), "intent_at": shard.intent_at},
        )
        owner = {"pk": key.pk, "sk": key.sk, **shard.ref.message(), "expires_at": round(now) + KEEP_SECONDS}
        self.table.transact(update, Put(owner))
        return replace(
            shard, status=ShardStatus.IN_PROGRESS, batch_id=batch_id, submitted_at=now, moved_at=now, candidates=()
        )

    def end(self, shard: Shard, now: float) -> Shard:
        """in_progress -> ended."""
        return self._move_shard(shard, now, {"status": ShardStatus.ENDED, "ended_at": now}, ShardStatus.IN_PROGRESS)

    def collect(self, shard: Shard, outcome: Outcome, next_wave: Shard | None, now: float) -> Job:
        """ended | planned -> collected, together with the shard's next wave or the job's count of open shards.

        Returns the job after it: where no shard is open, the job can be finished.
        """
        collected = Update(
            shard_key(shard.ref),
            set={
                "status": ShardStatus.COLLECTED,
                "outcome": outcome_values(outcome),
                "moved_at": now,
                "collected_at": now,
                "expires_at": round(now) + KEEP_SECONDS,
            },
            remove=("open", "open_at"),
            where={"status": shard.status},
        )
        job = job_key(shard.ref.job_id)
        if next_wave:
            self.table.transact(collected, Put(shard_item(next_wave)), Update(job, set={"moved_at": now}))
        else:
            self.table.transact(collected, Update(job, set={"moved_at": now}, add={"open_shards": -1}))
        return job_from_item(self.table.get(job) or {})

    def _move_shard(self, shard: Shard, now: float, changes: dict[str, object], *found: ShardStatus) -> Shard:
        update = Update(shard_key(shard.ref), set={**changes, "moved_at": now}, where={"status": tuple(found)})
        return shard_from_item(self.table.update(update))

    # Telling people, once each

    def add_notice(self, job_id: str, notice: str) -> bool:
        """Make a notice pending that did not come with a transition; False where there was one already."""
        try:
            self.table.set_entry(job_key(job_id), "notices", notice, "pending", only_new=True)
        except ConditionFailed:
            return False
        return True

    def notice_sent(self, job: Job, notice: str) -> None:
        """Mark a notice as sent. A job in its final state is then closed: no poll reads it again."""
        self.table.set_entry(job_key(job.job_id), "notices", notice, "sent")
        if job.status.final:
            self.table.update(Update(job_key(job.job_id), remove=("open", "open_at")))


def _held(hold: Hold, before: JobStatus) -> dict[str, object]:
    return {"status": JobStatus.HELD, "hold": asdict(hold), "status_before_hold": before}
