"""The table for people who dropped one: their own columns and rows, with the answers beside them.

All that is read comes in the order of the input, so that the files run side by side as streams.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Any

import msgspec

from sluice.errors import ObjectNotFound
from sluice.jobs.collect.retry_policy import error_name
from sluice.jobs.finish.row_directory import CellsWriter
from sluice.jobs.folder_settings import DEFAULT_ANSWER_COLUMN
from sluice.jobs.formats.base import Cell, SourceTable, TableRow, TableWriter
from sluice.jobs.formats.registry import identify, kind_named
from sluice.jobs.incomplete import SCHEMA_MISMATCH, row_problem
from sluice.jobs.job_settings import EffectiveSettings
from sluice.jobs.model import Job, Shard
from sluice.jobs.outbox import ERRORS, REJECTED, RESULTS
from sluice.jobs.rejected import decode_rejected
from sluice.jobs.results import CANCELED, EXPIRED, AnsweredMessage, Result, Usage, read_answer_line, read_result_line
from sluice.jobs.rows import Cells, rows_key
from sluice.jobs.schema import prepare_schema
from sluice.jobs.schema_fit import find_misfit
from sluice.jobs.services import Services
from sluice.settings import DEFAULT_MAX_TOKENS

_AFTER_ANSWER = ("status", "error", "input_tokens", "output_tokens")


@dataclass(frozen=True, slots=True)
class Outputs:
    """The lines of a job's files, each in the order of the input; ``ids`` of all requests."""

    ids: Iterator[str]
    results: Iterator[bytes]
    errors: Iterator[bytes]
    rejected: Iterator[bytes]


@dataclass(frozen=True, slots=True)
class AnswerForm:
    """What was asked for: one column for an answer, or one for each of the ``properties`` of its ``schema``."""

    column: str = DEFAULT_ANSWER_COLUMN
    properties: tuple[str, ...] = ()
    schema: Mapping[str, Any] | None = None
    max_tokens: int = DEFAULT_MAX_TOKENS

    @classmethod
    def of(cls, effective: EffectiveSettings) -> AnswerForm:
        folder = effective.folder
        schema = prepare_schema(folder.schema)[0] if folder.schema is not None else None
        properties = tuple((schema or {}).get("properties", ()))
        return cls(folder.answer_column, properties, schema, folder.max_tokens or DEFAULT_MAX_TOKENS)

    @property
    def columns(self) -> tuple[str, ...]:
        return self.properties or (self.column,)


@dataclass(frozen=True, slots=True)
class ResultTable:
    """What was written: the names of the files, the one for people first; none where the job came as no table.

    ``misfits`` counts the answers that are whole and do not fit the schema, by what is wrong with them; ``cells`` say
    where each row can be read by itself.
    """

    files: tuple[str, ...] = ()
    misfits: Counter[str] = field(default_factory=Counter)
    cells: Cells | None = None


def write_result_table(
    services: Services, job: Job, effective: EffectiveSettings, first_waves: Iterable[Shard]
) -> ResultTable | None:
    """Write the table of a job whose other files are in the Outbox; None where the dropped file is not there any more.

    Raises as ``S3`` does.
    """
    upload, outbox = job.upload, services.outbox
    try:
        services.s3.head(upload.bucket, upload.key, upload.version)
    except ObjectNotFound:
        return None if _came_as_table(job) else ResultTable()
    dropped = identify(services.s3, upload)
    table = dropped.kind.read_table(dropped.source, effective)
    if table is None:
        return ResultTable()
    form, outputs, misfits = AnswerForm.of(effective), _outputs(services, job.job_id, first_waves), Counter[str]()
    files = table.files()
    with ExitStack() as open_files:
        writers = [
            each.begin(open_files.enter_context(outbox.file_writer(job.job_id, each.name, each.content_type)))
            for each in files
        ]
        cells = CellsWriter(open_files.enter_context(outbox.writer(rows_key(job.job_id, "cells.jsonl"))), table.columns)
        write_rows(table, outputs, form, misfits, [*writers, cells])
    return ResultTable(tuple(each.name for each in files), misfits, cells.cells())


def _came_as_table(job: Job) -> bool:
    """Return whether a file that is gone would have come back as a table, as far as its name tells."""
    kind = kind_named(job.upload.key)
    return kind is not None and kind.is_table


