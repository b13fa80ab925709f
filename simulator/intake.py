"""The body of batches.create, split into blocks of requests while it arrives, so that it is never held as a whole.

A body is `{"requests":[<request>,<request>…]}`. A window of it that starts at a request is cut where `[<window>]`
decodes as a list of requests: a cut inside a string or inside a nested value leaves something open, so that a cut that
decodes is a cut between two requests.
"""

import re
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field

import msgspec
from msgspec import Raw, Struct

from simulator.errors import ApiError
from simulator.params import describe_decode_error

MAX_BATCH_REQUESTS = 100_000
MAX_BATCH_BYTES = 256 * 1024 * 1024
_WINDOW = 512 * 1024
_COMMA, _CLOSING_BRACKET = b",]"
_CUSTOM_ID = r"[a-zA-Z0-9_-]{1,64}"
_CUSTOM_IDS = re.compile(rf"(?:{_CUSTOM_ID}\n)*")
_OPENING = re.compile(rb'\s*\{\s*"requests"\s*:\s*\[')
_CLOSING = re.compile(rb"\]\s*\}\s*")
# Likely cuts first: requests as SDKs write them, then any object followed by an object.
_LIKELY_CUT = re.compile(rb'\}\s*(,)\s*\{\s*"(?:custom_id|params)"\s*:')
_ANY_CUT = re.compile(rb"\}\s*(,)\s*\{")
_MAX_TRIES = 8


class BatchRequest(Struct, forbid_unknown_fields=True, gc=False):
    """One request of a batch; its params are checked when it runs."""

    custom_id: str
    params: Raw


_decoder = msgspec.json.Decoder(list[BatchRequest])


@dataclass(frozen=True, slots=True)
class Block:
    """Where a run of requests lies in the body: bytes `start` to `stop`, separated by commas."""

    start: int
    stop: int
    count: int


def read_block(data: bytes) -> list[BatchRequest]:
    """The requests of a block's bytes. Raises msgspec.DecodeError."""
    return _decoder.decode(b"[%b]" % data)


@dataclass(slots=True)
class Intake:
    """Takes a body piece by piece; afterwards `blocks` says where its requests are, `custom_ids` what they are called.

    Raises ApiError (400, 413) from `feed` or `finish` as soon as the body is seen to be wrong.
    """

    blocks: list[Block] = field(default_factory=list)
    custom_ids: list[str] = field(default_factory=list)
    size: int = 0
    _pieces: list[bytes] = field(default_factory=list)
    _pending: int = 0
    _offset: int = 0
    _opened: bool = False
    _next_try: int = _WINDOW

    def feed(self, data: bytes) -> None:
        """Take the next piece of the body."""
        self.size += len(data)
        if self.size > MAX_BATCH_BYTES:
            raise ApiError(413, "Request exceeds the maximum size of 256 MB")
        self._pieces.append(data)
        self._pending += len(data)
        if self._pending >= self._next_try:
            self._take_window(self._join())

    def finish(self) -> None:
        """Take the end of the body, and check it as a whole."""
        window = self._join()
        closing = _last_closing(window)
        if closing is None:
            raise ApiError(400, "The request body is not valid JSON.")
        window[closing:] = b"]"
        if window != b"[]":
            self._add(closing, _decode(window, len(self.custom_ids)))
        elif self.blocks:
            raise ApiError(400, "The request body is not valid JSON.")
        _check_all(self.custom_ids)

    def _join(self) -> bytearray:
        """What has not been taken yet, behind an opening bracket in place of what separates it from what has."""
        window = bytearray().join(self._pieces)
        if not self._opened:
            found = _OPENING.match(window)
            if found is None:
                raise ApiError(400, _why_not_open(bytes(window)))
            del window[: found.end() - 1]
            self._offset = found.end() - 1
            self._opened = True
        return window

    def _take_window(self, window: bytearray) -> None:
        for cut in _cuts(window):
            window[cut] = _CLOSING_BRACKET
            try:
                requests = _decoder.decode(memoryview(window)[: cut + 1])
            except msgspec.ValidationError:
                requests = _decode(memoryview(window)[: cut + 1], len(self.custom_ids))
            except (msgspec.DecodeError, UnicodeDecodeError):
                window[cut] = _COMMA
                continue
            self._add(cut, requests)
            self._keep(b"[" + window[cut + 1 :])
            self._next_try = _WINDOW
            return
        self._keep(bytes(window))
        self._next_try = len(window) * 2

    def _keep(self, rest: bytes) -> None:
        self._pieces, self._pending = [rest], len(rest)

    def _add(self, cut: int, requests: list[BatchRequest]) -> None:
        self.blocks.append(Block(self._offset + 1, self._offset + cut, len(requests)))
        self._offset += cut
        first = len(self.custom_ids)
        self.custom_ids += [request.custom_id for request in requests]
        _check_form(self.custom_ids, first)
        if len(self.custom_ids) > MAX_BATCH_REQUESTS:
            raise ApiError(413, f"requests: a batch may have at most {MAX_BATCH_REQUESTS} requests")


def _cuts(window: bytearray) -> Iterator[int]:
    """Where the window may be cut, last first: the commas that may be between two requests."""
    start, reach = len(window), 8 * 1024
    likely: list[int] = []
    while start and not likely:
        start, reach = max(len(window) - reach, 0), reach * 8
        likely = [found.start(1) for found in _LIKELY_CUT.finditer(window, start)]
    yield from reversed(likely[-_MAX_TRIES:])
    yield from reversed(deque((found.start(1) for found in _ANY_CUT.finditer(window)), _MAX_TRIES))


def _last_closing(window: bytearray) -> int | None:
    """Where the closing `]}` starts, if the body ends with it."""
    bracket = window.rfind(b"]")
    return bracket if bracket >= 0 and _CLOSING.fullmatch(window, bracket) else None


def _decode(data: bytearray | memoryview, first: int) -> list[BatchRequest]:
    """The list of requests whose first is number `first`. Raises ApiError with the place of what is wrong."""
    try:
        return _decoder.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        text = describe_decode_error(error)
    if found := re.match(r"(\d+)([.:].*)", text, re.DOTALL):
        raise ApiError(400, f"requests.{first + int(found[1])}{found[2]}")
    raise ApiError(400, text)


def _check_form(custom_ids: list[str], first: int) -> None:
    """Check those from number `first` on: all at once, since there may be many; one by one to say which is wrong."""
    if _CUSTOM_IDS.fullmatch("\n".join([*custom_ids[first:], ""])):
        return
    for number in range(first, len(custom_ids)):
        if not re.fullmatch(_CUSTOM_ID, custom_ids[number]):
            raise ApiError(400, f"requests.{number}.custom_id: String should match pattern '^{_CUSTOM_ID}$'")


def _check_all(custom_ids: list[str]) -> None:
    if not custom_ids:
        raise ApiError(400, "requests: List should have at least 1 item after validation, not 0")
    if len(set(custom_ids)) == len(custom_ids):
        return
    seen: set[str] = set()
    for number, custom_id in enumerate(custom_ids):
        if custom_id in seen:
            raise ApiError(400, f"requests.{number}.custom_id: custom_ids must be unique; `{custom_id}` is repeated")
        seen.add(custom_id)


def _why_not_open(body: bytes) -> str:
    try:
        value = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return "The request body is not valid JSON."
    if not isinstance(value, dict) or "requests" not in value:
        return "requests: Field required"
    return "requests: Input should be a valid list"
