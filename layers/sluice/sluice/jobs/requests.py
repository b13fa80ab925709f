"""The requests of a shard, read once more for those that failed: to be sent again, or to stand beside their error."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import msgspec

from sluice.aws.s3 import S3
from sluice.errors import SluiceError
from sluice.jobs.model import Source
from sluice.jobs.storage import whole_lines


class Edit(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """At ``offset``, ``removed`` bytes go and ``inserted`` takes their place."""

    offset: int
    removed: int
    inserted: str = ""


_ENCODER = msgspec.json.Encoder()
_DECODER = msgspec.json.Decoder(Edit)


def encode_edit(edit: Edit) -> bytes:
    """Write an edit as a line of an edits object."""
    return _ENCODER.encode(edit) + b"\n"


def decode_edits(chunks: Iterable[bytes]) -> Iterator[Edit]:
    """Read the edits of an edits object, whose bytes come in chunks cut anywhere."""
    for block in whole_lines(chunks):
        yield from _DECODER.decode_lines(block)


def apply_edits(chunks: Iterable[bytes], edits: Iterable[Edit], start: int) -> Iterator[bytes]:
    """Make the edits in bytes that begin at ``start`` of the object. Edits are in order and do not overlap."""
    remaining = iter(edits)
    edit = next(remaining, None)
    offset = passed = start
    for chunk in chunks:
        end = offset + len(chunk)
        pieces: list[bytes] = []
        while edit is not None and edit.offset < end:
            if edit.offset > passed:
                pieces.append(chunk[passed - offset : edit.offset - offset])
            pieces.append(edit.inserted.encode())
            passed = edit.offset + edit.removed
            edit = next(remaining, None)
        if passed < end:
            pieces.append(chunk[passed - offset :])
            passed = end
        offset = end
        yield b"".join(pieces)


def edit_between(offset: int, old: bytes, new: bytes) -> Edit | None:
    """Return the smallest single edit that makes ``new`` of ``old``, which lies at ``offset``; None where they are one.

    ``new`` is UTF-8, and no character of it is cut.
    """
    if old == new:
        return None
    prefix = _common_prefix(old, new)
    while _inside_character(new, prefix):
        prefix -= 1
    suffix = _common_suffix(old[prefix:], new[prefix:])
    while suffix and _inside_character(new, len(new) - suffix):
        suffix -= 1
    inserted = new[prefix : len(new) - suffix].decode()
    return Edit(offset + prefix, len(old) - prefix - suffix, inserted)


def _common_prefix(one: bytes, other: bytes) -> int:
    low, high = 0, min(len(one), len(other))
    while low < high:
        middle = (low + high + 1) // 2
        if one[low:middle] == other[low:middle]:
            low = middle
        else:
            high = middle - 1
    return low


def _common_suffix(one: bytes, other: bytes) -> int:
    return _common_prefix(one[::-1], other[::-1])


def _inside_character(text: bytes, at: int) -> bool:
    """Return whether a cut before this byte would part a character (UTF-8: continuation bytes are 10xxxxxx)."""
    return 0 < at < len(text) and text[at] & 0xC0 == 0x80


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


class RawRequest(msgspec.Struct):
    """A request whose parts stay as they are."""

    custom_id: str
    params: msgspec.Raw = msgspec.Raw(b"null")


_REQUEST = msgspec.json.Decoder(RawRequest)
_PARAMS = msgspec.json.Decoder(dict[str, msgspec.Raw])
_ENCODER = msgspec.json.Encoder()


def read_request(line: bytes) -> RawRequest:
    return _REQUEST.decode(line)


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


def with_max_tokens(line: bytes, max_tokens: int) -> bytes | None:
    """Write a request with a larger ``max_tokens``; None where it has as many already."""
    request = _REQUEST.decode(line)
    params = _PARAMS.decode(request.params)
    if int(bytes(params.get("max_tokens", b"0"))) >= max_tokens:
        return None
    params["max_tokens"] = msgspec.Raw(str(max_tokens).encode())
    return b'{"custom_id":%s,"params":%s}' % (_ENCODER.encode(request.custom_id), _ENCODER.encode(params))


def lines_of_ids(runs: Iterable[bytes]) -> Iterator[bytes]:
    """Write requests of which nothing but the ``custom_id`` is left: the file that had them is gone."""
    for run in runs:
        yield b"".join(b'{"custom_id":"%b","params":null}\n' % each for each in run.split())


def read_lines(objects: S3, source: Source, outbox: str) -> Iterator[bytes]:
    """Yield the requests of a shard as runs of whole lines with their newlines, its edits made.

    ``outbox`` is the bucket with the edits. Memory does not grow with the shard. Raises as ``S3`` does.
    """
    chunks = objects.stream(source.bucket, source.key, source.version, start=source.start, end=source.end)
    if source.edits_key is not None:
        edits = decode_edits(objects.stream(outbox, source.edits_key))
        chunks = apply_edits(chunks, edits, source.start)
    return whole_lines(chunks)
