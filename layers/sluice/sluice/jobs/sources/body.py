"""The body of the call that creates a batch, made of lines of JSONL as they pass.

White space between JSON's tokens means nothing, so lines become the body when each newline between them becomes a
comma: no request is parsed, and the length is known before the first byte is sent (Claude API: Message Batches).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import msgspec

_OPENING = b'{"requests":['
_CLOSING = b"]}"
# The bytes of a body beside its lines, whose newlines count as the commas, but for the last one.
FRAME_BYTES = len(_OPENING) + len(_CLOSING) - 1


class _Request(msgspec.Struct):
    params: msgspec.Raw


_FIRST = msgspec.json.Decoder(_Request)


def batch_body(lines: Iterable[bytes], nonce: str) -> Iterator[bytes]:
    """Yield the body for runs of whole lines; ``nonce`` stands in for the ``custom_id`` of the first request.

    Raises ValueError where there is no line, msgspec.DecodeError where the first one is no request.
    """
    runs = iter(lines)
    held = next(runs, b"")
    first = held.partition(b"\n")[0]
    if not first:
        raise ValueError("A batch needs at least one request.")
    yield _OPENING + mark_request(first, nonce)
    held = held[len(first) :]
    # What is held begins or ends with the newline that becomes the comma before the next run.
    for run in runs:
        yield held.replace(b"\n", b",")
        held = run
    yield held[:-1].replace(b"\n", b",") + _CLOSING


def body_length(lines_length: int, first_line: bytes, nonce: str) -> int:
    """Return the bytes of ``batch_body``, for lines of ``lines_length`` bytes with their newlines."""
    return FRAME_BYTES + lines_length - len(first_line.rstrip(b"\n")) + len(mark_request(first_line, nonce))


def mark_request(line: bytes, nonce: str) -> bytes:
    """Replace the ``custom_id`` of a request. Raises msgspec.DecodeError where the line is no request."""
    params = _FIRST.decode(line).params
    return b'{"custom_id":"%s","params":%s}' % (nonce.encode(), bytes(params))
