"""Files of requests as the API takes them, a line each."""

from __future__ import annotations

import codecs
from collections.abc import Callable, Iterable, Iterator

from sluice.errors import UnreadableInput
from sluice.jobs.inputs.batches import Batch, Position
from sluice.jobs.inputs.lines import BadLine, Block, LineRules, check_block, check_lines
from sluice.jobs.inputs.reader import BlockReader, LinesRead, LongLine
from sluice.jobs.inputs.request import LineProblem


class JsonlInput:
    """``chunks`` gives the bytes of the file from an offset on."""

    def __init__(self, chunks: Callable[[int], Iterator[bytes]], rules: LineRules, *, in_place: bool) -> None:
        self.in_place = in_place
        self.notes: list[str] = []
        self._chunks = chunks
        self._rules = rules

    def batches(self, start: Position) -> Iterator[Batch]:
        position = start
        for read in BlockReader(start.offset, self._rules.max_bytes).read(_utf8(self._chunks(start.offset))):
            number = position.lines + 1
            batch = self._reject(read, number) if isinstance(read, LongLine) else self._check(read, number)
            position = batch.position
            yield batch

    def _check(self, read: LinesRead, number: int) -> Batch:
        block = Block(read.offset, number, read.data)
        end = read.offset + len(read.data)
        if run := check_block(block, self._rules):
            return Batch((run,), Position(end, number - 1 + len(run.ids)))
        return Batch(check_lines(block, self._rules), Position(end, number - 1 + read.data.count(b"\n")))

    def _reject(self, line: LongLine, number: int) -> Batch:
        reason = f"The line has {line.length} bytes, more than the {self._rules.max_bytes} that can run."
        bad = BadLine(number, line.offset, line.length, line.text, LineProblem("too long", reason))
        return Batch((bad,), Position(line.offset + line.length + 1, number))


def _utf8(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """Yield the chunks. Raises UnreadableInput where they begin as UTF-16, in which no line ends where it should."""
    for number, chunk in enumerate(chunks):
        if number == 0 and chunk.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
            raise UnreadableInput("The file is UTF-16, and a .jsonl file has to be UTF-8. Save it as UTF-8.")
        yield chunk
