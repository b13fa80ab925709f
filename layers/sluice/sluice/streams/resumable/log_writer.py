"""The writer of a stream's log, in a thread of its own, so that keeping events does not slow them down.

It also says that the writer lives, and learns from the table what the function cannot see: that the client has asked to
stop, that it has not renewed its lease, or that another function writes the stream by now.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass

from sluice.errors import AwsError, ConditionFailed
from sluice.streams.errors import CutCode, StreamCut
from sluice.streams.resumable.table import MAX_ITEM_BYTES, LogEntry, Status, StoredRequest, StreamState, StreamTable

# While the table cannot be reached, this much is held; a stream that outgrows it is no longer kept.
_MOST_HELD_BYTES = 16 * 1024 * 1024
_CLOSING_TRIES = 3
_TAKEN_OVER = "Another reader has taken this stream over."


@dataclass(frozen=True, slots=True)
class LogSchedule:
    """How often, in seconds: events are written, the writer says that it lives; and for how long that holds."""

    flush: float = 0.25
    beat: float = 2.0
    alive: float = 8.0


class LogWriter:
    """Keeps one stream. ``append`` and ``cut`` are for the thread that relays, ``interrupt`` is called from ours."""

    def __init__(
        self, table: StreamTable, state: StreamState, next_id: int = 1, schedule: LogSchedule | None = None
    ) -> None:
        self._table = table
        self._state = state
        self._schedule = schedule or LogSchedule()
        self._writer = f"{state.epoch}-{threading.get_ident()}-{time.time_ns()}"
        self._next_id = next_id
        self._held: list[bytes] = []
        self._held_bytes = 0
        self._first_held = next_id
        self._wake = threading.Condition()
        self._writing = threading.Lock()
        self._closing = False
        self._created = threading.Event()
        self._failed = False
        self._discarded = False
        self._leased = False
        self._cut: StreamCut | None = None
        self._interrupt: Callable[[], None] = _nothing
        self._thread = threading.Thread(target=self._run, name="keeper", daemon=True)
        self._begin: Callable[[], None] = _nothing

    @property
    def state(self) -> StreamState:
        """The stream as it was last seen."""
        return self._state

    def create(self, request: StoredRequest | None) -> None:
        """Begin a new stream, in the background."""

        def begin() -> None:
            self._table.create(self._state)
            if request is not None:
                self._table.keep_request(self._state.id, request, self._state.created_at)

        self._begin = begin
        self._thread.start()

    def take_over(self) -> None:
        """Go on with a stream that has been claimed."""
        self._thread.start()

    def start_lease(self) -> None:
        """Let the lease run, where there is one."""
        self._leased = self._state.lease_seconds is not None and self._state.lease_until is None

    def discard(self) -> None:
        """End a new stream that nobody has heard of. One that is still being created is not waited for."""
        self._discarded = True
        if self._created.is_set():
            self.close("failed")

    def wait_until_created(self, seconds: float) -> bool:
        """Return whether the stream can be resumed."""
        return self._created.wait(seconds) and not self._failed

    def watch(self, interrupt: Callable[[], None]) -> None:
        """Call ``interrupt`` when the stream has to end: it ends the read that the relaying thread waits in."""
        self._interrupt = interrupt
        if self._cut is not None:
            interrupt()

    def cut(self) -> StreamCut | None:
        """Return why the stream has to end, if it has to."""
        return self._cut

    def append(self, frames: Sequence[bytes]) -> bytes:
        """Give each frame its id, keep them, and return them as the client gets them; as they came if none are kept."""
        if not self._state.kept:
            return b"".join(frames)
        numbered = []
        with self._wake:
            for frame in frames:
                numbered.append(b"id: %d\n%b" % (self._next_id, frame.lstrip(b"\r\n")))
                self._next_id += 1
            if not self._failed:
                self._held += numbered
                self._held_bytes += sum(map(len, numbered))
                if self._held_bytes > MAX_ITEM_BYTES:
                    self._wake.notify()
        return b"".join(numbered)

    def close(self, status: Status | None) -> None:
        """Write what is held, end the stream or, without a status, leave it to the next reader, and wait for that."""
        with self._wake:
            self._closing = True
            self._wake.notify()
        self._thread.join()
        for _ in range(_CLOSING_TRIES):
            try:
                if not self._flush():
                    return
                if status is None:
                    self._table.give_up(self._state.id, self._state.epoch)
                else:
                    self._table.finish(self._state.id, self._state.epoch, status)
            except ConditionFailed:
                return
            except AwsError:
                time.sleep(self._schedule.flush)
            else:
                return

    def _run(self) -> None:
        try:
            self._begin()
        except AwsError:
            self._failed = True
            return
        finally:
            self._created.set()
        if self._discarded:
            with suppress(AwsError):
                self._table.finish(self._state.id, self._state.epoch, "failed")
        else:
            self._keep()

    def _keep(self) -> None:
        beat_at = time.monotonic() + self._schedule.beat
        while not self._closing and not self._failed:
            with self._wake:
                self._wake.wait_for(self._is_urgent, self._schedule.flush)
            try:
                self._flush()
                if self._leased or time.monotonic() >= beat_at:
                    beat_at = time.monotonic() + self._schedule.beat
                    self._beat()
            except ConditionFailed:
                self._end("taken_over", _TAKEN_OVER)
                return
            except AwsError:
                self._failed = self._held_bytes > _MOST_HELD_BYTES

    def _is_urgent(self) -> bool:
        return self._closing or self._held_bytes > MAX_ITEM_BYTES

    def sync(self) -> None:
        """Write what is held now. Raises StreamCut if the stream is another's by now, AwsError if it cannot be kept."""
        try:
            self._flush()
        except ConditionFailed:
            self._end("taken_over", _TAKEN_OVER)
        if self._cut is not None and self._cut.code == "taken_over":
            raise self._cut

    def _flush(self) -> bool:
        """Write what is held, in entries that fit; return whether the stream is still ours."""
        if self._failed or (self._cut is not None and self._cut.code == "taken_over"):
            return False
        with self._writing:
            while self._write_entry():
                pass
        return True

    def _write_entry(self) -> int:
        with self._wake:
            count, data = _first_entry(self._held)
        if count:
            first = self._first_held
            self._table.append(self._state.id, LogEntry(first, first + count - 1, data), self._writer, time.time())
            with self._wake:
                del self._held[:count]
                self._held_bytes -= len(data)
                self._first_held += count
        return count

    def _beat(self) -> None:
        now = time.time()
        leased = self._leased  # Another thread may set it while the table is asked: then the next beat has it.
        lease_until = round(now + (self._state.lease_seconds or 0), 3) if leased else None
        alive_until = round(now + self._schedule.alive, 3)
        self._state = self._table.beat(self._state.id, self._state.epoch, alive_until, lease_until)
        if leased:
            self._leased = False
        if self._state.stop:
            self._end("stream_stopped", "The stream was stopped by its owner.")
        elif self._state.lease_until is not None and now > self._state.lease_until:
            self._end("lease_expired", "The lease of the stream was not renewed in time.")

    def _end(self, code: CutCode, message: str) -> None:
        if self._cut is None:
            self._cut = StreamCut(code, message)
            self._interrupt()


def _first_entry(held: Sequence[bytes]) -> tuple[int, bytes]:
    """Choose the frames of the next entry: as many as fit into one item, and one at least."""
    size = 0
    for count, frame in enumerate(held):
        size += len(frame)
        if size > MAX_ITEM_BYTES and count:
            return count, b"".join(held[:count])
    return len(held), b"".join(held)


def _nothing() -> None:
    return
