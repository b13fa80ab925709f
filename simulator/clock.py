"""The simulator's clock: real time, faster or slower, and moved ahead by hand."""

import time
from datetime import UTC, datetime


class Clock:
    """Seconds since the epoch, as the simulated API sees them. A speed of 0 freezes it."""

    def __init__(self, speed: float = 1.0) -> None:
        self._first_speed = speed
        self.reset()

    def reset(self) -> None:
        """Back to the present, at the speed of the start."""
        self.speed = self._first_speed
        self._anchor = time.time()
        self._since = time.monotonic()

    def now(self) -> float:
        """The simulated time."""
        return self._anchor + (time.monotonic() - self._since) * self.speed

    def advance(self, seconds: float) -> None:
        """Move ahead."""
        self._anchor += seconds

    def run_at(self, speed: float) -> None:
        """Change the speed from now on."""
        self._anchor, self._since, self.speed = self.now(), time.monotonic(), speed


def timestamp(seconds: float) -> str:
    """RFC 3339, in UTC, as the API writes times."""
    return datetime.fromtimestamp(seconds, UTC).isoformat().replace("+00:00", "Z")
