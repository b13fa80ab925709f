"""How long a stream may wait: for anything at all, for content, and for the end of the Lambda's time."""

from __future__ import annotations

import time
from collections.abc import Callable

from sluice.deadline import Deadline
from sluice.streams.errors import StreamCut

# The stream ends this long before the Lambda does, so that its last event and its accounts still get out.
_MARGIN_SECONDS = 4.0


def stream_deadline(remaining_ms: int, clock: Callable[[], float] = time.monotonic) -> Deadline:
    """Return when a stream has to end: some seconds before its Lambda, which has ``remaining_ms`` milliseconds left."""
    seconds = remaining_ms / 1000
    return Deadline.after(seconds - min(_MARGIN_SECONDS, seconds / 3), clock)


def deadline_cut() -> StreamCut:
    """Return the error for a call that its deadline ends."""
    return StreamCut(
        "deadline",
        "The time that a call may take here is over, and the answer was not. Ask for less, or keep the stream.",
    )


class Timeouts:
    """The two clocks of one stream and its deadline. Times in seconds."""

    __slots__ = ("_content_seconds", "_deadline", "_moved_at", "_ping_seconds")

    def __init__(self, ping_seconds: float, content_seconds: float, deadline: Deadline) -> None:
        self._ping_seconds = ping_seconds
        self._content_seconds = content_seconds
        self._deadline = deadline
        self._moved_at = deadline.clock()

    def moved(self) -> None:
        """Note that content has come."""
        self._moved_at = self._deadline.clock()

    def left(self) -> float:
        """Return how long the next read may wait. Raises StreamCut when the time for content, or all time, is over."""
        now = self._deadline.clock()
        to_deadline = self._deadline.at - now
        to_content = self._moved_at + self._content_seconds - now
        if to_deadline <= 0 or to_content <= 0:
            raise self.cut()
        return min(self._ping_seconds, to_content, to_deadline)

    def cut(self) -> StreamCut:
        """Return the error for a read that has waited for too long."""
        if self._deadline.left() <= 0:
            return deadline_cut()
        if self._deadline.clock() - self._moved_at >= self._content_seconds:
            return StreamCut("no_content", f"Claude has sent no content for {self._content_seconds:g} seconds.")
        return StreamCut("stalled", f"Claude has sent nothing for {self._ping_seconds:g} seconds.")
