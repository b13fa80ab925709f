"""Read an upload in blocks of whole lines, numbered and placed, without ever holding a line that is too long."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from sluice.jobs.lines import BadLine, Block
from sluice.jobs.request import LineProblem

# How much is kept of a line that is too long to be sent.
KEPT_BYTES = 4_000
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"


class BlockReader:
    """Cuts chunks, fed one after the other, into blocks. ``max_bytes`` is the longest line that is held."""

    def __init__(self, offset: int, number: int, max_bytes: int) -> None:
        self._offset = offset
        self._number = number
        self._max_bytes = max_bytes
        self._held: list[bytes] = []
        self._held_bytes = 0
        # Of a line that is too long: its first bytes. Its length is then in _held_bytes.
        self._long: bytes | None = None

    @property
    def position(self) -> tuple[int, int]:
        """The offset behind what was yielded, and the number of its last line."""
        return self._offset, self._number - 1

    def read(self, chunks: Iterable[bytes]) -> Iterator[Block | BadLine]:
        """Yield all lines of the chunks, in order; the last one need not have a newline."""
        for chunk in chunks:
            yield from self._feed(chunk)
        if self._long is not None:
            yield self._end_long_line(0)
        elif self._held:
            yield self._block(b"".join((*self._held, b"\n")))

    def _feed(self, chunk: bytes) -> Iterator[Block | BadLine]:
        if self._long is not None:
            cut = chunk.find(b"\n")
            if cut < 0:
                self._held_bytes += len(chunk)
                return
            yield self._end_long_line(cut)
            chunk = chunk[cut + 1 :]
        if cut := chunk.rfind(b"\n") + 1:
            yield self._block(b"".join((*self._held, chunk[:cut])))
            chunk = chunk[cut:]
        if chunk:
            self._hold(chunk)

    def _hold(self, chunk: bytes) -> None:
        self._held.append(chunk)
        self._held_bytes += len(chunk)
        if self._held_bytes > self._max_bytes:
            self._long = b"".join(self._held)[:KEPT_BYTES]
            self._held.clear()

    def _block(self, data: bytes) -> Block:
        if self._offset == 0 and data.startswith(_BYTE_ORDER_MARK):
            self._offset, data = len(_BYTE_ORDER_MARK), data[len(_BYTE_ORDER_MARK) :]
        block = Block(self._offset, self._number, data)
        self._offset += len(data)
        self._number += data.count(b"\n")
        self._held.clear()
        self._held_bytes = 0
        return block

    def _end_long_line(self, more: int) -> BadLine:
        length = self._held_bytes + more
        problem = LineProblem("too long", f"The line has {length} bytes, more than the {self._max_bytes} that can run.")
        line = BadLine(self._number, self._offset, length, self._long or b"", problem)
        self._offset += length + 1
        self._number += 1
        self._held_bytes, self._long = 0, None
        return line
