"""Deciding what becomes of each request after a wave: its answer stands, it ends in an error, or it is retried."""

from __future__ import annotations

from array import array
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import IO

import msgspec

from sluice.claude.errors import build_error, kind_of_failure
from sluice.errors import AccountError, ObjectNotFound
from sluice.jobs.collect.download import BatchResults
from sluice.jobs.collect.next_wave import NextWave
from sluice.jobs.collect.retry_policy import (
    Decision,
    ResultKind,
    RetryPolicy,
    decisions_by_kind,
    error_name,
    is_refused_for_good,
)
from sluice.jobs.lines import Placed
from sluice.jobs.model import A_FEW_REQUESTS, Shard, ShardRef
from sluice.jobs.outbox import KEPT
from sluice.jobs.requests import (
    BatchRequest,
    model_of,
    read_lines,
    read_request,
    wanted_lines,
    with_max_tokens,
    without_params,
)
from sluice.jobs.results import read_result, write_error_line
from sluice.jobs.services import Services

# So many different sentences are kept of each type of error.
MOST_SENTENCES = 20
_MESSAGE_LENGTH = 300


class Example(msgspec.Struct, frozen=True):
    """One request that ended in an error, what the API said, and of how many it said the same."""

    custom_id: str
    message: str
    count: int = 1


class ErrorLines:
    """Lines of errors in a file on disk, with their ordinals."""

    def __init__(self, file: IO[bytes]) -> None:
        self._ordinals = array("I")
        self._file = file

    def add(self, ordinal: int, line: bytes) -> None:
        """Add a line, which has no newline."""
        self._ordinals.append(ordinal)
        self._file.write(line + b"\n")

    def read(self) -> Iterator[Placed]:
        self._file.seek(0)
        return zip(self._ordinals, self._file, strict=True)


@dataclass(frozen=True, slots=True)
class Refusal:
    """An error that waits for a person. ``incident`` is its kind, None where it is this job's own."""

    incident: str | None
    message: str


@dataclass(slots=True)
class Decisions:
    """``by_place`` has a byte for each request, a Decision, at its place in the shard.

    ``counts`` are by the type of error, ``examples`` by it and by what the API said. ``refusal`` is what waits for a
    person, and ``next_wave`` the shard of what is retried; None where there is none.
    """

    by_place: bytearray
    error_lines: ErrorLines
    counts: Counter[str] = field(default_factory=Counter)
    examples: dict[str, dict[str, Example]] = field(default_factory=dict)
    refusal: Refusal | None = None
    next_wave: Shard | None = None

    @property
    def succeeded(self) -> int:
        return self.by_place.count(Decision.ANSWER) + self.by_place.count(Decision.KEPT_ANSWER)

    @property
    def errored(self) -> int:
        return self.by_place.count(Decision.ERROR)

    @property
    def retried(self) -> int:
        return self.by_place.count(Decision.RETRY) + self.by_place.count(Decision.RETRY_LONGER)

    def add_error(self, ordinal: int, request: BatchRequest, raw_result: bytes) -> None:
        """Add a request that ends in an error, with its result as it came."""
        result = read_result(raw_result)
        name = error_name(result)
        self.counts[name] += 1
        examples, said = self.examples.setdefault(name, {}), result.inner_error.message[:_MESSAGE_LENGTH]
        if known := examples.get(said):
            examples[said] = Example(known.custom_id, said, known.count + 1)
        elif len(examples) < MOST_SENTENCES:
            examples[said] = Example(request.custom_id, said)
        self.error_lines.add(ordinal, write_error_line(request, raw_result))


