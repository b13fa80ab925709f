"""Read an upload in runs of whole lines, without ever holding a line that is too long."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

# How much is kept of a line that is too long to be sent.
KEPT_BYTES = 4_000
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"


@dataclass(frozen=True, slots=True)
class LinesRead:
    """Whole lines with their newlines, at ``offset`` of the object."""

    offset: int
    data: bytes


@dataclass(frozen=True, slots=True)
class LongLine:
    """A line of ``length`` bytes, without its newline, that is too long; ``text`` is how it begins."""

    offset: int
    length: int
    text: bytes


class BlockReader:
    """Cuts chunks that begin at ``offset`` where lines end. ``max_bytes`` is the longest line that is held."""

    def __init__(self, offset: int, max_bytes: int) -> None:
        self._offset = offset
        self._max_bytes = max_bytes
        self._held: list[bytes] = []
        self._held_bytes = 0
        # Of a line that is too long: its first bytes. Its length is then in _held_bytes.
        self._long: bytes | None = None

    def read(self, chunks: Iterable[bytes]) -> Iterator[LinesRead | LongLine]:
        """Yield all lines of the chunks, in order; the last one need not have a newline."""
        for chunk in chunks:
            yield from self._feed(chunk)
        if self._long is not None:
            yield self._end_long_line(0)
        elif self._held:
            yield self._lines(b"".join((*self._held, b"\n")))

    def _feed(self, chunk: bytes) -> Iterator[LinesRead | LongLine]:
        if self._long is not None:
            cut = chunk.find(b"\n")
            if cut < 0:
                self._held_bytes += len(chunk)
                return
            yield self._end_long_line(cut)
            chunk = chunk[cut + 1 :]
        if cut := chunk.rfind(b"\n") + 1:
            yield self._lines(b"".join((*self._held, memoryview(chunk)[:cut])))
            chunk = chunk[cut:]
        if chunk:
            self._hold(chunk)

    def _hold(self, chunk: bytes) -> None:
        self._held.append(chunk)
        self._held_bytes += len(chunk)
        if self._held_bytes > self._max_bytes:
            self._long = b"".join(self._held)[:KEPT_BYTES]
            self._held.clear()

    def _lines(self, data: bytes) -> LinesRead:
        if self._offset == 0 and data.startswith(_BYTE_ORDER_MARK):
            self._offset, data = len(_BYTE_ORDER_MARK), data[len(_BYTE_ORDER_MARK) :]
        lines = LinesRead(self._offset, data)
        self._offset += len(data)
        self._held.clear()
        self._held_bytes = 0
        return lines

    def _end_long_line(self, more: int) -> LongLine:
        line = LongLine(self._offset, self._held_bytes + more, self._long or b"")
        self._offset += line.length + 1
        self._held_bytes, self._long = 0, None
        return line
