"""Tables written as text, with a delimiter, for spreadsheets and for programs."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence

import msgspec

from sluice.aws.s3 import Writer
from sluice.jobs.formats.base import Cell, TableFile, TableRow
from sluice.jobs.formats.spreadsheet import as_text

_FLUSH_CHARACTERS = 1 << 20


def text_table(name: str, columns: Sequence[str], delimiter: str) -> TableFile:
    """Return a file of text for a table with these columns, in UTF-8."""
    return TableFile(name, "text/csv; charset=utf-8", lambda writer: TextTableWriter(columns, delimiter, writer))


class TextTableWriter:
    """Writes a table as text, from a byte order mark on, by which spreadsheets know UTF-8."""

    def __init__(self, columns: Sequence[str], delimiter: str, writer: Writer) -> None:
        self._columns = columns
        self._writer = writer
        self._text = io.StringIO()
        self._text.write("\ufeff")
        self._rows = csv.writer(self._text, delimiter=delimiter)

    def write_header(self, new_columns: Sequence[str]) -> None:
        self._rows.writerow((*self._columns, *map(as_text, new_columns)))

    def write_row(self, row: TableRow, cells: Sequence[Cell]) -> None:
        self._rows.writerow((*row.cells[: len(self._columns)], *map(_text, cells)))
        if self._text.tell() > _FLUSH_CHARACTERS:
            self._flush()

    def close(self) -> None:
        self._flush()

    def _flush(self) -> None:
        # Bytes that are not of the file's encoding cannot be written in another one.
        self._writer.write(self._text.getvalue().encode(errors="replace"))
        self._text.seek(0)
        self._text.truncate()


def _text(cell: Cell) -> str:
    """Write a cell that Sluice adds, so that a spreadsheet shows it as it is; numbers as JSON has them."""
    if cell is None:
        return ""
    return as_text(cell) if isinstance(cell, str) else msgspec.json.encode(cell).decode()
