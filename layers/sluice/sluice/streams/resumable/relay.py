"""The body of a stream that is kept or leased: every event goes to the client and to the log."""

from __future__ import annotations

import json
from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass

from sluice.claude.events import FrameSplitter
from sluice.deadline import Deadline
from sluice.errors import AwsError, RequestError, SluiceError, TransientError, describe_error
from sluice.settings import StreamSettings
from sluice.streams.call_log import CallReport, Payer
from sluice.streams.connect import CallRefused, Connector, UpstreamCall
from sluice.streams.errors import StreamCut, internal_error
from sluice.streams.relay import OpenStream, open_stream, take_progress
from sluice.streams.request import parse_params
from sluice.streams.resumable.continuation import PING, PartialAnswer, Splice, continued_mark, ending_frames, last_id
from sluice.streams.resumable.log_writer import LogWriter
from sluice.streams.resumable.table import Status, StoredRequest, StreamTable
from sluice.streams.timeouts import Timeouts
from sluice.streams.upstream import UpstreamResponse

_MOST_CONTINUATIONS = 3
# After these a stream is left to the next reader; their error events are not part of it.
_LEFT_TO_NEXT = frozenset({"deadline", "taken_over", "lease_expired"})


@dataclass(frozen=True, slots=True)
class Continuations:
    """What it takes to ask Claude for the rest of an answer."""

    settings: StreamSettings
    table: StreamTable
    connector: Connector
    deadline: Deadline
    payer: Payer

    def timeouts(self) -> Timeouts:
        """Start the clocks of a stream."""
        return Timeouts(self.settings.ping_timeout_seconds, self.settings.content_timeout_seconds, self.deadline)

    def read_frames(self, stream_id: str) -> list[bytes]:
        """Read all events that are kept of a stream."""
        entries = self.table.read_log(stream_id, 0)
        return [frame for entry in entries for frame in FrameSplitter().feed(entry.data)]

    def upstream_call(self, request: StoredRequest, partial: PartialAnswer) -> tuple[OpenStream, int]:
        """Ask for the rest. Raises StreamCut where there is none to be had."""
        params = partial.continued_params(parse_params(request.body))
        body = json.dumps(params).encode()
        wait = self.settings.content_timeout_seconds
        headers, lost = request.headers, self.payer.note_lost
        upstream_call = UpstreamCall("POST", request.target, headers, body, self.deadline, wait, lost)
        try:
            self.payer.admit(params, len(body))
            return self.connector.open(upstream_call, self._accept)
        except CallRefused as refused:
            failure = refused.failure
            raise StreamCut("claude_error", str(failure), error_type=failure.error_type, failure=failure) from None
        except StreamCut:
            raise
        except TransientError as failure:
            raise StreamCut("connection_cut", str(failure)) from None
        except RequestError as refusal:
            raise StreamCut("not_continuable", f"The answer was not continued. {refusal}") from None
        except SluiceError as error:
            raise _not_continuable(error) from error

    def _accept(self, answer: UpstreamResponse) -> OpenStream:
        if not (answer.header("content-type") or "").startswith("text/event-stream"):
            raise StreamCut("garbage", "What came from Claude was not a stream.")
        return open_stream(answer, self.timeouts())


