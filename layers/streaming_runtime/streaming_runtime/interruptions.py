"""What may cut an invocation short: its deadline, and SIGTERM.

Both come as signals and leave as exceptions in the middle of whatever the handler waits for, so that a read from a
socket ends at once. They are not `Exception`s: a handler that catches everything does not catch them by accident.
Outside `open_until` and `open_idle` a signal is kept, and raised when the next one opens: closing a body or telling
the Runtime API of a failure is never cut.
"""

from __future__ import annotations

import signal
import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import FrameType, TracebackType

DEADLINE_MARGIN_SECONDS = 0.3
SHORTEST_SECONDS = 0.001


class Interruption(BaseException):
    """The handler was stopped from outside."""

    error_type = "Runtime.Interrupted"


class DeadlineReached(Interruption):
    """The time that Lambda allows the invocation is all but over."""

    error_type = "Runtime.DeadlineReached"


class Terminated(Interruption):
    """The process was told to end."""

    error_type = "Runtime.Terminated"


class Interruptions:
    """Turns SIGALRM and SIGTERM into exceptions, while one of its windows is open. Use as a context manager."""

    __slots__ = ("_open", "_pending")

    def __init__(self) -> None:
        self._open = False
        self._pending: Interruption | None = None

    def install(self) -> None:
        """Takes over both signals; must be called from the main thread."""
        signal.signal(signal.SIGALRM, self._on_alarm)
        signal.signal(signal.SIGTERM, self._on_terminate)

    def open_until(self, deadline_ms: int) -> Interruptions:
        """A window that ends in DeadlineReached shortly before `deadline_ms` (milliseconds since the epoch)."""
        left = deadline_ms / 1000 - DEADLINE_MARGIN_SECONDS - time.time()
        signal.setitimer(signal.ITIMER_REAL, max(left, SHORTEST_SECONDS))
        return self

    def open_idle(self) -> Interruptions:
        """A window that only SIGTERM ends: for waiting between invocations."""
        return self

    def hold(self) -> None:
        """Keeps what comes, within an open window, until `release`."""
        self._open = False

    def release(self) -> None:
        """Opens the window again, and raises what came meanwhile."""
        self._open = True
        if self._pending is not None:
            self._raise(self._pending)

    def __enter__(self) -> None:
        self.release()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._open = False
        signal.setitimer(signal.ITIMER_REAL, 0)
        if isinstance(self._pending, DeadlineReached):
            self._pending = None

    def _on_alarm(self, _number: int, _frame: FrameType | None) -> None:
        self._raise(DeadlineReached("the deadline of the invocation has come"))

    def _on_terminate(self, _number: int, _frame: FrameType | None) -> None:
        self._raise(Terminated("the function was told to end"))

    def _raise(self, interruption: Interruption) -> None:
        if not self._open:
            self._pending = interruption
            return
        self._open = False
        self._pending = None
        raise interruption
