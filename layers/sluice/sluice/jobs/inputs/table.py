"""Tables with a request for each row, made by the folder's prompt template."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import islice

from sluice.jobs.inputs.batches import Batch, Position, take_together
from sluice.jobs.inputs.lines import BadLine, GoodLine, LineRules
from sluice.jobs.inputs.prompt import Template, match_fields
from sluice.jobs.inputs.prompts import PromptWriter, settings_problem, template_of, unusable
from sluice.jobs.inputs.reasons import list_columns, shorten
from sluice.jobs.inputs.request import LineProblem
from sluice.jobs.inputs.rows import Row, Table
from sluice.jobs.pinned import Pinned

# The column that is the prompt where no template says otherwise.
PROMPT_COLUMN = "prompt"
_ROWS = 500


@dataclass(frozen=True, slots=True)
class _Layout:
    """How rows become requests; ``id_place`` is the place of the column with their ids."""

    template: Template
    id_place: int | None


class TableInput:
    """``chunks`` gives the bytes of the file."""

    in_place = False

    def __init__(self, chunks: Callable[[], Iterator[bytes]], pinned: Pinned, rules: LineRules) -> None:
        self.notes: list[str] = []
        self._chunks = chunks
        self._pinned = pinned
        self._rules = rules

    def batches(self, start: Position) -> Iterator[Batch]:
        table = Table(self._chunks())
        self.notes.extend(filter(None, (table.note,)))
        layout, writer = self._layout(table.columns), PromptWriter(self._pinned, self._rules)
        rows = islice(table.rows(), start.lines, None)
        for some in take_together(rows, _ROWS, lambda row: sum(map(len, row.cells))):
            items = (self._check(row, table, layout, writer) for row in some)
            yield Batch(items, Position(0, some[-1].number))

    def _check(self, row: Row, table: Table, layout: _Layout, writer: PromptWriter) -> GoodLine | BadLine:
        given = table.write_row(row.cells)
        width = len(table.columns)
        if len(row.cells) > width:
            what = f"The row has {len(row.cells)} cells, but there are {width} columns."
            return unusable(row.number, given, LineProblem("cells", what))
        named = row.cells[layout.id_place].strip() if layout.id_place is not None else ""
        prompt = layout.template.fill(dict(zip(table.columns, row.cells, strict=True)))
        return writer.write(row.number, named or self._rules.spare_id(row.number), prompt, given)

    def _layout(self, columns: tuple[str, ...]) -> _Layout:
        template = template_of(self._pinned)
        try:
            if template is None:
                template = _default_template(columns)
            matched = match_fields(template, columns)
            repeated = [name for name in matched.fields if columns.count(name) > 1]
            if repeated:
                raise ValueError(f'the prompt names the column "{repeated[0]}", which is there more than once')
            return _Layout(matched, _id_place(self._pinned.folder.id_column, columns))
        except ValueError as error:
            raise settings_problem(self._pinned, error) from None


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
