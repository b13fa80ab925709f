"""What becomes of each request after a wave: its answer stands, it ends in an error, or it goes into the next wave."""

from __future__ import annotations

from array import array
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import IO

import msgspec

from sluice.errors import ObjectNotFound
from sluice.jobs.collect.download import BatchResults
from sluice.jobs.collect.next_wave import NextWave
from sluice.jobs.collect.retry_policy import (
    Decision,
    ResultKind,
    RetryPolicy,
    decisions,
    error_name,
    is_refused_for_good,
)
from sluice.jobs.model import Shard, ShardRef
from sluice.jobs.requests import lines_of_ids, read_lines, read_request, wanted_lines, with_max_tokens
from sluice.jobs.results import error_line, read_result
from sluice.jobs.services import Services
from sluice.jobs.storage import KEPT, Placed, ordinals_key, read_ordinals

_EXAMPLES = 3
_MESSAGE_LENGTH = 300


class Example(msgspec.Struct, frozen=True):
    """One request that ended in an error, and what the API said."""

    custom_id: str
    message: str


class ErrorLines:
    """Lines of errors in a file on disk, with their places."""

    def __init__(self, file: IO[bytes]) -> None:
        self.places = array("I")
        self._file = file

    def add(self, place: int, line: bytes) -> None:
        self.places.append(place)
        self._file.write(line + b"\n")

    def read(self) -> Iterator[Placed]:
        self._file.seek(0)
        return zip(self.places, self._file, strict=True)


@dataclass(slots=True)
class Decisions:
    """``decided`` has a byte for each request, a Decision. ``ordinals`` are their places in the shard's first wave.

    ``counts`` and ``examples`` are by the type of error. ``refusal`` is an error that waits for a person, its type and
    message, and ``next_wave`` the shard that follows; None where there is none.
    """

    results: BatchResults
    decided: bytearray
    ordinals: Sequence[int]
    errors: ErrorLines
    counts: Counter[str] = field(default_factory=Counter)
    examples: dict[str, list[Example]] = field(default_factory=dict)
    refusal: tuple[str, str] | None = None
    next_wave: Shard | None = None

    @property
    def succeeded(self) -> int:
        return self.decided.count(Decision.ANSWER) + self.decided.count(Decision.KEPT)

    @property
    def errored(self) -> int:
        return self.decided.count(Decision.ERROR)

    @property
    def retried(self) -> int:
        return self.decided.count(Decision.AGAIN) + self.decided.count(Decision.LONGER)

    def placed(self, decision: Decision) -> Iterator[Placed]:
        """Yield the lines of all requests with one decision, with their places in the shard's first wave."""
        for places, lines in self.results.answers(self.decided, decision):
            yield from zip((self.ordinals[place] for place in places), lines, strict=True)

    def end_in_error(self, place: int, line: bytes) -> None:
        request = read_request(line)
        raw = self.results.result(place, request.custom_id)
        result = read_result(raw)
        name = error_name(result)
        self.counts[name] += 1
        examples = self.examples.setdefault(name, [])
        if len(examples) < _EXAMPLES:
            examples.append(Example(request.custom_id, result.inner_error.message[:_MESSAGE_LENGTH]))
        custom_id = msgspec.json.encode(request.custom_id)
        self.errors.add(self.ordinals[place], error_line(custom_id, bytes(request.params), raw))

    def note_refusal(self, place: int, line: bytes) -> None:
        raw = self.results.result(place, read_request(line).custom_id)
        error = read_result(raw).inner_error
        self.refusal = error.type, error.message[:_MESSAGE_LENGTH]


def decide(
    services: Services, results: BatchResults, policy: RetryPolicy, spool: IO[bytes], *, cancelled: bool
) -> Decisions:
    """Decide on each request of a shard, and write what is sent next. ``spool`` is an empty file for the errors.

    Raises AwsError, and ForeignResults where a result turns out to be another shard's.
    """
    shard = results.shard
    decided = _first_decisions(results, policy, cancelled=cancelled)
    decisions_made = Decisions(results, decided, read_own_ordinals(services, shard), ErrorLines(spool))
    if not decided.strip(b"\0"):
        return decisions_made
    runs = _source_runs(services, shard)
    if runs is None:
        decided[:] = _first_decisions(results, policy, cancelled=True)
        runs = lines_of_ids(results.ids())
    _keep_earlier_answers(services, decisions_made, policy)
    with NextWave(services, shard) as following:
        for place, line in wanted_lines(runs, bytes(decided)):
            _decide_one(decisions_made, following, policy, place, line)
    decisions_made.next_wave = following.shard(policy)
    return decisions_made


def _first_decisions(results: BatchResults, policy: RetryPolicy, *, cancelled: bool) -> bytearray:
    shard = results.shard
    final = is_refused_for_good(shard.refusals, results.kinds)
    follows = decisions(policy, shard.ref.wave, shard.transient_waves, cancelled=cancelled, refused_for_good=final)
    return results.kinds.translate(bytes(follows[kind] for kind in ResultKind).ljust(256, b"\0"))


def _decide_one(decisions_made: Decisions, following: NextWave, policy: RetryPolicy, place: int, line: bytes) -> None:
    kind, ordinal = ResultKind(decisions_made.results.kinds[place]), decisions_made.ordinals[place]
    match decisions_made.decided[place]:
        case Decision.ERROR:
            decisions_made.end_in_error(place, line)
        case Decision.AGAIN:
            following.add(ordinal, line, kind)
            if kind in (ResultKind.ACCOUNT, ResultKind.REFUSED) and decisions_made.refusal is None:
                decisions_made.note_refusal(place, line)
        case Decision.LONGER:
            if longer := with_max_tokens(line, policy.retry_max_tokens or 0):
                following.add(ordinal, longer, kind)
            else:
                decisions_made.decided[place] = Decision.ANSWER


def read_own_ordinals(services: Services, shard: Shard) -> Sequence[int]:
    """Return the places of a shard's requests in its first wave."""
    if shard.ordinals_key is None:
        return range(shard.count)
    return read_ordinals(services.objects, services.settings.outbox, shard.ordinals_key)


def _source_runs(services: Services, shard: Shard) -> Iterator[bytes] | None:
    """Read the requests of a shard; None where the file that had them was deleted."""
    source = shard.source
    try:
        services.objects.head(source.bucket, source.key, source.version)
    except ObjectNotFound:
        return None
    return read_lines(services.objects, source, services.settings.outbox)


def _keep_earlier_answers(services: Services, decisions_made: Decisions, policy: RetryPolicy) -> None:
    """Let the answers stand that an earlier wave kept, where asking again ended in an error."""
    ref, decided = decisions_made.results.shard.ref, decisions_made.decided
    if not policy.retry_max_tokens or ref.wave == 0 or Decision.ERROR not in decided:
        return
    kept = bytearray(max(decisions_made.ordinals) + 1)
    for wave in range(ref.wave):
        key = ordinals_key(ShardRef(ref.job_id, ref.shard, wave), KEPT)
        for ordinal in read_ordinals(services.objects, services.settings.outbox, key):
            if ordinal < len(kept):
                kept[ordinal] = 1
    for place, ordinal in enumerate(decisions_made.ordinals):
        if kept[ordinal] and decided[place] == Decision.ERROR:
            decided[place] = Decision.KEPT
