"""A breaker for each endpoint of each caller: one that stays down is left alone, and tried by one callback at a time.

Many callers may use one host, each in its own way: what fails for one says nothing of the others. A breaker is known by
its key in the table (``table_keys.endpoint_key``).

Failures in a row are counted across all tasks of a caller, by atomic adds, while the endpoint may be called. Once it is
left alone, only the one callback that tries it decides for how long: of those that were under way when it broke, each
would make the pause twice as long.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from random import Random

from sluice.aws.dynamodb import Key, Table, Update
from sluice.backoff import BREAKER
from sluice.errors import ConditionFailed

# Failures in a row after which an endpoint is left alone.
THRESHOLD = 5
# How long the one callback that tries a broken endpoint keeps the others waiting.
_PROBE_SECONDS = 60.0
_FORGET_SECONDS = 7 * 24 * 3600


@dataclass(frozen=True, slots=True)
class BreakerState:
    """``wait_seconds`` is None where a callback may go through. ``failures`` in a row, and ``pauses``, so far.

    ``probe_until`` marks the one callback that tries a broken endpoint, and keeps the others waiting until then.
    """

    failures: int
    wait_seconds: float | None
    pauses: int = 0
    probe_until: float | None = None


@dataclass(frozen=True, slots=True)
class CircuitBreakers:
    table: Table
    now: Callable[[], float] = time.time
    random: Random = field(default_factory=Random)

    def check(self, breaker: Key) -> BreakerState:
        """Ask whether an endpoint may be called now. When a pause is over, one caller gets through at a time."""
        item = self.table.get(breaker) or {}
        failures, until, now = item.get("failures", 0), item.get("open_until"), self.now()
        if until is None:
            return BreakerState(failures, None)
        if until > now:
            return BreakerState(failures, until - now)
        probe_until = now + _PROBE_SECONDS
        probing = Update(breaker, set={"open_until": probe_until}, where={"open_until": until})
        try:
            self.table.update(probing)
        except ConditionFailed:
            return BreakerState(failures, _PROBE_SECONDS)
        return BreakerState(failures, None, item.get("pauses", 0), probe_until)

    def note_down(self, breaker: Key, gate: BreakerState) -> None:
        """Count a failure of the endpoint itself, met behind ``gate``."""
        with suppress(ConditionFailed):
            # Where the breaker has changed since the gate was passed, the failure tells nothing new.
            if gate.probe_until is None and self._count(breaker) < THRESHOLD:
                return
            pause = BREAKER.delay(gate.pauses + 1, random=self.random.random)
            opening = {"open_until": self.now() + pause, "pauses": gate.pauses + 1}
            self.table.update(Update(breaker, set=opening, where={"open_until": gate.probe_until}))

    def _count(self, breaker: Key) -> int:
        expires_at = int(self.now() + _FORGET_SECONDS)
        closed: dict[str, object] = {"open_until": None}
        counted = Update(breaker, set={"expires_at": expires_at}, add={"failures": 1}, where=closed, create=True)
        failures: int = self.table.update(counted)["failures"]
        return failures

    def note_up(self, breaker: Key, gate: BreakerState) -> None:
        """Note that the endpoint works. Costs nothing where it had not failed."""
        if gate.failures:
            self.table.update(Update(breaker, set={"failures": 0}, remove=("open_until", "pauses")))
