"""The states of shards in the table: each method is one transition, and one conditional write.

A transition that finds another state than the one it starts from raises ConditionFailed and changes nothing: somebody
else was there first.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from sluice.aws.dynamodb import Put, Table, Update
from sluice.errors import ConditionFailed
from sluice.jobs.model import SHARD_TRANSITIONS, Job, Outcome, Shard, ShardRef, ShardStatus
from sluice.jobs.table_items import KEEP_SECONDS, job_from_item, key_of, outcome_values, shard_from_item, shard_item
from sluice.table_keys import SHARD_PREFIX, batch_key, job_key
from sluice.transitions import move


@dataclass(frozen=True, slots=True)
class ShardTable:
    table: Table

    # Reading

    def find(self, ref: ShardRef) -> Shard | None:
        item = self.table.get(key_of(ref))
        return shard_from_item(item) if item else None

    def of_job(self, job_id: str) -> Iterator[Shard]:
        """Yield the shards of a job, waves together, in the order of the input."""
        return map(shard_from_item, self.table.query(job_key(job_id).pk, SHARD_PREFIX))

    def owns_batch(self, batch_id: str) -> bool:
        return self.table.get(batch_key(batch_id)) is not None

    # A shard's way

    def create(self, shards: Iterable[Shard]) -> None:
        """Put the shards of a planned job, those that are there already left as they are."""
        for shard in shards:
            try:
                self.table.put(Put(shard_item(shard)))
            except ConditionFailed:
                continue

    def begin_submission(self, shard: Shard, now: float, lease_seconds: float, incidents_seen: int = 0) -> Shard:
        """planned -> submitting: the intent, written before the call is made."""
        changes = {"intent_at": now, "lease_until": now + lease_seconds, "incidents_seen": incidents_seen}
        return self._apply("begin_submission", Update(key_of(shard.ref), set=changes), now)

    def give_back(self, shard: Shard, now: float, not_before: float) -> Shard:
        """submitting | adopting -> planned: it is certain that no batch was made."""
        remove = ("intent_at", "lease_until", "candidates", "ruled_out")
        return self._apply("give_back", _of_intent(shard, {"not_before": not_before}, remove), now)

    def wake(self, shard: Shard, now: float) -> Shard:
        """Note that a shard that has waited without a message has been given one."""
        update = Update(key_of(shard.ref), set={"not_before": shard.due_at}, where={"moved_at": shard.moved_at})
        return self._apply("wake", update, now)

    def end_call(self, shard: Shard, now: float) -> Shard:
        """Note that the call of a submission is over, though not what came of it: its lease ends."""
        return self._apply("end_call", _of_intent(shard, {"lease_until": now}), now)

    def begin_adoption(self, shard: Shard, candidates: Sequence[str], now: float) -> Shard:
        """submitting -> adopting, with all the batches that may be the shard's."""
        return self._apply("begin_adoption", _of_intent(shard, {"candidates": list(candidates)}), now)

    def rule_out(self, shard: Shard, candidate: str, now: float) -> Shard:
        """Note that a candidate is not the shard's batch."""
        return self._apply("rule_out", _of_intent(shard, {"ruled_out": [*shard.ruled_out, candidate]}), now)

    def record_batch(self, shard: Shard, batch_id: str, now: float) -> Shard:
        """submitting | adopting -> in_progress; the batch is known as this shard's from the same transaction on."""
        changes: dict[str, object] = {"batch_id": batch_id, "submitted_at": now, "moved_at": now}
        update = _of_intent(shard, changes, ("lease_until", "candidates", "ruled_out"))
        expires_at = round(now) + KEEP_SECONDS
        owner = {**batch_key(batch_id).attributes(), **shard.ref.message(), "expires_at": expires_at}
        self.table.transact(move(update, SHARD_TRANSITIONS["record_batch"]), Put(owner))
        changed = replace(shard, status=ShardStatus.IN_PROGRESS, batch_id=batch_id, submitted_at=now, moved_at=now)
        return replace(changed, lease_until=None, candidates=(), ruled_out=())

    def end(self, shard: Shard, now: float) -> Shard:
        """in_progress -> ended."""
        return self._apply("end", Update(key_of(shard.ref), set={"ended_at": now}), now)

    def collect(self, shard: Shard, outcome: Outcome, next_wave: Shard | None, now: float) -> Job:
        """ended | planned -> collected, together with the shard's next wave or the job's count of open shards.

        Returns the job after it: where no shard is open, the job can be finished.
        """
        changes = {"outcome": outcome_values(outcome), "moved_at": now, "collected_at": now}
        update = Update(
            key_of(shard.ref), set=changes | {"expires_at": round(now) + KEEP_SECONDS}, remove=("open", "open_at")
        )
        collected = move(update, SHARD_TRANSITIONS["collect"], seen=shard.status)
        job = job_key(shard.ref.job_id)
        if next_wave:
            self.table.transact(collected, Put(shard_item(next_wave)), Update(job, set={"moved_at": now}))
        else:
            self.table.transact(collected, Update(job, set={"moved_at": now}, add={"open_shards": -1}))
        return job_from_item(self.table.get(job) or {})

    def _apply(self, name: str, update: Update, now: float) -> Shard:
        moved = move(replace(update, set={**update.set, "moved_at": now}), SHARD_TRANSITIONS[name])
        return shard_from_item(self.table.update(moved))


def _of_intent(shard: Shard, changes: dict[str, object], remove: tuple[str, ...] = ()) -> Update:
    """Change a shard only as long as the intent that the caller saw is the present one."""
    return Update(key_of(shard.ref), set=changes, remove=remove, where={"intent_at": shard.intent_at})
