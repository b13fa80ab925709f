"""The lines of ``rejected.jsonl``: number, reason and text of what could not run."""

from __future__ import annotations

import re
from collections.abc import Iterable

import msgspec

from sluice.jobs.formats.check import BadLine

# More of a line than this is not repeated; where the rest lies is said instead.
MAX_TEXT_BYTES = 20_000


class Cut(msgspec.Struct, frozen=True):
    """The whole line has so many ``bytes``, in a file of lines from ``offset`` (unpacked, where it is packed)."""

    bytes: int
    offset: int | None = None


class RejectedLine(msgspec.Struct, frozen=True, omit_defaults=True):
    """``line`` counts from 1. What is not UTF-8 in ``text`` is shown as ``\\xNN``."""

    line: int
    reason: str
    text: str
    cut: Cut | None = None


# So many are told of.
_DIFFERENT = 6
_ENCODER = msgspec.json.Encoder()
_DECODER = msgspec.json.Decoder(RejectedLine)


def encode_rejected(line: BadLine) -> bytes:
    """Write a line of ``rejected.jsonl``."""
    text = line.text[:MAX_TEXT_BYTES]
    cut = Cut(line.length, line.offset) if len(text) < line.length else None
    shown = text.decode(errors="backslashreplace")
    return _ENCODER.encode(RejectedLine(line.number, line.problem.reason, shown, cut)) + b"\n"


def decode_rejected(line: bytes) -> RejectedLine:
    """Read what ``encode_rejected`` wrote."""
    return _DECODER.decode(line)


_NUMBERS = re.compile(r"\d+")


def different_rejections(rejected: Iterable[RejectedLine]) -> list[str]:
    """Say of the first lines in which something different is wrong which they are and what; numbers make no difference.

    There is at least one line.
    """
    first: dict[str, str] = {}
    for each in rejected:
        first.setdefault(_NUMBERS.sub("", each.reason), f"line {each.line}: {each.reason}")
        if len(first) == _DIFFERENT:
            break
    return list(first.values())
