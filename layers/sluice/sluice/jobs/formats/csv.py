"""Tables with a request for each row, made by the folder's prompt template."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice

from sluice.errors import UnreadableInput
from sluice.jobs.formats.base import (
    FileKind,
    InputBatch,
    Position,
    SourceBytes,
    TableFile,
    take_together,
)
from sluice.jobs.formats.check import BadLine, GoodLine, LineRules
from sluice.jobs.formats.decoding import MAX_LINE_CHARACTERS, TextFile, is_too_long
from sluice.jobs.formats.prompts import PromptWriter, Template, match_fields, settings_problem, template_of, unusable
from sluice.jobs.formats.request_line import LineProblem
from sluice.jobs.formats.table_text import text_table
from sluice.jobs.job_settings import EffectiveSettings
from sluice.jobs.wording import list_columns, shorten

_DELIMITERS = ",;\t|"
_SAMPLE_ROWS = 50


@dataclass(frozen=True, slots=True)
class Row:
    """A row below the names; ``cells`` has one for each column, or more where the row is too long."""

    number: int
    cells: tuple[str, ...]


class CsvFile:
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

    def files(self) -> tuple[TableFile, ...]:
        return (text_table("results.csv", self.columns, self.delimiter),)

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


# The column that is the prompt where no template says otherwise.
PROMPT_COLUMN = "prompt"
_ROWS = 500


@dataclass(frozen=True, slots=True)
class _Layout:
    """How rows become requests; ``id_place`` is the place of the column with their ids."""

    template: Template
    id_place: int | None


class CsvKind(FileKind):
    """Tables as text."""

    name = "csv"
    suffixes = (".csv", ".tsv")
    line_word = "row"
    is_table = True

    def open(self, source: SourceBytes, effective: EffectiveSettings, rules: LineRules) -> CsvInput:
        return CsvInput(source.chunks, effective, rules)

    def read_table(self, source: SourceBytes, effective: EffectiveSettings) -> CsvFile:
        return CsvFile(source.chunks())


class CsvInput:
    """``chunks`` gives the bytes of the file."""

    in_place = False

    def __init__(self, chunks: Callable[[], Iterator[bytes]], effective: EffectiveSettings, rules: LineRules) -> None:
        self.notes: list[str] = []
        self._chunks = chunks
        self._effective = effective
        self._rules = rules

    def batches(self, start: Position) -> Iterator[InputBatch]:
        table = CsvFile(self._chunks())
        self.notes.extend(filter(None, (table.note,)))
        layout, writer = self._layout(table.columns), PromptWriter(self._effective, self._rules)
        rows = islice(table.rows(), start.lines, None)
        for some in take_together(rows, _ROWS, lambda row: sum(map(len, row.cells))):
            items = (self._check(row, table, layout, writer) for row in some)
            yield InputBatch(items, Position(0, some[-1].number))

    def _check(self, row: Row, table: CsvFile, layout: _Layout, writer: PromptWriter) -> GoodLine | BadLine:
        given = table.write_row(row.cells)
        width = len(table.columns)
        if len(row.cells) > width:
            what = f"The row has {len(row.cells)} cells, but there are {width} columns."
            return unusable(row.number, given, LineProblem("cells", what))
        named = row.cells[layout.id_place].strip() if layout.id_place is not None else ""
        prompt = layout.template.fill(dict(zip(table.columns, row.cells, strict=True)))
        return writer.write(row.number, named or self._rules.spare_id(row.number), prompt, given)

    def _layout(self, columns: tuple[str, ...]) -> _Layout:
        template = template_of(self._effective)
        try:
            if template is None:
                template = _default_template(columns)
            matched = match_fields(template, columns)
            repeated = [name for name in matched.fields if columns.count(name) > 1]
            if repeated:
                raise ValueError(f'the prompt names the column "{repeated[0]}", which is there more than once')
            return _Layout(matched, _id_place(self._effective.folder.id_column, columns))
        except ValueError as error:
            raise settings_problem(self._effective, error) from None


def _default_template(columns: tuple[str, ...]) -> Template:
    for name in columns:
        if name.casefold() == PROMPT_COLUMN:
            return Template(("", name, ""))
    listed = list_columns(columns)
    raise ValueError(f'there is no "prompt" for this table, and no column of that name. There are: {listed}')


def _id_place(name: str | None, columns: tuple[str, ...]) -> int | None:
    if name is None:
        return None
    for place, column in enumerate(columns):
        if column.casefold() == name.strip().casefold():
            return place
    missing, listed = shorten(name, 100), list_columns(columns)
    raise ValueError(f'the "id_column" is "{missing}", which is not there. There are: {listed}')
