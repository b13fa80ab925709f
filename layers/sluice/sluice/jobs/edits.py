"""Edits of an object's bytes: where what is sent differs from what was dropped, only the difference is kept."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import msgspec

from sluice.jobs.lines import whole_lines


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
