"""Reading a stream that another function writes, and writing it if that function has died."""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import suppress
from dataclasses import replace

from sluice.claude.events import Event, FrameSplitter, StreamProgress
from sluice.errors import AwsError, AwsUnavailable, ConditionFailed
from sluice.http.errors import error_event
from sluice.streams.call_log import CallReport
from sluice.streams.errors import StreamCut, cut_from_event, internal_error
from sluice.streams.relay import take_progress
from sluice.streams.resumable.continuation import PING, last_event
from sluice.streams.resumable.log_writer import LogSchedule, LogWriter
from sluice.streams.resumable.relay import Continuations, ResumableRelay
from sluice.streams.resumable.table import Status, StreamState
from sluice.streams.timeouts import deadline_cut

_POLL_SECONDS = 0.2
_PING_SECONDS = 5.0
_TRIES = 3
_TAKEN_OVER = "Another function writes this stream."
_ENDINGS: dict[str, Status] = {"message_stop": "complete", "error": "failed"}


class LogReader:
    """Sends a client what it has not seen of a stream: first what is kept, then what comes."""

    def __init__(
        self,
        continuations: Continuations,
        state: StreamState,
        after: int,
        report: CallReport,
        record: Callable[[], None],
        schedule: LogSchedule,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._continuations = continuations
        self._state = state
        self._after = after
        self._report = report
        self._settle = record
        self._schedule = schedule
        self._sleep = sleep
        self._relay: ResumableRelay | None = None
        self._last: Event | None = None
        report.outcome = "client_gone"

    def writes(self) -> bool:
        """Whether this function writes the stream by now: then it goes on when its client goes."""
        return self._relay is not None

    def end(self) -> None:
        """Settle; where this function has become the writer, end its writing too."""
        if self._relay is not None:
            self._relay.end()
        else:
            self._settle()

    def chunks(self) -> Generator[bytes, None, None]:
        """Yield events until the stream has ended, or the deadline has come."""
        self._report.note_first_byte()
        try:
            yield from self._follow()
        except StreamCut as cut:
            self._report.note_failure(cut, "cut")
            yield cut.event(self._report.request_id)
        except AwsError as error:
            self._report.note_failure(error, "cut")
            yield error_event("api_error", "The stream could not be read; ask again.", self._report.request_id)
        except Exception as error:  # noqa: BLE001  no stream ends without a word
            self._report.note_failure(error, "cut")
            yield internal_error().event(self._report.request_id)

    def _follow(self) -> Iterator[bytes]:
        silent_since = time.monotonic()
        while True:
            state = self._find()
            for data in self._read_kept():
                silent_since = time.monotonic()
                yield data
            if state.status != "running":
                self._finish(state)
                return
            if state.alive_until < time.time() and self._claim(state):
                yield from self._write(state)
                return
            if self._continuations.deadline.left() <= 0:
                raise deadline_cut()
            if time.monotonic() - silent_since > _PING_SECONDS:
                silent_since = time.monotonic()
                yield PING
            self._sleep(_POLL_SECONDS)

    def _find(self) -> StreamState:
        """Read the state, before the log: what ends the stream then stands in the log already."""
        state = self._continuations.table.find(self._state.id)
        if state is None:
            raise StreamCut("not_continuable", "The stream is kept no longer.")
        return state

    def _read_kept(self) -> Iterator[bytes]:
        for entry in self._continuations.table.read_log(self._state.id, self._after):
            frames = FrameSplitter().feed(entry.data)[max(0, self._after + 1 - entry.first) :]
            self._after = entry.last
            if frames:
                self._report.events += len(frames)
                self._last = last_event(frames)
                yield b"".join(frames)

    def _finish(self, state: StreamState) -> None:
        """Note how a stream has ended. Raises StreamCut where its own events do not say it."""
        if self._last is not None and self._last.name == "error":
            error = self._last.decode().get("error")
            self._report.note_failure(cut_from_event(error if isinstance(error, dict) else {}), "cut")
        elif state.status == "complete" or (self._last is not None and self._last.name == "message_stop"):
            self._report.outcome = "succeeded"
        elif state.status == "stopped":
            raise _stopped()
        else:
            raise StreamCut("connection_cut", f"The stream has {state.status}.")

    def _claim(self, state: StreamState) -> bool:
        """Become the writer, unless another reader is faster, the table is busy or the stream was to stop."""
        table = self._continuations.table
        try:
            if state.stop:
                table.finish(state.id, state.epoch, "stopped")
                return False
            self._state = table.claim(state, round(time.time() + self._schedule.alive, 3))
        except (ConditionFailed, AwsUnavailable):
            # DynamoDB: a write to an item that is part of a transaction is refused, and the faster reader makes one.
            return False
        return True

    def _write(self, lost: StreamState) -> Iterator[bytes]:
        """Go on as the writer: what is kept is all that there is, and the next place in the log is ours."""
        frames, next_id = self._take_place(lost)
        yield from self._read_kept()
        if not lost.settled:
            take_progress(self._report, _progress_of(frames))
        if ending := _ending_of(frames):
            self._last = last_event(frames)
            self._continuations.table.finish(self._state.id, self._state.epoch, ending)
            self._finish(replace(self._state, status=ending))
            return
        request = self._continuations.table.find_request(self._state.id)
        log_writer = LogWriter(self._continuations.table, self._state, next_id, self._schedule)
        log_writer.take_over()
        self._relay = ResumableRelay(
            log_writer, self._report, self._settle, self._continuations, request, continues=True
        )
        yield from self._relay.resume()

    def _take_place(self, lost: StreamState) -> tuple[list[bytes], int]:
        """Return all that is kept, and the id of the next event. The writer that was lost can add nothing any more."""
        for _ in range(_TRIES):
            entries = list(self._continuations.table.read_log(self._state.id, 0))
            frames = [frame for entry in entries for frame in FrameSplitter().feed(entry.data)]
            after = entries[-1].last if entries else 0
            if _ending_of(frames):
                return frames, after + 1
            if lost.settled:  # Nothing was lost with the writer.
                self._check_ours()
                return frames, after + 1
            with suppress(ConditionFailed):
                return frames, self._continuations.table.skip_ids(self._state.id, after, self._state.epoch, time.time())
            self._check_ours()
        raise StreamCut("taken_over", _TAKEN_OVER)

    def _check_ours(self) -> None:
        """Raise StreamCut where the stream is another's by now, or has ended.

        Once the log is read, and not before it: what a newer writer has added there, it has claimed the stream for.
        """
        state = self._find()
        if state.epoch != self._state.epoch:
            raise StreamCut("taken_over", _TAKEN_OVER)
        if state.status != "running":
            raise _stopped()


def _stopped() -> StreamCut:
    return StreamCut("stream_stopped", "The stream was stopped by its owner.")


def _ending_of(frames: Sequence[bytes]) -> Status | None:
    """Return how a stream has ended whose log has an end; its writer has died before it could note it."""
    last = last_event(frames)
    return _ENDINGS.get(last.name) if last else None


def _progress_of(frames: Sequence[bytes]) -> StreamProgress:
    progress = StreamProgress()
    for frame in frames:
        progress.see(frame)
    return progress
