"""The time of a test: it passes only where the test says so."""

from __future__ import annotations

import time

from simulator.client import Simulator


class Clock:
    """The time here and, in step with it, at Claude. Each look takes a millisecond, so that no two are the same."""

    def __init__(self, simulator: Simulator, start: float | None = None) -> None:
        self._simulator = simulator
        self._now = time.time() if start is None else start

    def now(self) -> float:
        """Return the time, in seconds since 1970."""
        self._now += 0.001
        return self._now

    def advance(self, seconds: float) -> None:
        """Let time pass, here and at Claude."""
        self._now += seconds
        self._simulator.advance(seconds)
