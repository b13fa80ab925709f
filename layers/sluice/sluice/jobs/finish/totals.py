"""The totals of a job: each line of its file is in one of three places, and each shard accounts for its requests.

Without I/O. What does not add up is said, never mended.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from sluice.jobs.collect.decide import Example
from sluice.jobs.incomplete import SCHEMA_MISMATCH
from sluice.jobs.model import Outcome, Plan, Shard, Tally, Tokens

# Told of, the most frequent ones; they are kept with the job.
_MISFITS = 10
# Of errors, in a notice: types, and sentences of each.
_TYPES, _SENTENCES = 5, 5


@dataclass(slots=True)
class WaveTotals:
    """One wave, over all shards. ``requests`` sent; ``retried`` went on to the next wave."""

    batches: int = 0
    requests: int = 0
    succeeded: int = 0
    errored: int = 0
    retried: int = 0


@dataclass(frozen=True, slots=True)
class Totals:
    """``tokens`` by model; ``waves`` by their number; ``problems`` are sentences, none where the counts add up."""

    tally: Tally
    tokens: dict[str, Tokens]
    waves: dict[int, WaveTotals]
    problems: tuple[str, ...]


@dataclass(slots=True)
class _Sums:
    """What one pass over the shards adds up."""

    tokens: dict[str, Tokens] = field(default_factory=dict)
    waves: dict[int, WaveTotals] = field(default_factory=dict)
    errors: Counter[str] = field(default_factory=Counter)
    incomplete: Counter[str] = field(default_factory=Counter)
    problems: list[str] = field(default_factory=list)
    due: dict[int, int] = field(default_factory=dict)
    shards: set[int] = field(default_factory=set)

    def add(self, shard: Shard) -> None:
        number, wave = shard.ref.shard, shard.ref.wave
        self.shards.add(number)
        if wave and shard.count != self.due.pop(number, None):
            self.problems.append(
                f"Wave {wave} of shard {number} does not have the requests that the one before passed on."
            )
        outcome = shard.outcome
        if outcome is None:
            self.problems.append(f"Wave {wave} of shard {number} has no outcome.")
            return
        if outcome.succeeded + outcome.errored + outcome.retried != shard.count:
            self.problems.append(f"Wave {wave} of shard {number} does not account for its {shard.count} requests.")
        if outcome.retried:
            self.due[number] = outcome.retried
        self._add_outcome(wave, shard, outcome)

    def _add_outcome(self, wave: int, shard: Shard, outcome: Outcome) -> None:
        total = self.waves.setdefault(wave, WaveTotals())
        total.batches += shard.batch_id is not None
        total.requests += shard.count
        total.succeeded += outcome.succeeded
        total.errored += outcome.errored
        total.retried += outcome.retried
        self.errors.update(outcome.errors)
        self.incomplete.update(outcome.incomplete)
        for model, tokens in outcome.tokens.items():
            self.tokens[model] = self.tokens.get(model, Tokens()) + tokens


def check_totals(plan: Plan, shards: Iterable[Shard]) -> Totals:
    """Add up a job whose shards are all collected. ``shards`` come with the waves of each in order."""
    sums = _Sums()
    for shard in shards:
        sums.add(shard)
    succeeded = sum(wave.succeeded for wave in sums.waves.values())
    errored = sum(wave.errored for wave in sums.waves.values())
    problems = [*sums.problems, *_problems(plan, sums, succeeded, errored)]
    tally = Tally(
        lines=plan.lines,
        succeeded=succeeded,
        errored=errored,
        rejected=plan.rejected,
        cost=sum(tokens.cost for tokens in sums.tokens.values()),
        waves=max(sums.waves, default=-1) + 1,
        errors=dict(sums.errors),
        incomplete=dict(sums.incomplete),
        balanced=not problems,
    )
    return Totals(tally, sums.tokens, sums.waves, tuple(problems))


def with_misfits(tally: Tally, misfits: Mapping[str, int]) -> Tally:
    """Count how many whole answers do not fit the schema, by what is wrong with them."""
    if not misfits:
        return tally
    incomplete = {**tally.incomplete, SCHEMA_MISMATCH: sum(misfits.values())}
    return replace(tally, incomplete=incomplete, misfits=dict(Counter(misfits).most_common(_MISFITS)))


def with_sentences(tally: Tally, examples: Mapping[str, Sequence[Example]]) -> Tally:
    """Put into the books what the API said of errors, of each type the most frequent sentences."""
    said = {
        name: {each.message: each.count for each in examples.get(name, ())[:_SENTENCES] if each.message}
        for name, _ in Counter(tally.errors).most_common(_TYPES)
    }
    return replace(tally, said={name: some for name, some in said.items() if some})


def _problems(plan: Plan, sums: _Sums, succeeded: int, errored: int) -> Iterable[str]:
    if plan.lines != succeeded + errored + plan.rejected:
        yield (
            f"The file has {plan.lines} lines; {succeeded} succeeded, {errored} errored and {plan.rejected} were "
            f"rejected, which makes {succeeded + errored + plan.rejected}."
        )
    if plan.requests != succeeded + errored:
        yield f"{plan.requests} requests were planned, and {succeeded + errored} came to an end."
    if len(sums.shards) != plan.shards:
        yield f"{plan.shards} shards were planned, and there are {len(sums.shards)}."
    if sum(sums.errors.values()) != errored:
        yield f"{errored} requests ended in an error, and {sum(sums.errors.values())} errors were counted by type."
    for number, count in sums.due.items():
        yield f"Shard {number} passed on {count} requests to a wave that is not there."
