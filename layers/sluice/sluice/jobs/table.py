"""The states of jobs in the table: each method is one transition, and one conditional write.

A transition that finds another state than the one it starts from raises ConditionFailed and changes nothing: somebody
else was there first.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace

from sluice.aws.dynamodb import Put, Table, Update
from sluice.errors import ConditionFailed
from sluice.jobs.model import Hold, Job, JobStatus, Outcome, Plan, Shard, ShardRef, ShardStatus, Tally, Upload
from sluice.jobs.table_items import (
    KEEP_SECONDS,
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


@dataclass(frozen=True, slots=True)
class ShardTable:
    table: Table

    def begin_submission(self, shard: Shard, now: float, lease_seconds: float) -> Shard:
        """planned -> submitting: the intent, written before the call is made."""
        changes = {"status": ShardStatus.SUBMITTING, "intent_at": now, "lease_until": now + lease_seconds}
        return self._move_shard(shard, now, changes, ShardStatus.PLANNED)

    def give_back(self, shard: Shard, now: float, not_before: float) -> Shard:
        """submitting | adopting -> planned: it is certain that no batch was made."""
        update = Update(
            shard_key(shard.ref),
            set={"status": ShardStatus.PLANNED, "moved_at": now, "not_before": not_before},
            remove=("intent_at", "lease_until", "candidates", "ruled_out"),
            where={"status": (ShardStatus.SUBMITTING, ShardStatus.ADOPTING), "intent_at": shard.intent_at},
        )
        return shard_from_item(self.table.update(update))

    def end_call(self, shard: Shard, now: float) -> Shard:
        """Note that the call of a submission is over, though not what came of it: its lease ends."""
        return self._move_attempt(shard, now, {"lease_until": now}, ShardStatus.SUBMITTING)

    def begin_adoption(self, shard: Shard, candidates: Sequence[str], now: float) -> Shard:
        """submitting -> adopting, with all the batches that may be the shard's."""
        changes: dict[str, object] = {"status": ShardStatus.ADOPTING, "candidates": list(candidates)}
        return self._move_attempt(shard, now, changes, ShardStatus.SUBMITTING)

    def rule_out(self, shard: Shard, candidate: str, now: float) -> Shard:
        """Note that a candidate is not the shard's batch."""
        changes: dict[str, object] = {"ruled_out": [*shard.ruled_out, candidate]}
        return self._move_attempt(shard, now, changes, ShardStatus.ADOPTING)

    def record_batch(self, shard: Shard, batch_id: str, now: float) -> Shard:
        """submitting | adopting -> in_progress; the batch is known as this shard's from the same transaction on."""
        key = batch_key(batch_id)
        update = Update(
            shard_key(shard.ref),
            set={"status": ShardStatus.IN_PROGRESS, "batch_id": batch_id, "submitted_at": now, "moved_at": now},
            remove=("lease_until", "candidates", "ruled_out"),
            where={"status": (ShardStatus.SUBMITTING, ShardStatus.ADOPTING), "intent_at": shard.intent_at},
        )
        owner = {"pk": key.pk, "sk": key.sk, **shard.ref.message(), "expires_at": round(now) + KEEP_SECONDS}
        self.table.transact(update, Put(owner))
        changed = replace(shard, status=ShardStatus.IN_PROGRESS, batch_id=batch_id, submitted_at=now, moved_at=now)
        return replace(changed, lease_until=None, candidates=(), ruled_out=())

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

    def _move_attempt(self, shard: Shard, now: float, changes: dict[str, object], found: ShardStatus) -> Shard:
        where = {"status": found, "intent_at": shard.intent_at}
        update = Update(shard_key(shard.ref), set={**changes, "moved_at": now}, where=where)
        return shard_from_item(self.table.update(update))

    def _move_shard(self, shard: Shard, now: float, changes: dict[str, object], found: ShardStatus) -> Shard:
        update = Update(shard_key(shard.ref), set={**changes, "moved_at": now}, where={"status": found})
        return shard_from_item(self.table.update(update))


_HOLD = ("hold", "held_at", "status_before_hold")
_LIVE = (JobStatus.RECEIVED, JobStatus.PLANNED, JobStatus.RUNNING)


