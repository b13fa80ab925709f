"""Files of prompts, a line each."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import islice

from sluice.jobs.formats.base import FileKind, InputBatch, Position, SourceBytes, take_together
from sluice.jobs.formats.check import BadLine, GoodLine, LineRules
from sluice.jobs.formats.decoding import MAX_LINE_CHARACTERS, TextFile, is_too_long
from sluice.jobs.formats.prompts import PromptWriter, Template, match_fields, settings_problem, template_of, unusable
from sluice.jobs.formats.request_line import EMPTY, LineProblem
from sluice.jobs.job_settings import EffectiveSettings

LINE_FIELD = "line"
_LINES = 500


class TxtKind(FileKind):
    """Prompts, a line each."""

    name = "txt"
    suffixes = (".txt",)

    def open(self, source: SourceBytes, effective: EffectiveSettings, rules: LineRules) -> TxtInput:
        return TxtInput(source.chunks, effective, rules)


class TxtInput:
    """``chunks`` gives the bytes of the file."""

    in_place = False

    def __init__(self, chunks: Callable[[], Iterator[bytes]], effective: EffectiveSettings, rules: LineRules) -> None:
        self.notes: list[str] = []
        self._chunks = chunks
        self._effective = effective
        self._rules = rules

    def batches(self, start: Position) -> Iterator[InputBatch]:
        writer, template = PromptWriter(self._effective, self._rules), self._template()
        file = TextFile(self._chunks())
        self.notes.extend(filter(None, (file.note,)))
        lines = islice(enumerate(file.lines(), 1), start.lines, None)
        for some in take_together(lines, _LINES, lambda line: len(line[1])):
            items = (self._check(number, line, writer, template) for number, line in some)
            yield InputBatch(items, Position(0, some[-1][0]))

    def _check(self, number: int, line: str, writer: PromptWriter, template: Template) -> GoodLine | BadLine:
        text = line.rstrip("\r\n")
        if is_too_long(line):
            return unusable(number, text, LineProblem("too long", f"The line is longer than {MAX_LINE_CHARACTERS}."))
        if not text.strip():
            return unusable(number, text, LineProblem(EMPTY, "The line is empty."))
        return writer.write(number, self._rules.spare_id(number), template.fill({LINE_FIELD: text}), text)

    def _template(self) -> Template:
        template = template_of(self._effective)
        if template is None:
            return Template(("", LINE_FIELD, ""))
        try:
            return match_fields(template, (LINE_FIELD,))
        except ValueError as error:
            raise settings_problem(self._effective, error) from None
