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

# Of a hash's 64 bits, the upper ones are kept to tell ids apart; the slot follows from all of them.
_TAG_SHIFT, _TAG_MASK = 34, (1 << 30) - 1


class IdIndex:
    """Finds the place of a ``custom_id`` without keeping its text, in about 15 bytes for each.

    A hash table with a tag and a place (from 1; 0: free) in each slot. Two ids of the shard with one tag on one way are
    told apart: the second is kept as text. An id that is not of the shard can have the tag of one that is: whoever
    reads the line of a place has to compare its ``custom_id``.
    """

    def __init__(self, count: int, hash_of: Callable[[str], int] = hash) -> None:
        self._size = count * 15 // 8 + 1
        self._tags = array("I", bytes(4 * self._size))
        self._places = array("I", bytes(4 * self._size))
        self._hash_of = hash_of
        self._twins: dict[str, int] = {}

    def add(self, custom_ids: Sequence[str], first_place: int = 0) -> None:
        """Give the ids, which differ from each other, the places from ``first_place`` on."""
        tags, places, size, place = self._tags, self._places, self._size, first_place
        for value in map(self._hash_of, custom_ids):
            place += 1
            slot, tag = value % size, value >> _TAG_SHIFT & _TAG_MASK
            while places[slot]:
                if tags[slot] == tag:
                    self._twins[custom_ids[place - 1 - first_place]] = place - 1
                    break
                slot = slot + 1 if slot + 1 < size else 0
            else:
                tags[slot], places[slot] = tag, place

    def find(self, custom_ids: Sequence[str]) -> list[int]:
        """Return their places. Raises ForeignResults for one that is not there."""
        tags, places, size, found = self._tags, self._places, self._size, []
        for value in map(self._hash_of, custom_ids):
            slot, tag = value % size, value >> _TAG_SHIFT & _TAG_MASK
            while tags[slot] != tag or not places[slot]:
                if not places[slot]:
                    raise ForeignResults("The results name a request that is not of this shard.")
                slot = slot + 1 if slot + 1 < size else 0
            found.append(places[slot] - 1)
        if self._twins:
            return [self._twins.get(custom_id, place) for custom_id, place in zip(custom_ids, found, strict=True)]
        return found


class ResultSpool:
    """Lines on disk in the order in which they came, with a log of whose they are and where they end.

    The three files are empty, unbuffered, and open for writing and reading.
    """

    def __init__(self, count: int, lines: FileIO, places: FileIO, ends: FileIO) -> None:
        self.arrived = 0
        self._count = count
        self._blocks = array("I")
        self._lines = lines
        self._places = places
        self._ends = ends

    def add(self, block: bytes, ends: array[int], places: Sequence[int]) -> None:
        """Keep a run of whole lines: where each ends in it (unsigned 32-bit), and the place of each."""
        _write(self._lines.fileno(), block)
        _write(self._places.fileno(), array("I", places).tobytes())
        _write(self._ends.fileno(), ends.tobytes())
        self._blocks.append(len(places))
        self.arrived += len(places)

    def locate(self) -> Locations:
        """Return where the line of each place lies. Raises ForeignResults where two lines have one place."""
        offsets, lengths, before = array("Q", bytes(8 * self._count)), array("I", bytes(4 * self._count)), 0
        self._places.seek(0)
        self._ends.seek(0)
        for count in self._blocks:
            places, ends, start = array("I", self._places.read(4 * count)), array("I", self._ends.read(4 * count)), 0
            for place, end in zip(places, ends, strict=True):
                if lengths[place]:
                    raise ForeignResults("The results name a request twice.")
                offsets[place], lengths[place] = before + start, end - start
                start = end
            before += start
        return Locations(self._lines.fileno(), offsets, lengths)


class Locations:
    """Where the line of each place lies on disk, while the ``ResultSpool`` is open."""

    def __init__(self, descriptor: int, offsets: array[int], lengths: array[int]) -> None:
        self._descriptor = descriptor
        self._offsets = offsets
        self._lengths = lengths

    @property
    def missing(self) -> Iterator[int]:
        """The places whose line did not come."""
        return (place for place, length in enumerate(self._lengths) if not length)

    def line(self, place: int) -> bytes:
        """Read the line of a place, with its newline; empty where none came."""
        return os.pread(self._descriptor, self._lengths[place], self._offsets[place])

    def lines(self, places: Iterable[int]) -> list[bytes]:
        """Read the lines of several places."""
        descriptor, offsets, lengths, pread = self._descriptor, self._offsets, self._lengths, os.pread
        return [pread(descriptor, lengths[place], offsets[place]) for place in places]


@contextmanager
def open_spool(count: int, directory: str | None = None) -> Iterator[ResultSpool]:
    """Open the files for the lines of ``count`` requests. They have no names: nothing is left of them in any case."""
    with (
        TemporaryFile(dir=directory, buffering=0) as lines,
        TemporaryFile(dir=directory, buffering=0) as places,
        TemporaryFile(dir=directory, buffering=0) as ends,
    ):
        yield ResultSpool(count, lines, places, ends)


def _write(descriptor: int, data: bytes) -> None:
    """Write all of the data: one call may take less, where the disk is almost full."""
    view = memoryview(data)
    while view:
        view = view[os.write(descriptor, view) :]
