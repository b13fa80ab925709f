"""Where each row of a job lies in its files, so that a page of rows is read by byte ranges. Without I/O.

A *row* is a line of the dropped file, counted from 1 as planning counts them. Collecting a shard notes for each of its
requests, in their order, whether it was answered or ended in an error, and how long its line is (``ShardRows``). The
end of a job puts these one behind the other, and writes a directory: how many there are of each in each shard, and so
where the lines of each begin; and which rows were rejected. A table has its cells besides, in lines of JSON.

rows/<job>/directory.json    ``RowDirectory``
rows/<job>/places            the ``ShardRows`` of all shards
rows/<job>/cells.jsonl       of a table: a line for each row
"""

from __future__ import annotations

import sys
from array import array
from collections.abc import Iterable
from itertools import compress

import msgspec

ANSWERED, ERRORED = 1, 2
_BYTES_EACH = 5
# So many rows of a table share one offset in the directory.
CELLS_STEP = 128


def rows_key(job_id: str, name: str) -> str:
    """Return the key of one of the objects with the rows of a job: they stay as long as its results do."""
    return f"rows/{job_id}/{name}"


class ShardRows:
    """What became of the requests of a shard: a status each, and the bytes of its line with the newline."""

    def __init__(self, statuses: bytearray, lengths: array[int]) -> None:
        self.statuses = statuses
        self.lengths = lengths

    @classmethod
    def empty(cls, count: int) -> ShardRows:
        return cls(bytearray(count), array("I", bytes(4 * count)))

    def note(self, status: int, placed: Iterable[tuple[int, int]]) -> None:
        """Note the place and the length of lines that have one status."""
        statuses, lengths = self.statuses, self.lengths
        for place, length in placed:
            statuses[place], lengths[place] = status, length

    def before(self, place: int, status: int) -> int:
        """Return the bytes of the lines of one status that come before a place."""
        wanted = self.statuses[:place].translate(bytes(each == status for each in range(256)))
        return sum(compress(self.lengths, wanted))

    def encode(self) -> bytes:
        """Write it in five bytes for each request: all statuses, then all lengths, little-endian."""
        lengths = self.lengths
        if sys.byteorder == "big":
            lengths = array("I", lengths)
            lengths.byteswap()
        return bytes(self.statuses) + lengths.tobytes()

    @classmethod
    def decode(cls, data: bytes) -> ShardRows:
        """Read what ``encode`` wrote."""
        count = len(data) // _BYTES_EACH
        lengths = array("I", data[count:])
        if sys.byteorder == "big":
            lengths.byteswap()
        return cls(bytearray(data[:count]), lengths)


class ShardTotals(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A shard: its requests, and of its answers and its errors how many there are and the bytes of their lines."""

    requests: int
    answers: int
    answers_bytes: int
    errors: int
    errors_bytes: int

    @property
    def places_bytes(self) -> int:
        """The bytes of its ``ShardRows``."""
        return self.requests * _BYTES_EACH


class Cells(msgspec.Struct, frozen=True):
    """The cells of a table's rows: ``columns`` of the table that was dropped, and at which byte each ``CELLS_STEP``th
    row begins."""

    columns: tuple[str, ...]
    offsets: tuple[int, ...]
    size: int


class RowDirectory(msgspec.Struct, frozen=True):
    """All that is needed to find any row. ``rejected`` has the rejected rows, ``rejected_ends`` where the line of each
    ends in ``rejected.jsonl``; ``max_tokens`` is that of the job's settings."""

    shards: tuple[ShardTotals, ...]
    rejected: tuple[int, ...] = ()
    rejected_ends: tuple[int, ...] = ()
    cells: Cells | None = None
    max_tokens: int = 0

    @property
    def rows(self) -> int:
        return sum(shard.requests for shard in self.shards) + len(self.rejected)


_DIRECTORY = msgspec.json.Decoder(RowDirectory)


def encode_directory(directory: RowDirectory) -> bytes:
    return msgspec.json.encode(directory)


def decode_directory(data: bytes) -> RowDirectory:
    """Read what ``encode_directory`` wrote."""
    return _DIRECTORY.decode(data)