@dataclass(frozen=True, slots=True)
class JobTable(ShardTable):
    """Jobs and, inherited, their shards."""

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

    def note_planning(self, job_id: str, now: float) -> None:
        """Note that the reading of a file goes on in a new invocation, so that the job does not count as stuck."""
        self._move(job_id, now, {}, JobStatus.RECEIVED)

    def record_plan(
        self,
        job_id: str,
        plan: Plan,
        now: float,
        hold: Hold | None = None,
        *,
        settings_key: str | None = None,
        notice: str | None = None,
    ) -> Job:
        """received -> planned, or held as it is: one plan wins, however often the file was read, with its settings.

        The ``notice`` of a hold is pending from the same write on.
        """
        changes: dict[str, object] = {"plan": asdict(plan), "status": JobStatus.PLANNED, "moved_at": now}
        if hold:
            changes |= _held(hold, JobStatus.PLANNED, now)
        if settings_key:
            changes["settings_key"] = settings_key
        update = Update(
            job_key(job_id),
            set=changes,
            entries={("notices", notice): "pending"} if notice else {},
            where={"status": JobStatus.RECEIVED},
        )
        return job_from_item(self.table.update(update))

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

    def hold(self, job: Job, hold: Hold, now: float, notice: str | None = None) -> Job:
        """received | planned | running -> held; a ``notice`` is pending from the same write on."""
        if job.status not in _LIVE:
            raise ConditionFailed(f"Job {job.job_id} is {job.status}.")
        update = Update(
            job_key(job.job_id),
            set={**_held(hold, job.status, now), "moved_at": now},
            entries={("notices", notice): "pending"} if notice else {},
            where={"status": job.status},
        )
        return job_from_item(self.table.update(update))

    def release(self, job: Job, now: float) -> Job:
        """held -> the state before. Only the hold that the caller saw ends: of a later one, nobody has decided."""
        if job.status_before_hold is None:
            raise ConditionFailed(f"Job {job.job_id} is not held.")
        update = Update(
            job_key(job.job_id),
            set={"status": job.status_before_hold, "moved_at": now, "released_hold": job.hold.kind if job.hold else ""},
            remove=_HOLD,
            where={"status": JobStatus.HELD, "held_at": job.held_at},
        )
        return job_from_item(self.table.update(update))

    def request_cancel(self, job_id: str, now: float) -> Job:
        """Mark a job for its end. A held one has to be released, to be ended where it was."""
        changes = {"cancel_requested": True, "moved_at": now}
        update = Update(job_key(job_id), set=changes, where={"status": (*_LIVE, JobStatus.HELD)})
        return job_from_item(self.table.update(update))

    def finish(self, job_id: str, status: JobStatus, tally: Tally, notice: str, now: float) -> Job:
        """running -> a final state, when no shard is open; its notice is pending from the same write on."""
        changes: dict[str, object] = {"status": status, "finished_at": now, "expires_at": round(now) + KEEP_SECONDS}
        changes["tally"] = asdict(tally)
        update = Update(
            job_key(job_id),
            set={**changes, "moved_at": now, "notices": {notice: "pending"}},
            where={"status": JobStatus.RUNNING, "open_shards": 0},
        )
        return job_from_item(self.table.update(update))

    def fail(self, job_id: str, failure: str, notice: str, now: float) -> Job:
        """received -> failed: nothing in the file can run."""
        return self._move(job_id, now, _failed(failure, notice, now), JobStatus.RECEIVED)

    def give_up(self, job: Job, failure: str, notice: str, now: float) -> Job:
        """held -> failed: it can be released no more."""
        update = Update(
            job_key(job.job_id),
            set={**_failed(failure, notice, now), "moved_at": now},
            remove=_HOLD,
            where={"status": JobStatus.HELD, "held_at": job.held_at},
        )
        return job_from_item(self.table.update(update))

    def _move(self, job_id: str, now: float, changes: dict[str, object], found: JobStatus) -> Job:
        update = Update(job_key(job_id), set={**changes, "moved_at": now}, where={"status": found})
        return job_from_item(self.table.update(update))

    # Telling people, once each

    def add_notice(self, job_id: str, notice: str, now: float) -> bool:
        """Make a notice pending that did not come with a transition; False where there was one already."""
        update = Update(
            job_key(job_id),
            set={"noticed_at": now},
            entries={("notices", notice): "pending"},
            condition="attribute_not_exists(#notices.#entry0)",
        )
        try:
            self.table.update(update)
        except ConditionFailed:
            return False
        return True

    def record_resend(self, job: Job, now: float) -> Job:
        """Note that the messages of a job that does not move were sent again."""
        resends = job.resends + 1 if (job.resent_at or 0) >= job.moved_at else 1
        update = Update(
            job_key(job.job_id), set={"resent_at": now, "resends": resends}, where={"resent_at": job.resent_at}
        )
        return job_from_item(self.table.update(update))

    def notice_sent(self, job: Job, notice: str) -> None:
        """Mark a notice as sent. The last one of a job in its final state closes it: no poll reads it again."""
        self._end_notice(job, notice, "sent")

    def notice_dropped(self, job: Job, notice: str) -> None:
        """Mark a notice as never to be sent, since what it says has become untrue."""
        self._end_notice(job, notice, "dropped")

    def _end_notice(self, job: Job, notice: str, state: str) -> None:
        others = any(each == "pending" for name, each in job.notices.items() if name != notice)
        closing = ("open", "open_at") if job.status.final and not others else ()
        self.table.update(Update(job_key(job.job_id), entries={("notices", notice): state}, remove=closing))

    def close(self, job: Job) -> None:
        """Let no poll read a job again that is in its final state and of which all has been told."""
        final = tuple(status for status in JobStatus if status.final)
        self.table.update(Update(job_key(job.job_id), remove=("open", "open_at"), where={"status": final}))


def _held(hold: Hold, before: JobStatus, now: float) -> dict[str, object]:
    return {"status": JobStatus.HELD, "hold": asdict(hold), "held_at": now, "status_before_hold": before}


def _failed(failure: str, notice: str, now: float) -> dict[str, object]:
    return {
        "status": JobStatus.FAILED,
        "failure": failure,
        "finished_at": now,
        "expires_at": round(now) + KEEP_SECONDS,
        "notices": {notice: "pending"},
    }
