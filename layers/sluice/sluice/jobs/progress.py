"""Progress that is honest: Claude tells nothing of a batch until all of it has ended, so none of it is made up.

What is known: shards and requests that have ended, the time since the start, and how long the account's batches took
lately. That is kept as a running average in one item, from which the time left is estimated.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from sluice.aws.dynamodb import Table, Update
from sluice.errors import ConditionFailed
from sluice.jobs.model import Job, Shard, ShardStatus
from sluice.table_keys import ESTIMATE_KEY

# The weight of one more batch, so that the average follows the last twenty or so.
_WEIGHT = 0.1
# A batch that has outlasted the average takes, as far as one can say, half as long again as it took until now.
_OVERTIME = 0.5


@dataclass(frozen=True, slots=True)
class JobProgress:
    """How far a job is. Seconds; ``seconds_left`` is None where nothing is known of how long batches take.

    ``shards`` counts shards by where they are, in their latest wave. A request has ended when it will not be sent
    again. ``incomplete`` counts, by stop reason, the answers that are not whole, among those that succeeded.
    """

    shards: dict[str, int]
    waves: int
    requests: int
    requests_ended: int
    succeeded: int
    errored: int
    incomplete: dict[str, int]
    elapsed: float
    seconds_left: float | None


def progress_of(job: Job, shards: Iterable[Shard], batch_seconds: float | None, now: float) -> JobProgress:
    """Sum up a job and all of its shards, of all waves."""
    every = list(shards)
    latest = {shard.ref.shard: shard for shard in sorted(every, key=lambda shard: shard.ref.wave)}
    outcomes = [shard.outcome for shard in every if shard.outcome]
    succeeded, errored = sum(each.succeeded for each in outcomes), sum(each.errored for each in outcomes)
    counts = dict.fromkeys(map(str, ShardStatus), 0)
    for shard in latest.values():
        counts[shard.status] += 1
    return JobProgress(
        shards=counts,
        waves=max((shard.ref.wave + 1 for shard in every), default=0),
        requests=job.plan.requests if job.plan else 0,
        requests_ended=succeeded + errored,
        succeeded=succeeded,
        errored=errored,
        incomplete=dict(sum((Counter(each.incomplete) for each in outcomes), Counter())),
        elapsed=(job.finished_at or now) - job.received_at,
        seconds_left=None if job.status.final else _seconds_left(list(latest.values()), batch_seconds, now),
    )


def _seconds_left(latest: Sequence[Shard], batch_seconds: float | None, now: float) -> float | None:
    """Estimate when the last of the batches that run or wait will have ended; later waves cannot be foreseen."""
    if batch_seconds is None or not latest:
        return None
    return max(_left_of(shard, batch_seconds, now) for shard in latest)


def _left_of(shard: Shard, batch_seconds: float, now: float) -> float:
    if shard.status in (ShardStatus.ENDED, ShardStatus.COLLECTED):
        return 0.0
    if shard.submitted_at is None:
        return max(shard.not_before - now, 0.0) + batch_seconds
    elapsed = now - shard.submitted_at
    return batch_seconds - elapsed if elapsed < batch_seconds else elapsed * _OVERTIME


def average_batch_seconds(table: Table) -> float | None:
    """Return how long the account's batches took lately; None before the first one has ended."""
    item = table.get(ESTIMATE_KEY)
    return float(item["seconds"]) if item else None


def record_durations(table: Table, durations: Sequence[float]) -> None:
    """Let the average follow the batches that have just ended, in seconds each. Of two at once, one counts."""
    if not durations:
        return
    known = table.get(ESTIMATE_KEY)
    seconds = float(known["seconds"]) if known else durations[0]
    for duration in durations:
        seconds += _WEIGHT * (duration - seconds)
    where = {"seconds": known["seconds"] if known else None}
    try:
        table.update(Update(ESTIMATE_KEY, set={"seconds": seconds}, where=where, create=True))
    except ConditionFailed:
        return
