"""Reading an answer of Claude's to its end, and knowing whether that was its end."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from sluice.claude.connection import CONNECTION_ERRORS
from sluice.claude.errors import build_error, read_error_code
from sluice.claude.events import FrameSplitter, NotAnEvent, StreamProgress
from sluice.deadline import Deadline
from sluice.streams.errors import StreamCut
from sluice.streams.timeouts import Timeouts, deadline_cut
from sluice.streams.upstream import UpstreamResponse


def read_frames(answer: UpstreamResponse, progress: StreamProgress, timeouts: Timeouts) -> Iterator[list[bytes]]:
    """Yield the frames of a stream as they come, whole ones only, up to its ``message_stop``.

    Raises StreamCut where the stream ends in any other way. No frame that is none of Claude's passes: a client's parser
    would fail on it, and say less than the error event that follows instead.
    """
    splitter = FrameSplitter()
    while not progress.stopped:
        answer.set_timeout(timeouts.left())
        frames: list[bytes] = []
        cut = _sort(_read_piece(answer, timeouts), splitter, progress, timeouts, frames)
        if frames:
            yield frames
        if cut:
            raise cut


def _sort(
    piece: bytes, splitter: FrameSplitter, progress: StreamProgress, timeouts: Timeouts, frames: list[bytes]
) -> StreamCut | None:
    """Add the good frames of a piece to ``frames``; return what is behind them that ends the stream, if anything is."""
    try:
        for frame in splitter.feed(piece):
            if progress.see(frame):
                timeouts.moved()
            if progress.error is not None:
                return error_of(progress.error, frame)
            frames.append(frame)
    except NotAnEvent as error:
        return StreamCut("garbage", f"What came from Claude was not an answer: {error}")
    return None


def read_whole(answer: UpstreamResponse, deadline: Deadline) -> bytes:
    """Read an answer that is not a stream. Raises StreamCut where it is cut."""
    pieces: list[bytes] = []
    try:
        while True:
            if deadline.left() <= 0:
                raise deadline_cut()
            answer.set_timeout(deadline.left())
            piece = answer.read_piece()
            if not piece:
                return b"".join(pieces)
            pieces.append(piece)
    except TimeoutError:
        raise deadline_cut() from None
    except CONNECTION_ERRORS as error:
        raise StreamCut("connection_cut", f"The connection to Claude broke ({type(error).__name__}).") from None


def _read_piece(answer: UpstreamResponse, timeouts: Timeouts) -> bytes:
    try:
        piece = answer.read_piece()
    except TimeoutError:
        raise timeouts.cut() from None
    except CONNECTION_ERRORS as error:
        raise StreamCut("connection_cut", f"The connection to Claude broke ({type(error).__name__}).") from None
    if not piece:
        raise StreamCut("ended_early", "Claude ended the stream before the answer was complete.")
    return piece


def error_of(error: Mapping[str, object], frame: bytes) -> StreamCut:
    """Return the failure that Claude itself reported where an answer should be; ``frame`` is the event that did."""
    error_type = str(error.get("type") or "api_error")
    message = str(error.get("message") or "Claude sent an error without a message.")
    failure = build_error(error_type, message, read_error_code(error))
    return StreamCut("claude_error", message, error_type=error_type, frame=frame, failure=failure)
