"""The body of batches.create, split into blocks of requests while it arrives, so that it is never held as a whole.

A body is `{"requests":[<request>,<request>…]}`. A window of it that starts at a request is cut where `[<window>]`
decodes as a list of requests: a cut inside a string or inside a nested value leaves something open, so that a cut that
decodes is a cut between two requests.
"""

import re
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Annotated

import msgspec
from msgspec import Meta, Raw, Struct

from local.simulator.errors import ApiError
from local.simulator.params import describe_decode_error

MAX_BATCH_REQUESTS = 100_000
MAX_BATCH_BYTES = 256 * 1024 * 1024
_WINDOW = 1024 * 1024
_OPENING = re.compile(rb'\s*\{\s*"requests"\s*:\s*\[\s*')
_OPENING_BYTES = 64 * 1024
_CLOSING = re.compile(rb"\s*\]\s*\}\s*")
# Likely cuts first: requests as SDKs write them, then any object followed by an object.
_LIKELY_CUT = re.compile(rb'\}(\s*,\s*)\{\s*"(?:custom_id|params)"\s*:')
_ANY_CUT = re.compile(rb"\}(\s*,\s*)\{")
_MAX_TRIES = 8


class BatchRequest(Struct, forbid_unknown_fields=True):
    """One request of a batch; its params are checked when it runs."""

    custom_id: Annotated[str, Meta(pattern=r"^[a-zA-Z0-9_-]{1,64}\Z")]
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
    _pending: bytearray = field(default_factory=bytearray)
    _offset: int = 0
    _opened: bool = False
    _next_try: int = _WINDOW

    def feed(self, data: bytes) -> None:
        """Take the next piece of the body."""
        self.size += len(data)
        if self.size > MAX_BATCH_BYTES:
            raise ApiError(413, "Request exceeds the maximum size of 256 MB")
        self._pending += data
        if not self._opened and len(self._pending) >= _OPENING_BYTES:
            self._open()
        if self._opened and len(self._pending) >= self._next_try:
            self._take_window()

    def finish(self) -> None:
        """Take the end of the body, and check it as a whole."""
        if not self._opened:
            self._open()
        closing = _last_closing(self._pending)
        if closing is None:
            raise ApiError(400, "The request body is not valid JSON.")
        rest = bytes(memoryview(self._pending)[:closing]).rstrip()
        if rest:
            self._add(rest, _decode(rest, len(self.custom_ids)))
        elif self.blocks:
            raise ApiError(400, "The request body is not valid JSON.")
        self._pending = bytearray()
        _check_custom_ids(self.custom_ids)

    def _open(self) -> None:
        found = _OPENING.match(self._pending)
        if found is None:
            raise ApiError(400, _why_not_open(bytes(self._pending)))
        self._offset = found.end()
        del self._pending[: found.end()]
        self._opened = True

    def _take_window(self) -> None:
        for cut, resume in _cuts(self._pending):
            window = bytes(memoryview(self._pending)[:cut])
            try:
                requests = read_block(window)
            except msgspec.ValidationError:
                requests = _decode(window, len(self.custom_ids))
            except (msgspec.DecodeError, UnicodeDecodeError):
                continue
            self._add(window, requests)
            self._offset += resume - cut
            del self._pending[:resume]
            self._next_try = _WINDOW
            return
        self._next_try = len(self._pending) * 2

    def _add(self, data: bytes, requests: list[BatchRequest]) -> None:
        self.blocks.append(Block(self._offset, self._offset + len(data), len(requests)))
        self._offset += len(data)
        self.custom_ids.extend(request.custom_id for request in requests)
        if len(self.custom_ids) > MAX_BATCH_REQUESTS:
            raise ApiError(413, f"requests: a batch may have at most {MAX_BATCH_REQUESTS} requests")


def _cuts(window: bytearray) -> Iterator[tuple[int, int]]:
    """Where the window may be cut, last first: the end of a request, and the start of the next."""
    end = len(window)
    reach = 64 * 1024
    while True:
        start = max(end - reach, 0)
        likely = [found.span(1) for found in _LIKELY_CUT.finditer(window, start)]
        if likely or start == 0:
            break
        reach *= 8
    yield from reversed(likely[-_MAX_TRIES:])
    yield from reversed(deque((found.span(1) for found in _ANY_CUT.finditer(window)), _MAX_TRIES))


def _last_closing(pending: bytearray) -> int | None:
    """Where the closing `]}` starts, if the body ends with it."""
    stripped = pending.rstrip()
    brace = len(stripped) - 1
    bracket = stripped.rfind(b"]")
    if bracket >= 0 and _CLOSING.fullmatch(stripped, bracket) and stripped[brace : brace + 1] == b"}":
        return bracket
    return None


def _decode(data: bytes, first: int) -> list[BatchRequest]:
    """The requests of a block whose first is number `first`. Raises ApiError with the place of what is wrong."""
    try:
        return read_block(data)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        text = describe_decode_error(error)
    if found := re.match(r"(\d+)([.:].*)", text, re.DOTALL):
        raise ApiError(400, f"requests.{first + int(found[1])}{found[2]}")
    raise ApiError(400, text)


def _check_custom_ids(custom_ids: list[str]) -> None:
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