class ResumableRelay:
    """A stream on its way to its client and its log. ``continues``: a cut answer is taken up here and now."""

    def __init__(
        self,
        log_writer: LogWriter,
        report: CallReport,
        record: Callable[[], None],
        continuations: Continuations,
        request: StoredRequest | None,
        *,
        continues: bool,
    ) -> None:
        self._log_writer = log_writer
        self._report = report
        self._settle = record
        self._continuations = continuations
        self._request = request
        self._continues = continues
        self._stream: OpenStream | None = None
        self._status: Status | None = None
        report.outcome = "client_gone"
        report.stream_id = log_writer.state.id

    def relay(self, stream: OpenStream) -> Generator[bytes, None, None]:
        """Yield the events of a stream that has been opened."""
        self._take(stream)
        return self._guarded(self._run(stream.frames(), None))

    def resume(self) -> Generator[bytes, None, None]:
        """Yield the rest of a stream whose writer has died."""
        lost = StreamCut("writer_lost", "The function that wrote this stream has died.")
        return self._guarded(self._run(iter(()), lost))

    def end(self) -> None:
        """End the call to Claude, write what is held, and settle."""
        try:
            self._drop()
            self._log_writer.close(self._status or (None if self._log_writer.state.kept else "failed"))
        finally:
            self._settle()

    def _guarded(self, chunks: Iterator[bytes]) -> Generator[bytes, None, None]:
        try:
            for chunk in chunks:
                if self._report.first_byte_ms is None:
                    self._report.note_first_byte()
                yield chunk
        except Exception as error:  # noqa: BLE001  no stream ends without a word
            event = self._last_event(internal_error())
            self._report.note_failure(error, "cut")
            yield event
        except GeneratorExit:
            raise
        except BaseException:
            self._report.outcome = "interrupted"
            raise

    def _run(self, frames: Iterator[list[bytes]], cut: StreamCut | None) -> Iterator[bytes]:
        while True:
            if cut is None:
                cut = yield from self._pass(frames)
            if cut is None:
                self._status = "complete"
                self._report.outcome = "succeeded"
                return
            if not self._may_continue(cut):
                yield self._last_event(cut)
                return
            self._report.continuations += 1
            try:
                frames = yield from self._reopen(cut)
                cut = None
            except StreamCut as refusal:
                self._continues = False
                cut = refusal

    def _pass(self, frames: Iterator[list[bytes]]) -> Generator[bytes, None, StreamCut | None]:
        try:
            for each in frames:
                yield self._log_writer.append(each)
        except StreamCut as cut:
            self._drop()
            return self._log_writer.cut() or cut
        self._drop()
        return None

    def _may_continue(self, cut: StreamCut) -> bool:
        possible = self._request is not None and self._report.continuations < _MOST_CONTINUATIONS
        return possible and self._continues and cut.retryable

    def _reopen(self, cut: StreamCut) -> Generator[bytes, None, Iterator[list[bytes]]]:
        """Mark the continuation, which also makes sure that nobody else writes, and ask for the rest."""
        assert self._request is not None
        try:
            self._log_writer.sync()
            kept = self._continuations.read_frames(self._log_writer.state.id)
            partial = PartialAnswer.of_frames(kept)
            partial.check_continuable()
            mark = self._log_writer.append([self._mark(partial, last_id(kept), cut)])
            self._log_writer.sync()
        except AwsError as error:
            raise _not_continuable(error) from error
        yield mark
        if partial.ended:
            return iter([ending_frames(partial)])
        stream, tries = self._continuations.upstream_call(self._request, partial)
        self._report.tries += tries
        self._take(stream)
        splice = Splice(partial)
        return (joined for joined in map(splice.join, stream.frames()) if joined)

    def _mark(self, partial: PartialAnswer, after: int, cut: StreamCut) -> bytes:
        """Return the event that takes the next place in the log: a ping where nothing was said that could go on."""
        if not partial.started:
            return PING
        return continued_mark(self._log_writer.state.id, after, cut.code)

    def _last_event(self, cut: StreamCut) -> bytes:
        self._report.note_failure(cut, "cut")
        if isinstance(cut.__cause__, SluiceError):
            self._report.cause = describe_error(cut.__cause__)
        event = cut.event(self._report.request_id)
        if self._log_writer.state.kept and cut.code in _LEFT_TO_NEXT:
            return event
        self._status = "stopped" if cut.code == "stream_stopped" else "failed"
        return self._log_writer.append([event])

    def _take(self, stream: OpenStream) -> None:
        self._stream = stream
        self._log_writer.watch(stream.answer.interrupt)

    def _drop(self) -> None:
        stream, self._stream = self._stream, None
        if stream is not None:
            self._log_writer.watch(_nothing)
            stream.close()
            take_progress(self._report, stream.progress)


def _not_continuable(error: SluiceError) -> StreamCut:
    """Return the error for the client, which leaves out what AWS said: it names roles and tables."""
    return StreamCut("not_continuable", f"The answer could not be continued ({type(error).__name__}).")


def _nothing() -> None:
    return
