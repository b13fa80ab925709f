"""An answer before it is sent: status, headers and body; and what faults make of its body. Pure."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from simulator.errors import CAUSES, MESSAGE_OF_TYPE, ApiError, error_body
from simulator.faults import Break
from simulator.stream import error_event

_GARBAGE_EVENTS = {
    "bad_json": b'event: content_block_delta\ndata: {"type":"content_block_delta","index":0,"delta":{"type":"te\n\n',
    "cut_utf8": b'event: content_block_delta\ndata: {"type":"content_block_delta","index":0,'
    b'"delta":{"type":"text_delta","text":"caf\xc3"}}\n\n',
    "not_sse": b"<html><head><title>502 Bad Gateway</title></head></html>\n",
}
_GARBAGE_LINES = {
    "bad_json": b'{"custom_id":"broken","result":{"type":"succ\n',
    "cut_utf8": b'{"custom_id":"caf\xc3","result":{"type":"expired"}}\n',
    "not_sse": b"<html><head><title>502 Bad Gateway</title></head></html>\n",
}


@dataclass(frozen=True, slots=True)
class EventBody:
    """Server-sent events, with seconds between them, and before the first after `message_start` and its ping."""

    events: Iterator[bytes]
    event_seconds: float = 0.0
    first_event_seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class FileBody:
    """The lines of a file."""

    path: Path


@dataclass(frozen=True, slots=True)
class Answer:
    """What is sent back."""

    status: int
    body: bytes | EventBody | FileBody
    headers: Mapping[str, str] = field(default_factory=dict)

    @property
    def content_type(self) -> str:
        """The media type that goes with the kind of body."""
        if isinstance(self.body, EventBody):
            return "text/event-stream; charset=utf-8"
        return "application/x-jsonl" if isinstance(self.body, FileBody) else "application/json"


@dataclass(frozen=True, slots=True)
class Cut:
    """The body stops here."""

    how: str


@dataclass(frozen=True, slots=True)
class Stall:
    """Silence for `seconds` (None: for good), but for pings."""

    seconds: float | None
    ping_seconds: float | None


Step = bytes | Cut | Stall


def error_answer(error: ApiError, request_id: str) -> Answer:
    """The answer to a call that is refused."""
    return Answer(error.status, error_body(error.error_type, error.message, request_id))


def broken(units: Iterable[bytes], fault: Break, request_id: str, *, of_events: bool) -> Iterator[Step]:
    """The body's units (events, or lines) with what `fault` makes of them."""
    if fault.after_bytes is not None:
        units = _pieces(units, fault.after_bytes)
    limit = 1 if fault.after_bytes is not None else (fault.after_events or 0)
    rest = iter(units)
    for _, unit in zip(range(limit), rest, strict=False):
        yield unit
    yield from _breach(fault, request_id, of_events=of_events)
    if fault.how in _GARBAGE_EVENTS and fault.after_bytes is None:
        next(rest, None)
    yield from rest


def _breach(fault: Break, request_id: str, *, of_events: bool) -> Iterator[Step]:
    if fault.how in ("reset", "close", "end"):
        yield Cut(fault.how)
    elif fault.how == "stall":
        yield Stall(fault.seconds, fault.ping_seconds)
    elif fault.how == "error_event":
        body = _error_body(fault, request_id)
        yield error_event(body) if of_events else body + b"\n"
        yield Cut("end")
    else:
        yield (_GARBAGE_EVENTS if of_events else _GARBAGE_LINES)[fault.how]


def _error_body(fault: Break, request_id: str) -> bytes:
    if fault.cause is None:
        return error_body(fault.error_type, MESSAGE_OF_TYPE.get(fault.error_type, "Error"), request_id)
    cause = CAUSES[fault.cause]
    return error_body(cause.error_type, cause.message, request_id, cause.details)


def _pieces(units: Iterable[bytes], size: int) -> Iterator[bytes]:
    """The first `size` bytes as one piece, then the rest as it comes."""
    pending = bytearray()
    rest = iter(units)
    for unit in rest:
        pending += unit
        if len(pending) >= size:
            break
    yield bytes(pending[:size])
    if len(pending) > size:
        yield bytes(pending[size:])
    yield from rest


def dribbled(units: Iterable[bytes], size: int) -> Iterator[bytes]:
    """The same bytes in pieces of at most `size`."""
    for unit in units:
        for start in range(0, len(unit), size):
            yield unit[start : start + size]


def grouped(events: Iterable[bytes], size: int = 64 * 1024) -> Iterator[tuple[bytes, int]]:
    """Events joined into larger writes, with how many are in each. The first goes alone, as the real API's does."""
    group: list[bytes] = []
    length, limit = 0, 0
    for event in events:
        group.append(event)
        length += len(event)
        if length > limit:
            yield b"".join(group), len(group)
            group, length, limit = [], 0, size
    if group:
        yield b"".join(group), len(group)
