"""Files of requests as the API takes them, a line each."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from sluice.jobs.inputs.batches import Batch, Position
from sluice.jobs.lines import BadLine, Block, LineRules, check_block, check_lines
from sluice.jobs.reader import BlockReader


class JsonlInput:
    """``chunks`` gives the bytes of the file from an offset on."""

    def __init__(self, chunks: Callable[[int], Iterator[bytes]], rules: LineRules, *, in_place: bool) -> None:
        self.in_place = in_place
        self.notes: list[str] = []
        self._chunks = chunks
        self._rules = rules

    def batches(self, start: Position) -> Iterator[Batch]:
        reader = BlockReader(start.offset, start.lines + 1, self._rules.max_bytes)
        for block in reader.read(self._chunks(start.offset)):
            yield self._check(block, Position(*reader.position))

    def _check(self, block: Block | BadLine, position: Position) -> Batch:
        if isinstance(block, BadLine):
            return Batch((block,), position)
        run = check_block(block, self._rules)
        return Batch((run,) if run else check_lines(block, self._rules), position)
