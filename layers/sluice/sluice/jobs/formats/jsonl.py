"""Files of requests as the API takes them, a line each."""

from __future__ import annotations

import codecs
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from sluice.errors import UnreadableInput
from sluice.jobs.formats.base import FileKind, InputBatch, Position, SourceBytes
from sluice.jobs.formats.check import BadLine, LineBlock, LineRules, check_block, check_lines
from sluice.jobs.formats.request_line import LineProblem
from sluice.jobs.job_settings import EffectiveSettings

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


class JsonlKind(FileKind):
    """Requests as the API takes them."""

    name = "jsonl"
    suffixes = (".jsonl", ".ndjson")
    uses_settings = False

    def open(self, source: SourceBytes, effective: EffectiveSettings, rules: LineRules) -> JsonlInput:
        return JsonlInput(source.chunks, rules, in_place=not source.gzipped)


class JsonlInput:
    """``chunks`` gives the bytes of the file from an offset on."""

    def __init__(self, chunks: Callable[[int], Iterator[bytes]], rules: LineRules, *, in_place: bool) -> None:
        self.in_place = in_place
        self.notes: list[str] = []
        self._chunks = chunks
        self._rules = rules

    def batches(self, start: Position) -> Iterator[InputBatch]:
        position = start
        for read in BlockReader(start.offset, self._rules.max_bytes).read(_utf8(self._chunks(start.offset))):
            number = position.lines + 1
            batch = self._reject(read, number) if isinstance(read, LongLine) else self._check(read, number)
            position = batch.position
            yield batch

    def _check(self, read: LinesRead, number: int) -> InputBatch:
        block = LineBlock(read.offset, number, read.data)
        end = read.offset + len(read.data)
        if run := check_block(block, self._rules):
            return InputBatch((run,), Position(end, number - 1 + len(run.ids)))
        return InputBatch(check_lines(block, self._rules), Position(end, number - 1 + read.data.count(b"\n")))

    def _reject(self, line: LongLine, number: int) -> InputBatch:
        reason = f"The line has {line.length} bytes, more than the {self._rules.max_bytes} that can run."
        bad = BadLine(number, line.offset, line.length, line.text, LineProblem("too long", reason))
        return InputBatch((bad,), Position(line.offset + line.length + 1, number))


def _utf8(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """Yield the chunks. Raises UnreadableInput where they begin as UTF-16, in which no line ends where it should."""
    for number, chunk in enumerate(chunks):
        if number == 0 and chunk.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
            raise UnreadableInput("The file is UTF-16, and a .jsonl file has to be UTF-8. Save it as UTF-8.")
        yield chunk
