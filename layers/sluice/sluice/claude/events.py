"""The event stream of an answer, without I/O: bytes in, events out.

A *frame* is one event as it stands on the wire, with the blank line that ends it (HTML: Server-sent events; Claude API:
Streaming). ``FrameSplitter`` cuts frames out of bytes that arrive in any pieces; ``StreamProgress`` looks at each frame
just closely enough to know whether the answer moves, what it used, and whether it has ended.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from json import JSONDecoder
from typing import Any

# One event of a web search or a document can take megabytes; no end after this many bytes is no event stream.
MAX_FRAME_BYTES = 32 * 1024 * 1024
# A guess for output whose count has not come: near the truth for prose in the Latin alphabet.
BYTES_PER_TOKEN = 4

_BLANK_LINE = re.compile(rb"(?:\r\n|\n|\r(?!\n))(?:\r\n|\n|\r)")
_LINE_END = re.compile(rb"\r\n|\n|\r")
_DELTA = b"event: content_block_delta\ndata: "
_FIELDS = frozenset({b"event", b"data", b"id", b"retry"})
_DECODE = JSONDecoder().raw_decode
# What a delta's event carries around its text: '{"type":"content_block_delta","index":0,"delta":{"type":…}}'.
_DELTA_ENVELOPE = 115


class NotAnEvent(ValueError):
    """Bytes in the stream that no event of Claude's can be."""


class FrameSplitter:
    """Cuts a stream of bytes into frames. Any cut of the bytes gives the same frames."""

    __slots__ = ("_carriage_returns", "_rest")

    def __init__(self) -> None:
        self._rest = bytearray()
        self._carriage_returns = False

    @property
    def rest(self) -> bytes:
        """The beginning of a frame whose end has not come yet."""
        return bytes(self._rest)

    def feed(self, chunk: bytes) -> list[bytes]:
        """Return the frames that ``chunk`` completes. Raises NotAnEvent where no frame ends for too long."""
        self._carriage_returns = self._carriage_returns or b"\r" in chunk
        if not self._rest:
            if 0 <= chunk.find(b"\n\n") == len(chunk) - 2 and not self._carriage_returns:
                return [chunk]  # What Claude sends is one whole frame nearly always.
            return self._cut(chunk, 0)
        searched = max(0, len(self._rest) - 3)
        self._rest += chunk
        if not self._carriage_returns and self._rest.find(b"\n\n", searched) < 0:
            self._check_length()
            return []  # Spares a long frame that comes in many pieces a copy at each of them.
        return self._cut(bytes(self._rest), searched)

    def _cut(self, data: bytes, searched: int) -> list[bytes]:
        frames = []
        start = 0
        for end in self._ends(data, searched):
            frames.append(data[start:end])
            start = end
        self._rest = bytearray(data[start:])
        self._check_length()
        return frames

    def _ends(self, data: bytes, searched: int) -> Iterator[int]:
        if self._carriage_returns:
            for match in _BLANK_LINE.finditer(data, searched):
                if match.end() < len(data) or data[-1:] != b"\r":  # The line feed that belongs to it may follow.
                    yield match.end()
            return
        while (end := data.find(b"\n\n", searched)) >= 0:
            yield (searched := end + 2)

    def _check_length(self) -> None:
        if len(self._rest) > MAX_FRAME_BYTES:
            raise NotAnEvent(f"No event has ended within {MAX_FRAME_BYTES} bytes.")


@dataclass(frozen=True, slots=True)
class Event:
    """One event. ``data`` is its text, of several lines where it had several ``data`` fields."""

    name: str
    data: str
    id: str | None = None

    def decode(self) -> dict[str, Any]:
        """Return the data as the JSON object that every event of Claude's has. Raises NotAnEvent."""
        return _decode_object(self.data)


def parse_frame(frame: bytes) -> Event | None:
    """Read one frame; None for one without a name or data, as a comment is. Raises NotAnEvent on what is no frame."""
    name, event_id = "", None
    data: list[str] = []
    for line in _LINE_END.split(frame):
        field, _, value = line.partition(b":")
        if field in _FIELDS:
            text = _decode_text(value.removeprefix(b" "))
            if field == b"data":
                data.append(text)
            elif field == b"event":
                name = text
            elif field == b"id":
                event_id = text
        elif field:
            raise NotAnEvent("A line of the stream is no field of an event.")
    return Event(name or "message", "\n".join(data), event_id) if name or data else None


