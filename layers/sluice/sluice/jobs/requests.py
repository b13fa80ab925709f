"""The lines that ask for something: ``{"custom_id": …, "params": {…}}``, as the API takes them in a batch.

All that writes or reads such a line is here, but for the fast check of whole blocks in ``formats/check.py``.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import msgspec
from msgspec import UNSET, Raw, UnsetType

from sluice.errors import SluiceError
from sluice.jobs.edits import apply_edits, decode_edits
from sluice.jobs.lines import whole_lines
from sluice.jobs.model import Source
from sluice.jobs.outbox import Outbox


class BatchRequest(msgspec.Struct):
    """A request as it is sent; ``params`` is JSON, as it stands in the line."""

    custom_id: str
    params: Raw


class UploadedRequest(msgspec.Struct, forbid_unknown_fields=True):
    """A request as somebody wrote it. One that comes from ``errors.jsonl`` has the ``result`` beside it."""

    custom_id: Any = None
    params: Raw | UnsetType = UNSET
    result: Raw | UnsetType = UNSET


class _ModelOf(msgspec.Struct):
    model: str


_REQUEST = msgspec.json.Decoder(BatchRequest)
_MODEL = msgspec.json.Decoder(_ModelOf)
_UPLOADED = msgspec.json.Decoder(UploadedRequest)
_PARAMS = msgspec.json.Decoder(dict[str, Raw])
_ENCODER = msgspec.json.Encoder()


def read_request(line: bytes) -> BatchRequest:
    """Read a line that can be sent. Raises msgspec.DecodeError where it is no request."""
    return _REQUEST.decode(line)


def read_uploaded_request(line: bytes) -> UploadedRequest:
    """Read a line of an upload, whose fields are still to be checked. Raises msgspec.DecodeError and RecursionError."""
    return _UPLOADED.decode(line)


def write_request(custom_id: str, params: bytes) -> bytes:
    """Write a line, without its newline. ``custom_id`` is one that the API takes, ``params`` is JSON."""
    return b'{"custom_id":"%s","params":%s}' % (custom_id.encode(), params)


def with_custom_id(line: bytes, custom_id: str) -> bytes:
    """Write a request with another ``custom_id``. Raises as ``read_request`` does."""
    return write_request(custom_id, bytes(read_request(line).params))


def model_of(line: bytes) -> str:
    """Read the model that a request names. Raises msgspec.DecodeError where it names none."""
    return _MODEL.decode(_REQUEST.decode(line).params).model


def with_max_tokens(line: bytes, max_tokens: int) -> bytes | None:
    """Write a request with a larger ``max_tokens``; None where it has as many already."""
    request = read_request(line)
    params = _PARAMS.decode(request.params)
    if int(bytes(params.get("max_tokens", b"0"))) >= max_tokens:
        return None
    params["max_tokens"] = Raw(str(max_tokens).encode())
    return write_request(request.custom_id, _ENCODER.encode(params))


def without_params(runs: Iterable[bytes]) -> Iterator[bytes]:
    """Write requests of which nothing but the ``custom_id`` is left, for runs of those: the file is gone."""
    for run in runs:
        yield b"".join(write_request(custom_id, b"null") + b"\n" for custom_id in run.decode().split())


def read_lines(outbox: Outbox, source: Source) -> Iterator[bytes]:
    """Yield the requests of a shard as runs of whole lines with their newlines, its edits made.

    Memory does not grow with the shard. Raises as ``S3`` does.
    """
    chunks = outbox.s3.stream(source.bucket, source.key, source.version, start=source.start, end=source.end)
    if source.edits_key is not None:
        edits = decode_edits(outbox.stream(source.edits_key))
        chunks = apply_edits(chunks, edits, source.start)
    return whole_lines(chunks)


def wanted_lines(runs: Iterable[bytes], wanted: bytes | bytearray) -> Iterator[tuple[int, bytes]]:
    """Yield place and line, without its newline, of the requests whose byte in ``wanted`` is not zero.

    Raises SluiceError where there are not as many lines as bytes.
    """
    place = 0
    for run in runs:
        lines = run.count(b"\n")
        if wanted[place : place + lines].strip(b"\0"):
            for offset, line in enumerate(run[:-1].split(b"\n"), place):
                if wanted[offset]:
                    yield offset, line
        place += lines
    if place != len(wanted):
        raise SluiceError(f"A shard of {len(wanted)} requests has {place} lines: its file is not the one it was.")


_OPENING = b'{"requests":['
_CLOSING = b"]}"
# The bytes of a body beside its lines, whose newlines count as the commas, but for the last one.
FRAME_BYTES = len(_OPENING) + len(_CLOSING) - 1


def batch_body(lines: Iterable[bytes], nonce: str) -> Iterator[bytes]:
    """Yield the body for runs of whole lines; ``nonce`` stands in for the ``custom_id`` of the first request.

    Raises ValueError where there is no line, msgspec.DecodeError where the first one is no request.
    """
    runs = iter(lines)
    held = next(runs, b"")
    first = held.partition(b"\n")[0]
    if not first:
        raise ValueError("A batch needs at least one request.")
    yield _OPENING + with_custom_id(first, nonce)
    held = held[len(first) :]
    # What is held begins or ends with the newline that becomes the comma before the next run.
    for run in runs:
        yield held.replace(b"\n", b",")
        held = run
    yield held[:-1].replace(b"\n", b",") + _CLOSING


def body_length(lines_length: int, first_line: bytes, nonce: str) -> int:
    """Return the bytes of ``batch_body``, for lines of ``lines_length`` bytes with their newlines."""
    return FRAME_BYTES + lines_length - len(first_line.rstrip(b"\n")) + len(with_custom_id(first_line, nonce))