def decide(
    services: Services,
    results: BatchResults,
    ordinals: Sequence[int],
    policy: RetryPolicy,
    spool: IO[bytes],
    *,
    cancelled: bool,
) -> Decisions:
    """Decide on each request of a shard, and write what is retried, since the requests are read only once.

    ``ordinals`` are the places of the requests in the shard's first wave; ``spool`` is an empty file for the errors.
    Raises AwsError, and ForeignResults where a result turns out to be another shard's.
    """
    if _all_refused_alike(results):
        results.kinds[:] = bytes([ResultKind.REFUSED]) * len(results.kinds)
    decisions = Decisions(_first_decisions(results, policy, cancelled=cancelled), ErrorLines(spool))
    if not decisions.by_place.strip(b"\0"):
        return decisions
    runs = _read_requests(services, results.shard)
    if runs is None:
        decisions.by_place[:] = _first_decisions(results, policy, cancelled=True)
        runs = without_params(results.ids())
    if policy.retry_max_tokens:
        _keep_earlier_answers(services, results.shard.ref, ordinals, decisions.by_place)
    with NextWave(services, results.shard) as next_wave:
        _decide_each(results, ordinals, policy, runs, decisions, next_wave)
    decisions.next_wave = next_wave.shard(policy)
    return decisions


def _all_refused_alike(results: BatchResults) -> bool:
    """Return whether every request of a shard got the same error, which is not known to be the requests' own.

    Then it may be the account's, in words that are new to us. It is asked about once: a second time, they are errors.
    """
    kinds, shard = results.kinds, results.shard
    alike = len(kinds) > A_FEW_REQUESTS and kinds.count(ResultKind.PERMANENT_ERROR) == len(kinds)
    return alike and results.usage_meter.common_error and not shard.refusals


def _first_decisions(results: BatchResults, policy: RetryPolicy, *, cancelled: bool) -> bytearray:
    """Decide by the kind of each result alone."""
    shard = results.shard
    final = is_refused_for_good(shard.refusals, results.kinds)
    by_kind = decisions_by_kind(
        policy, shard.ref.wave, shard.transient_waves, cancelled=cancelled, refused_for_good=final
    )
    return results.kinds.translate(bytes(by_kind[kind] for kind in ResultKind).ljust(256, b"\0"))


def _read_requests(services: Services, shard: Shard) -> Iterator[bytes] | None:
    """Read the requests of a shard; None where the file that had them was deleted."""
    source = shard.source
    try:
        services.s3.head(source.bucket, source.key, source.version)
    except ObjectNotFound:
        return None
    return read_lines(services.outbox, source)


def _keep_earlier_answers(services: Services, ref: ShardRef, ordinals: Sequence[int], by_place: bytearray) -> None:
    """Let the answers stand that an earlier wave kept, where asking again ended in an error."""
    if ref.wave == 0 or Decision.ERROR not in by_place:
        return
    kept = bytearray(max(ordinals) + 1)
    for wave in range(ref.wave):
        for ordinal in services.outbox.wave_ordinals(ShardRef(ref.job_id, ref.shard, wave), KEPT):
            if ordinal < len(kept):
                kept[ordinal] = 1
    for place, ordinal in enumerate(ordinals):
        if kept[ordinal] and by_place[place] == Decision.ERROR:
            by_place[place] = Decision.KEPT_ANSWER


def _decide_each(
    results: BatchResults,
    ordinals: Sequence[int],
    policy: RetryPolicy,
    runs: Iterable[bytes],
    decisions: Decisions,
    next_wave: NextWave,
) -> None:
    """Carry out the decisions that need the request: to be sent again, or to stand beside its error."""
    by_place = decisions.by_place
    for place, line in wanted_lines(runs, bytes(by_place)):
        ordinal, kind = ordinals[place], ResultKind(results.kinds[place])
        match by_place[place]:
            case Decision.ERROR:
                request = read_request(line)
                decisions.add_error(ordinal, request, results.result(place, request.custom_id))
            case Decision.RETRY:
                next_wave.add(ordinal, line, kind)
                if kind in (ResultKind.ACCOUNT_ERROR, ResultKind.REFUSED) and decisions.refusal is None:
                    decisions.refusal = _refusal(results.result(place, read_request(line).custom_id), line)
            case Decision.RETRY_LONGER:
                if longer := with_max_tokens(line, policy.retry_max_tokens or 0):
                    next_wave.add(ordinal, longer, kind)
                else:
                    by_place[place] = Decision.ANSWER


def _refusal(raw_result: bytes, line: bytes) -> Refusal:
    error = read_result(raw_result).inner_error
    failure = build_error(error.type, error.message[:_MESSAGE_LENGTH], error.code)
    kind = kind_of_failure(failure, model_of(line)) if isinstance(failure, AccountError) else None
    return Refusal(kind, str(failure))
