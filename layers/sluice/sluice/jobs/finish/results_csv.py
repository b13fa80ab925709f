"""``results.csv`` for people who dropped a table: their own columns and rows, with the answers beside them.

All that is read comes in the order of the input, so that the files run side by side as streams.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from sluice.errors import ObjectNotFound
from sluice.jobs.collect.retry_policy import error_name
from sluice.jobs.formats.csv import CsvFile, Row
from sluice.jobs.formats.registry import read_upload
from sluice.jobs.job_settings import EffectiveSettings
from sluice.jobs.model import Job, Shard
from sluice.jobs.outbox import ERRORS, REJECTED, RESULTS
from sluice.jobs.rejected import decode_rejected
from sluice.jobs.results import CANCELED, EXPIRED, AnsweredMessage, Result, Usage, read_answer_line, read_result_line
from sluice.jobs.services import Services

_FLUSH_CHARACTERS = 1 << 20
# What a spreadsheet would take for a formula; an apostrophe in front keeps it as it reads.
_FORMULA = ("=", "+", "-", "@", "\t", "\r")
_AFTER_ANSWER = ("status", "error", "input_tokens", "output_tokens")


@dataclass(frozen=True, slots=True)
class Outputs:
    """The lines of a job's files, each in the order of the input; ``ids`` of all requests."""

    ids: Iterator[str]
    results: Iterator[bytes]
    errors: Iterator[bytes]
    rejected: Iterator[bytes]


def write_results_csv(services: Services, job: Job, effective: EffectiveSettings, first_waves: Iterable[Shard]) -> bool:
    """Write the table of a job whose other files are in the Outbox; False where the dropped file is not there any more.

    Raises as ``S3`` does.
    """
    upload = job.upload
    try:
        services.s3.head(upload.bucket, upload.key, upload.version)
    except ObjectNotFound:
        return False
    outputs = _outputs(services, job.job_id, first_waves)
    table = CsvFile(read_upload(services.s3, upload))
    properties = tuple((effective.folder.schema or {}).get("properties", ()))
    with services.outbox.file_writer(job.job_id, "results.csv", "text/csv; charset=utf-8") as writer:
        for text in table_text(table, outputs, effective.folder.answer_column, properties):
            # Bytes that are not of the file's encoding cannot be written in another one.
            writer.write(text.encode(errors="replace"))
    return True


def _outputs(services: Services, job_id: str, first_waves: Iterable[Shard]) -> Outputs:
    outbox = services.outbox
    return Outputs(
        ids=(line.decode() for shard in first_waves for line in outbox.lines(shard.ids_key)),
        results=outbox.file_lines(job_id, RESULTS),
        errors=outbox.file_lines(job_id, ERRORS),
        rejected=outbox.file_lines(job_id, REJECTED),
    )


def table_text(table: CsvFile, outputs: Outputs, answer_column: str, properties: Sequence[str]) -> Iterator[str]:
    """Yield the text of the table, from a byte order mark on, by which spreadsheets know UTF-8.

    ``properties`` of the answer's schema get a column each; without any, the answer has one column.
    """
    text = io.StringIO()
    text.write("\ufeff")
    writer = csv.writer(text, delimiter=table.delimiter)
    writer.writerow((*table.columns, *_new_columns(table.columns, tuple(properties) or (answer_column,))))
    for row, cells in _with_answers(table.rows(), outputs, properties):
        writer.writerow((*row.cells[: len(table.columns)], *cells))
        if text.tell() > _FLUSH_CHARACTERS:
            yield text.getvalue()
            text.seek(0)
            text.truncate()
    yield text.getvalue()


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


def _with_answers(rows: Iterable[Row], outputs: Outputs, properties: Sequence[str]) -> Iterator[tuple[Row, list[str]]]:
    """Run the files side by side: what comes next in each belongs to this row or to a later one."""
    no_answer = [""] * (len(properties) or 1)
    answers, errors = map(read_answer_line, outputs.results), map(read_result_line, outputs.errors)
    rejections = map(decode_rejected, outputs.rejected)
    answer, error, rejected = next(answers, None), next(errors, None), next(rejections, None)
    for row in rows:
        if rejected is not None and rejected.line == row.number:
            yield row, [*no_answer, "rejected", rejected.reason, "", ""]
            rejected = next(rejections, None)
            continue
        custom_id = next(outputs.ids, "")
        if answer is not None and answer.custom_id == custom_id:
            yield row, _answer_cells(answer.result.message, properties)
            answer = next(answers, None)
        elif error is not None and error.custom_id == custom_id:
            yield row, [*no_answer, *_error_cells(error.result)]
            error = next(errors, None)
        else:
            yield row, [*no_answer, "missing", "There is no result of this row.", "", ""]


def _answer_cells(answer: AnsweredMessage, properties: Sequence[str]) -> list[str]:
    usage = answer.usage or Usage()
    cached = (usage.cache_creation_input_tokens or 0) + (usage.cache_read_input_tokens or 0)
    tokens = [str((usage.input_tokens or 0) + cached), str(usage.output_tokens or 0)]
    if not properties:
        return [_plain(answer.text), "succeeded", "", *tokens]
    cells, problem = _property_cells(answer.text, properties)
    return [*cells, "succeeded", problem, *tokens]


def _property_cells(text: str, properties: Sequence[str]) -> tuple[list[str], str]:
    """Take an answer apart; return what is wrong where that cannot be done."""
    empty = [""] * len(properties)
    try:
        values = msgspec.json.decode(text, type=dict[str, Any])
        return [_plain(_cell(values.get(name))) for name in properties], ""
    except msgspec.MsgspecError:
        return empty, "The answer is not the JSON that was asked for; it is in results.jsonl."
    except RecursionError:
        return [_plain(text), *empty[1:]], "The answer is nested too deep to be taken apart."


def _cell(value: object) -> str:
    if value is None:
        return ""
    return value if isinstance(value, str) else msgspec.json.encode(value).decode()


def _plain(text: str) -> str:
    """Keep a spreadsheet from running an answer as a formula; numbers stay as they are."""
    if not text.startswith(_FORMULA):
        return text
    try:
        float(text)
    except ValueError:
        return f"'{text}"
    return text


def _error_cells(result: Result) -> list[str]:
    if result.type in (CANCELED, EXPIRED):
        return [result.type, "", "", ""]
    message = result.inner_error.message
    return ["errored", f"{error_name(result)}: {message}" if message else error_name(result), "", ""]
