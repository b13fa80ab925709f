"""What became of a submission whose answer was lost: a batch that nobody knows of, or none.

A shard with an intent and no batch is never sent again blindly. Once the list of batches can be trusted to hold
whatever the intent led to, those of the shard's size that no shard owns become its *candidates*, for good: what is made
later is somebody else's. Each candidate is waited for until it has ended, since only results show whose batch it was:
the results of the shard's own carry its nonce. That one is adopted. Where no candidate is left, there is no batch, and
the shard is given back to be submitted anew.

Two that reconcile the same shard do no harm: each change names the intent that it found, so the first one wins.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import TypeVar

from sluice.claude.batch_list import batches_since
from sluice.claude.batches import MessageBatch
from sluice.deadline import Deadline
from sluice.errors import AccountError
from sluice.jobs.model import Shard, ShardStatus
from sluice.jobs.next_steps import reconcilable_at
from sluice.jobs.services import Services

# What reading on through the results of one more candidate may take, at the least.
_NEEDED_SECONDS = 20.0
# A candidate that Claude has not known for so long was deleted, which only its owner does, with its results in hand.
_GONE_SECONDS = 3600.0

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Reconciliation:
    """The shard as it is now, and in a word or two what was found of its batch."""

    shard: Shard
    outcome: str


def candidates_among(batches: Iterable[MessageBatch], count: int, owned: Callable[[str], bool]) -> tuple[str, ...]:
    """Return the ids of the batches with this many requests that no shard owns."""
    return tuple(batch.id for batch in batches if batch.count == count and not owned(batch.id))


def reconcile(services: Services, shard: Shard, deadline: Deadline) -> Reconciliation:
    """Take a shard that is submitting or adopting one step on: to its batch, back to planned, or leave it waiting.

    Raises ConditionFailed where somebody else did, ClaudeError where Claude could not be asked.
    """
    if shard.status is ShardStatus.SUBMITTING:
        if services.now() < reconcilable_at(shard, services.settings.reconcile_after_seconds):
            return Reconciliation(shard, "too_early")
        found = candidates_among(
            batches_since(services.claude, shard.intent_at or 0.0), shard.count, services.shards.owns_batch
        )
        if not found:
            return _give_back(services, shard)
        shard = services.shards.begin_adoption(shard, found, services.now())
    return _examine(services, shard, deadline)


def _give_back(services: Services, shard: Shard) -> Reconciliation:
    now = services.now()
    return Reconciliation(services.shards.give_back(shard, now, not_before=now), "no_batch")


def _examine(services: Services, shard: Shard, deadline: Deadline) -> Reconciliation:
    """Look into the candidates that have ended. A refuted one is noted, so that each run comes further."""
    waiting = False
    for candidate in shard.candidates:
        if candidate in shard.ruled_out:
            continue
        verdict = None if deadline.is_within(_NEEDED_SECONDS) else _verdict(services, shard, candidate, deadline)
        if verdict:
            return Reconciliation(services.shards.record_batch(shard, candidate, services.now()), "adopted")
        if verdict is None:
            waiting = True
            continue
        shard = services.shards.rule_out(shard, candidate, services.now())
    return Reconciliation(shard, "waiting") if waiting else _give_back(services, shard)


def _verdict(services: Services, shard: Shard, candidate: str, deadline: Deadline) -> bool | None:
    """Return whether a candidate is the shard's batch; None where that cannot be told yet."""
    if services.shards.owns_batch(candidate):
        return False
    batch = _found(lambda: services.claude.retrieve_batch(candidate))
    if batch is None:
        return False if services.now() - shard.moved_at > _GONE_SECONDS else None
    if not batch.ended:
        return None
    return _found(lambda: _read_for_nonce(services, shard.nonce, batch, deadline))


def _found(read: Callable[[], T]) -> T | None:
    """Return what is read; None where it is not there, as happens shortly after a batch was made or has ended.

    Raises AccountError for any other refusal, TransientError where the results are cut.
    """
    try:
        return read()
    except AccountError as failure:
        if failure.http_status != 404:
            raise
        return None


def _read_for_nonce(services: Services, nonce: str, batch: MessageBatch, deadline: Deadline) -> bool | None:
    with services.claude.results(batch.id) as chunks:
        return holds_nonce(_until(chunks, deadline), nonce, batch.count)


def holds_nonce(chunks: Iterable[bytes], nonce: str, count: int) -> bool | None:
    """Return whether results carry a nonce; None where they are not whole, so that it may have been in the rest.

    The nonce is looked for as a whole JSON string. No answer can hold it as one: quotes inside of one are escaped.
    """
    needle = b'"%s"' % nonce.encode()
    lines, started = 0, b""
    for chunk in chunks:
        window = started + chunk
        if needle in window:
            return True
        lines += chunk.count(b"\n")
        started = window[window.rfind(b"\n") + 1 :]
    return False if lines + _is_json(started) >= count else None


def _is_json(line: bytes) -> bool:
    """Return whether a last line without a newline is whole."""
    try:
        json.loads(line)
    except ValueError:
        return False
    return True


def _until(chunks: Iterable[bytes], deadline: Deadline) -> Iterator[bytes]:
    """Pass chunks on for as long as there is time."""
    for chunk in chunks:
        yield chunk
        if deadline.is_within(_NEEDED_SECONDS / 2):
            return
