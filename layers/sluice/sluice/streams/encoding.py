"""What of an answer's frames the client gets: all of it as it came, or only the text."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from sluice.claude.events import parse_frame
from sluice.streams.faults import StreamCut

_ORDINARY_ENDS = frozenset({"end_turn", "stop_sequence", "tool_use"})


class Encoder(Protocol):
    """``encode`` takes the frames of one read; ``end`` what has cut the stream, or None where it is complete."""

    def encode(self, frames: Sequence[bytes]) -> bytes: ...
    def end(self, cut: StreamCut | None) -> bytes: ...


class EventEncoder:
    """The events, byte for byte."""

    def __init__(self, request_id: str) -> None:
        self._request_id = request_id

    def encode(self, frames: Sequence[bytes]) -> bytes:
        return frames[0] if len(frames) == 1 else b"".join(frames)

    def end(self, cut: StreamCut | None) -> bytes:
        return cut.event(self._request_id) if cut else b""


class TextEncoder:
    """Only the text, for people. An end that is not the answer's own is said in a last line of its own."""

    def __init__(self) -> None:
        self._last = "\n"
        self._stop_reason: str | None = None

    def encode(self, frames: Sequence[bytes]) -> bytes:
        text = "".join(self._text_of(frame) for frame in frames)
        self._last = text[-1:] or self._last
        return text.encode()

    def end(self, cut: StreamCut | None) -> bytes:
        newline = "" if self._last == "\n" else "\n"
        if cut is not None:
            return f"{newline}[{cut.error_type}: {cut}]\n".encode()
        if self._stop_reason and self._stop_reason not in _ORDINARY_ENDS:
            return f"{newline}[stop_reason: {self._stop_reason}]\n".encode()
        return newline.encode()

    def _text_of(self, frame: bytes) -> str:
        event = parse_frame(frame)
        if event is None or event.name not in ("content_block_delta", "message_delta"):
            return ""
        delta = event.decode().get("delta")
        if not isinstance(delta, dict):
            return ""
        self._stop_reason = delta.get("stop_reason") or self._stop_reason
        return str(delta.get("text", "")) if delta.get("type") == "text_delta" else ""
