"""Tables as spreadsheets save them: any usual delimiter and encoding, quoted newlines, a row of column names on top.

Rows without any content are no rows. Rows are numbered from 1, the first below the names.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from sluice.errors import UnreadableInput
from sluice.jobs.inputs.text import MAX_LINE_CHARACTERS, TextFile, is_too_long

_DELIMITERS = ",;\t|"
_SAMPLE_ROWS = 50


@dataclass(frozen=True, slots=True)
class Row:
    """A row below the names; ``cells`` has one for each column, or more where the row is too long."""

    number: int
    cells: tuple[str, ...]


class Table:
    """A table that is read once, as a stream. Raises UnreadableInput where it has no row of names."""

    def __init__(self, chunks: Iterable[bytes]) -> None:
        # A cell may be as long as a prompt; the module's own limit is 128 KiB, and for the process.
        csv.field_size_limit(MAX_LINE_CHARACTERS)
        text = TextFile(chunks)
        self.note = text.note
        self.delimiter = _guess_delimiter(text.sample)
        self._ended = False
        self._reader = csv.reader(self._bounded(text.lines()), delimiter=self.delimiter)
        names = next(self._filled_rows(), None)
        if names is None:
            raise UnreadableInput("The file is empty.")
        self.columns = tuple(name.strip() for name in names)

    def rows(self) -> Iterator[Row]:
        """Yield the rows. Raises UnreadableInput where a quote is never closed, or a line is far too long."""
        width = len(self.columns)
        for number, cells in enumerate(self._filled_rows(), 1):
            while len(cells) > width and not cells[-1].strip():
                cells.pop()
            cells.extend("" for _ in range(width - len(cells)))
            yield Row(number, tuple(cells))

    def write_row(self, cells: Sequence[str]) -> str:
        """Write a row as a line of such a table, without its end."""
        line = io.StringIO()
        csv.writer(line, delimiter=self.delimiter, lineterminator="").writerow(cells)
        return line.getvalue()

    def _bounded(self, lines: Iterable[str]) -> Iterator[str]:
        for number, line in enumerate(lines, 1):
            if is_too_long(line):
                raise UnreadableInput(f"Line {number} has more than {MAX_LINE_CHARACTERS} characters.")
            yield line
        self._ended = True

    def _filled_rows(self) -> Iterator[list[str]]:
        while True:
            begun = self._reader.line_num + 1
            try:
                cells = next(self._reader, None)
            except csv.Error as error:
                problem = f"The row at line {begun} cannot be read: {error}. Is a quote open there?"
                raise UnreadableInput(problem) from None
            if cells is None:
                return
            if self._ended:
                # A row ends with its line. One that went on to the end of the file is what was left of a cell.
                raise UnreadableInput(
                    f"A quote in the row at line {begun} is never closed. Close it, and drop the file again."
                )
            if any(map(str.strip, cells)):
                yield cells


def _guess_delimiter(sample: str) -> str:
    """Choose the delimiter by which the first rows have most often as many cells as the first, and more than one."""

    def score(delimiter: str) -> tuple[int, int]:
        widths = _widths(sample, delimiter)
        if not widths or widths[0] < 2:
            return 0, 0
        return widths.count(widths[0]), widths[0]

    best = max(_DELIMITERS, key=score)
    return best if score(best) > (0, 0) else ","


def _widths(sample: str, delimiter: str) -> list[int]:
    rows = csv.reader(io.StringIO(sample, newline=""), delimiter=delimiter)
    widths: list[int] = []
    try:
        for cells in rows:
            if any(map(str.strip, cells)):
                widths.append(len(cells))
            if len(widths) == _SAMPLE_ROWS:
                break
    except csv.Error:
        return widths
    return widths