def _outputs(services: Services, job_id: str, first_waves: Iterable[Shard]) -> Outputs:
    outbox = services.outbox
    return Outputs(
        ids=(line.decode() for shard in first_waves for line in outbox.lines(shard.ids_key)),
        results=outbox.file_lines(job_id, RESULTS),
        errors=outbox.file_lines(job_id, ERRORS),
        rejected=outbox.file_lines(job_id, REJECTED),
    )


def write_rows(
    table: SourceTable, outputs: Outputs, form: AnswerForm, misfits: Counter[str], writers: Sequence[TableWriter]
) -> None:
    """Write the table into all of its files, side by side.

    ``misfits`` counts, by what is wrong with them, the answers that are whole and do not fit the schema.
    """
    new_columns = _new_columns(table.columns, form.columns)
    for writer in writers:
        writer.write_header(new_columns)
    for row, cells in _with_answers(table.rows(), outputs, form, misfits):
        for writer in writers:
            writer.write_row(row, cells)
    for writer in writers:
        writer.close()


def _new_columns(columns: Sequence[str], answers: Sequence[str]) -> list[str]:
    """Name the new columns, with a number where the table has one of that name."""
    taken, named = {column.casefold() for column in columns}, []
    for name in (*answers, *_AFTER_ANSWER):
        unique, number = name, 2
        while unique.casefold() in taken:
            unique, number = f"{name}_{number}", number + 1
        taken.add(unique.casefold())
        named.append(unique)
    return named


def _with_answers(
    rows: Iterable[TableRow], outputs: Outputs, form: AnswerForm, misfits: Counter[str]
) -> Iterator[tuple[TableRow, list[Cell]]]:
    """Run the files side by side: what comes next in each belongs to this row or to a later one."""
    no_answer: list[Cell] = [None] * len(form.columns)
    answers, errors = map(read_answer_line, outputs.results), map(read_result_line, outputs.errors)
    rejections = map(decode_rejected, outputs.rejected)
    answer, error, rejected = next(answers, None), next(errors, None), next(rejections, None)
    for row in rows:
        if rejected is not None and rejected.line == row.number:
            yield row, [*no_answer, "rejected", rejected.reason, None, None]
            rejected = next(rejections, None)
            continue
        custom_id = next(outputs.ids, "")
        if answer is not None and answer.custom_id == custom_id:
            yield row, _answer_cells(answer.result.message, form, misfits)
            answer = next(answers, None)
        elif error is not None and error.custom_id == custom_id:
            yield row, [*no_answer, *_error_cells(error.result)]
            error = next(errors, None)
        else:
            yield row, [*no_answer, "missing", "There is no result of this row.", None, None]


def _answer_cells(answer: AnsweredMessage, form: AnswerForm, misfits: Counter[str]) -> list[Cell]:
    usage = answer.usage or Usage()
    cached = (usage.cache_creation_input_tokens or 0) + (usage.cache_read_input_tokens or 0)
    tokens: list[Cell] = [(usage.input_tokens or 0) + cached, usage.output_tokens or 0]
    details = answer.stop_details.explanation if answer.stop_details else None
    problem = row_problem(answer.stop_reason, form.max_tokens, details or "")
    if form.schema is None:
        return [answer.text, *(problem or ("succeeded", "")), *tokens]
    cells, misfit = _property_cells(answer.text, form.properties, form.schema)
    if misfit and not problem:
        misfits[misfit] += 1
        problem = SCHEMA_MISMATCH, f"The answer does not fit the schema: {misfit}. It is in results.jsonl as it came."
    return [*cells, *(problem or ("succeeded", "")), *tokens]


def _property_cells(text: str, properties: Sequence[str], schema: Mapping[str, Any]) -> tuple[list[Cell], str]:
    """Take an answer apart; say what does not fit. What cannot be taken apart is no value of any column."""
    nothing: list[Cell] = [None] * len(properties)
    try:
        values = msgspec.json.decode(text)
        misfit = find_misfit(values, schema)
    except msgspec.MsgspecError:
        return nothing, "it is not JSON"
    except RecursionError:
        return [text, *nothing[1:]], "it is nested too deep to be taken apart"
    if not isinstance(values, dict):
        return nothing, misfit
    return [_cell(values.get(name)) for name in properties], misfit


def _cell(value: object) -> Cell:
    if value is None or isinstance(value, str | int | float):
        return value
    return msgspec.json.encode(value).decode()


def _error_cells(result: Result) -> list[Cell]:
    if result.type in (CANCELED, EXPIRED):
        return [result.type, None, None, None]
    message = result.inner_error.message
    return ["errored", f"{error_name(result)}: {message}" if message else error_name(result), None, None]
