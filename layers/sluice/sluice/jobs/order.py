"""The order of the input, restored in results that come in any order, with little memory.

The lines lie on disk as they came. In memory there are at most sixteen bytes for each request: while the lines arrive,
a hash table from ``custom_id`` to the place in the input; afterwards, where on disk the line of each place lies.
"""

from __future__ import annotations

import os
from array import array
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from io import FileIO
from tempfile import TemporaryFile

from sluice.jobs.results import ForeignResults

# An entry of the table: the upper 47 bits of the hash, then the place plus one. 2**17 > 100,000 requests of a batch.
_PLACE_BITS = 17
_PLACE = (1 << _PLACE_BITS) - 1
_TAG = (1 << 64) - 1 - _PLACE
_LOG_ITEMS = 8192


class IdIndex:
    """Finds the place of a ``custom_id`` without keeping its text, in about 15 bytes for each.

    Two ids of the shard with one tag are told apart (the second is kept as text). An id that is not of the shard can
    have the tag of one that is: whoever reads the line of a place has to compare its ``custom_id``.
    """

    def __init__(self, count: int, hash_of: Callable[[str], int] = hash) -> None:
        if count >= _PLACE:
            raise ValueError(f"A shard has at most {_PLACE - 1} requests, not {count}.")
        self._slots = array("Q", bytes(8 * (count * 15 // 8 + 1)))
        self._hash_of = hash_of
        self._twins: dict[str, int] = {}

    def add(self, custom_ids: Sequence[str], first_place: int = 0) -> None:
        """Give the ids, which differ from each other, the places from ``first_place`` on."""
        slots, size, place = self._slots, len(self._slots), first_place
        for value in map(self._hash_of, custom_ids):
            place += 1
            slot = value % size
            if not slots[slot]:
                slots[slot] = value & _TAG | place
            elif not self._add_further(slot, value & _TAG, place):
                self._twins[custom_ids[place - 1 - first_place]] = place - 1

    def _add_further(self, slot: int, tag: int, place: int) -> bool:
        """Take the next free slot; False where an entry on the way has the tag."""
        slots, size = self._slots, len(self._slots)
        while entry := slots[slot]:
            if entry & _TAG == tag:
                return False
            slot = slot + 1 if slot + 1 < size else 0
        slots[slot] = tag | place
        return True

    def find(self, custom_ids: Sequence[str]) -> list[int]:
        """Return their places. Raises ForeignResults for one that is not there."""
        slots, size, places = self._slots, len(self._slots), []
        for value in map(self._hash_of, custom_ids):
            entry = slots[slot := value % size]
            tag = value & _TAG
            while entry & _TAG != tag or not entry:
                if not entry:
                    raise ForeignResults("The results name a request that is not of this shard.")
                slot = slot + 1 if slot + 1 < size else 0
                entry = slots[slot]
            places.append((entry & _PLACE) - 1)
        if self._twins:
            return [self._twins.get(custom_id, place) for custom_id, place in zip(custom_ids, places, strict=True)]
        return places


class Arrivals:
    """Lines on disk in the order in which they came, with a log of whose they are and where they end.

    The three files are empty, unbuffered, and open for writing and reading.
    """

    def __init__(self, count: int, lines: FileIO, places: FileIO, ends: FileIO) -> None:
        self.arrived = 0
        self._count = count
        self._written = 0
        self._lines = lines
        self._places = places
        self._ends = ends

    def add(self, block: bytes, places: Sequence[int]) -> None:
        """Keep a run of whole lines, one for each place."""
        find, end, before, ends = block.find, 0, self._written, array("Q")
        while end := find(b"\n", end) + 1:
            ends.append(before + end)
        _write(self._lines.fileno(), block)
        _write(self._places.fileno(), array("I", places).tobytes())
        _write(self._ends.fileno(), ends.tobytes())
        self._written += len(block)
        self.arrived += len(places)

    def locate(self) -> Locations:
        """Say where the line of each place lies. Raises ForeignResults where two lines have one place."""
        offsets, lengths, start = array("Q", bytes(8 * self._count)), array("I", bytes(4 * self._count)), 0
        self._places.seek(0)
        self._ends.seek(0)
        while places := array("I", self._places.read(4 * _LOG_ITEMS)):
            ends = array("Q", self._ends.read(8 * len(places)))
            for place, end in zip(places, ends, strict=True):
                if lengths[place]:
                    raise ForeignResults("The results name a request twice.")
                offsets[place], lengths[place] = start, end - start
                start = end
        return Locations(self._lines.fileno(), offsets, lengths)


class Locations:
    """Where the line of each place lies on disk, while the ``Arrivals`` are open."""

    def __init__(self, descriptor: int, offsets: array[int], lengths: array[int]) -> None:
        self._descriptor = descriptor
        self._offsets = offsets
        self._lengths = lengths

    def line(self, place: int) -> bytes:
        """Read the line of a place, with its newline; empty where none came."""
        return os.pread(self._descriptor, self._lengths[place], self._offsets[place])

    def lines(self, first: int, places: Iterable[int]) -> list[bytes]:
        """Read the lines of several places, which count from ``first``."""
        descriptor, offsets, lengths, pread = self._descriptor, self._offsets, self._lengths, os.pread
        return [pread(descriptor, lengths[first + place], offsets[first + place]) for place in places]


@contextmanager
def open_arrivals(count: int, directory: str | None = None) -> Iterator[Arrivals]:
    """Open the files for the lines of ``count`` requests. They have no names: nothing is left of them in any case."""
    with (
        TemporaryFile(dir=directory, buffering=0) as lines,
        TemporaryFile(dir=directory, buffering=0) as places,
        TemporaryFile(dir=directory, buffering=0) as ends,
    ):
        yield Arrivals(count, lines, places, ends)


def _write(descriptor: int, data: bytes) -> None:
    """Write all of the data: one call may take less, where the disk is almost full."""
    view = memoryview(data)
    while view:
        view = view[os.write(descriptor, view) :]
