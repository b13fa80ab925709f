"""The body of an answer: Claude's frames on their way to the client."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass

from sluice.claude.events import StreamProgress
from sluice.streams.call_log import CallReport, UsedByAnswer
from sluice.streams.encoding import Encoder
from sluice.streams.errors import StreamCut, internal_error
from sluice.streams.reading import read_frames
from sluice.streams.timeouts import Timeouts
from sluice.streams.upstream import UpstreamResponse


@dataclass(frozen=True, slots=True)
class OpenStream:
    """A stream whose first frames have come. ``rest`` yields those that follow, and raises StreamCut."""

    answer: UpstreamResponse
    progress: StreamProgress
    first: list[bytes]
    rest: Iterator[list[bytes]]

    def frames(self) -> Iterator[list[bytes]]:
        """Yield all frames."""
        yield self.first
        yield from self.rest

    def close(self) -> None:
        """End the call to Claude."""
        if self.progress.stopped:
            self.answer.close()
        else:
            self.answer.abandon()


def open_stream(answer: UpstreamResponse, timeouts: Timeouts) -> OpenStream:
    """Wait for the first frames. Raises StreamCut where none come: then the call can still be made again."""
    progress = StreamProgress()
    rest = read_frames(answer, progress, timeouts)
    return OpenStream(answer, progress, next(rest), rest)


class Relay:
    """A stream on its way to its client. However it ends, it is settled once, by ``end``."""

    def __init__(self, stream: OpenStream, encoder: Encoder, report: CallReport, record: Callable[[], None]) -> None:
        self._stream = stream
        self._encoder = encoder
        self._report = report
        self._settle = record

    def chunks(self) -> Generator[bytes, None, None]:
        """Yield what the client gets."""
        report = self._report
        report.outcome = "client_gone"
        try:
            for frames in self._stream.frames():
                data = self._encoder.encode(frames)
                if report.first_byte_ms is None:
                    report.note_first_byte()
                yield data
            report.outcome = "succeeded"
            yield self._encoder.end(None)
        except StreamCut as cut:
            report.note_failure(cut, "cut")
            yield self._encoder.end(cut)
        except Exception as error:  # noqa: BLE001  no stream ends without a word
            report.note_failure(error, "cut")
            yield self._encoder.end(internal_error())
        except GeneratorExit:
            raise
        except BaseException:
            report.outcome = "interrupted"
            raise

    def end(self) -> None:
        """End the call to Claude, and settle."""
        try:
            self._stream.close()
        finally:
            take_progress(self._report, self._stream.progress)
            self._settle()


def take_progress(report: CallReport, progress: StreamProgress) -> None:
    """Take over what a stream has shown."""
    report.events += progress.events
    report.model = progress.model or report.model
    report.stop_reason = progress.stop_reason
    usage = progress.usage
    if progress.reported:
        reported = {**progress.reported, "output_tokens": progress.estimated_output_tokens()}
        report.answers.append(UsedByAnswer(report.model or "", reported, progress.container))
    report.usage.input_tokens += usage.input_tokens
    report.usage.output_tokens += progress.estimated_output_tokens()
    report.usage.cache_creation_input_tokens += usage.cache_creation_input_tokens
    report.usage.cache_read_input_tokens += usage.cache_read_input_tokens
