"""Lines of JSONL as they pass: cut from chunks, placed in their shard, and merged in the order of their places.

A *place* (ordinal) is where a request stands in the first wave of its shard. Without I/O.
"""

from __future__ import annotations

import heapq
import sys
from array import array
from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby
from operator import itemgetter


def whole_lines(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """Yield the same bytes as runs of whole lines, each with its newline; the last line gets one where it has none.

    A run is about as long as a chunk, and as long as a line where that is longer.
    """
    started: list[bytes] = []
    for chunk in chunks:
        cut = chunk.rfind(b"\n") + 1
        if not cut:
            started.append(chunk)
            continue
        yield b"".join((*started, memoryview(chunk)[:cut])) if started else chunk[:cut]
        started = [chunk[cut:]] if cut < len(chunk) else []
    if rest := b"".join(started):
        yield rest + b"\n"


def encode_ordinals(ordinals: Iterable[int]) -> bytes:
    """Write places as unsigned 32-bit little-endian numbers."""
    values = array("I", ordinals)
    if sys.byteorder == "big":
        values.byteswap()
    return values.tobytes()


def decode_ordinals(data: bytes) -> array[int]:
    """Read what ``encode_ordinals`` wrote."""
    values = array("I", data)
    if sys.byteorder == "big":
        values.byteswap()
    return values


Placed = tuple[int, bytes]
_place = itemgetter(0)


def merge_waves(waves: Sequence[Iterable[Placed]]) -> Iterator[Placed]:
    """Yield the lines of several waves in the order of their places, which ascend within each, with their places.

    Where several have a line for one place, that of the last wave counts: an answer that was asked for again.
    """
    if len(waves) == 1:
        yield from waves[0]
        return
    for _, lines in groupby(heapq.merge(*waves, key=_place), key=_place):
        *_, placed = lines
        yield placed
