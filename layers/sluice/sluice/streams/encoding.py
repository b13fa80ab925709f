"""What of an answer's frames the client gets: all of it as it came, or only the text."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from sluice.claude.events import parse_frame
from sluice.streams.errors import StreamCut

_ORDINARY_ENDS = frozenset({"end_turn", "stop_sequence", "tool_use"})


def whole_characters(text: str) -> str:
    """Return a text that can be written as UTF-8: two halves of a character are joined, and one alone is replaced."""
    if text.isascii():
        return text
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")


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
        self._half = ""
        self._last = "\n"
        self._stop_reason: str | None = None

    def encode(self, frames: Sequence[bytes]) -> bytes:
        text = self._half + "".join(self._text_of(frame) for frame in frames)
        # A character beyond the first 65536 is two escapes in JSON, and may come in two deltas.
        self._half = text[-1:] if "\ud800" <= text[-1:] <= "\udbff" else ""
        text = text.removesuffix(self._half)
        self._last = text[-1:] or self._last
        return whole_characters(text).encode()

    def end(self, cut: StreamCut | None) -> bytes:
        line = ""
        if cut is not None:
            line = f"[{cut.error_type}: {cut}]\n"
        elif self._stop_reason and self._stop_reason not in _ORDINARY_ENDS:
            line = f"[stop_reason: {self._stop_reason}]\n"
        newline = "" if (self._half or self._last) == "\n" else "\n"
        return whole_characters(f"{self._half}{newline}{line}").encode()

    def _text_of(self, frame: bytes) -> str:
        event = parse_frame(frame)
        if event is None or event.name not in ("content_block_delta", "message_delta"):
            return ""
        delta = event.decode().get("delta")
        if not isinstance(delta, dict):
            return ""
        self._stop_reason = str(delta.get("stop_reason") or "") or self._stop_reason
        return str(delta.get("text", "")) if delta.get("type") == "text_delta" else ""
