"""The states of shards in the table: each method is one transition, and one conditional write.

A transition that finds another state than the one it starts from raises ConditionFailed and changes nothing. What
follows an intent names that intent, so that nobody can end a later attempt than the one it looked at.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from sluice.aws.table import Put, Table, Update
from sluice.jobs.model import Job, Outcome, Shard, ShardStatus
from sluice.jobs.records import (
    KEEP_SECONDS,
    batch_key,
    job_from_item,
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
            remove=("intent_at", "lease_until", "candidates", "refuted"),
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

    def refute(self, shard: Shard, candidate: str, now: float) -> Shard:
        """Note that a candidate is not the shard's batch."""
        changes: dict[str, object] = {"refuted": [*shard.refuted, candidate]}
        return self._move_attempt(shard, now, changes, ShardStatus.ADOPTING)

    def record_batch(self, shard: Shard, batch_id: str, now: float) -> Shard:
        """submitting | adopting -> in_progress; the batch is known as this shard's from the same transaction on."""
        key = batch_key(batch_id)
        update = Update(
            shard_key(shard.ref),
            set={"status": ShardStatus.IN_PROGRESS, "batch_id": batch_id, "submitted_at": now, "moved_at": now},
            remove=("lease_until", "candidates", "refuted"),
            where={"status": (ShardStatus.SUBMITTING, ShardStatus.ADOPTING), "intent_at": shard.intent_at},
        )
        owner = {"pk": key.pk, "sk": key.sk, **shard.ref.message(), "expires_at": round(now) + KEEP_SECONDS}
        self.table.transact(update, Put(owner))
        changed = replace(shard, status=ShardStatus.IN_PROGRESS, batch_id=batch_id, submitted_at=now, moved_at=now)
        return replace(changed, lease_until=None, candidates=(), refuted=())

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