@dataclass(slots=True)
class TokenCounts:
    """Tokens of one answer (Claude API: usage). Later values replace earlier ones: they are cumulative."""

    input_tokens: int = 0
    output_tokens: int = 0
    cache_creation_input_tokens: int = 0
    cache_read_input_tokens: int = 0

    def take(self, reported: object) -> None:
        """Take over what a ``usage`` object reports."""
        if isinstance(reported, dict):
            for name in self.__slots__:
                if isinstance(reported.get(name), int):
                    setattr(self, name, reported[name])


class StreamProgress:
    """What a stream has shown so far: has it begun, does it move, has it ended, what did it use."""

    __slots__ = (
        "container",
        "content_bytes",
        "content_events",
        "error",
        "events",
        "model",
        "reported",
        "started",
        "stop_reason",
        "stopped",
        "usage",
    )

    def __init__(self) -> None:
        self.events = 0
        self.content_events = 0
        self.content_bytes = 0
        self.started = False
        self.stopped = False
        self.stop_reason: str | None = None
        self.model: str | None = None
        self.error: dict[str, Any] | None = None
        self.usage = TokenCounts()
        # All that was reported, later values in place of earlier ones: more is charged for than the tokens above.
        self.reported: dict[str, Any] = {}
        self.container = False

    def see(self, frame: bytes) -> bool:
        """Take note of a frame; return whether it carries the answer forward. Raises NotAnEvent on what is no event."""
        self.events += 1
        if frame.startswith(_DELTA):
            _check_object(frame, len(_DELTA))
            self.content_events += 1
            self.content_bytes += max(1, len(frame) - _DELTA_ENVELOPE)
            return True
        event = parse_frame(frame)
        if event is None:
            return False
        if event.name == "content_block_delta":
            event.decode()
            self.content_events += 1
            self.content_bytes += max(1, len(event.data) - _DELTA_ENVELOPE)
            return True
        return self._see_other(event)

    def _see_other(self, event: Event) -> bool:
        match event.name:
            case "message_start":
                message = event.decode().get("message")
                message = message if isinstance(message, dict) else {}
                self.started = True
                self.model = _text(message.get("model"))
                self._take_usage(message)
            case "message_delta":
                self._see_change(event.decode())
            case "message_stop":
                event.decode()
                self.stopped = True
            case "error":
                error = event.decode().get("error")
                self.error = error if isinstance(error, dict) else {}
            case "content_block_start" | "content_block_stop":
                event.decode()
            case "message":
                raise NotAnEvent("An event of the stream has no name.")
            case _:
                return False
        return True

    def _see_change(self, data: dict[str, Any]) -> None:
        self._take_usage(data)
        delta = data.get("delta") or {}
        if not isinstance(delta, dict):
            raise NotAnEvent("The delta of a message is not an object.")
        self.stop_reason = _text(delta.get("stop_reason")) or self.stop_reason
        self.container = self.container or bool(delta.get("container"))

    def _take_usage(self, values: dict[str, Any]) -> None:
        usage = values.get("usage")
        self.usage.take(usage)
        self.container = self.container or bool(values.get("container"))
        if isinstance(usage, dict):
            self.reported.update((name, value) for name, value in usage.items() if value is not None)

    def estimated_output_tokens(self) -> int:
        """Return the output tokens as reported or, where the stream was cut before that, as its length suggests."""
        return max(self.usage.output_tokens, 0 if self.stopped else self.content_bytes // BYTES_PER_TOKEN)


def _check_object(frame: bytes, start: int) -> None:
    """Check that one line of data is one JSON object, at the least cost: this runs for every delta of every stream."""
    try:
        text = frame[start:].decode()
        value, end = _DECODE(text)
        plain = type(value) is dict and text[end:] == "\n\n"
    except (ValueError, RecursionError):
        plain = False
    if not plain:
        _decode_object(_event_data(frame))


def _text(value: object) -> str | None:
    return value if isinstance(value, str) else None


def _event_data(frame: bytes) -> str:
    event = parse_frame(frame)
    return event.data if event else ""


def _decode_object(text: str) -> dict[str, Any]:
    text = text.strip()
    try:
        value, end = _DECODE(text)
    except (ValueError, RecursionError):
        raise NotAnEvent("The data of an event is not JSON.") from None
    if not isinstance(value, dict) or end != len(text):
        raise NotAnEvent("The data of an event is not one JSON object.")
    return value


def _decode_text(value: bytes) -> str:
    try:
        return value.decode()
    except UnicodeDecodeError:
        raise NotAnEvent("An event of the stream is not UTF-8.") from None
