"""How much time is left of an invocation, said in one way to all who have to end before it does."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol


class LambdaContext(Protocol):
    """What Lambda says of an invocation (Lambda: Python context object), as far as time is concerned."""

    def get_remaining_time_in_millis(self) -> int: ...


@dataclass(frozen=True, slots=True)
class Deadline:
    """When something has to be over, in seconds of ``clock``."""

    at: float
    clock: Callable[[], float] = time.monotonic

    @classmethod
    def of(cls, context: LambdaContext) -> Deadline:
        """Return the end of an invocation. Lambda itself is asked each time, so no clock of ours can be off."""
        return cls(0.0, lambda: -context.get_remaining_time_in_millis() / 1000)

    @classmethod
    def after(cls, seconds: float, clock: Callable[[], float] = time.monotonic) -> Deadline:
        """Return the deadline that comes in so many seconds."""
        return cls(clock() + seconds, clock)

    def left(self) -> float:
        """Return the seconds that are left; none or less when it has come."""
        return self.at - self.clock()

    def is_within(self, seconds: float) -> bool:
        """Return whether less than so many seconds are left."""
        return self.left() < seconds
