"""A page of the rows of an ended job, read by byte ranges: no file is read whole (``jobs.rows``)."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import accumulate, compress, islice
from typing import Any

import msgspec

from sluice.errors import Conflict, InvalidRequest, ObjectNotFound
from sluice.jobs.collect.retry_policy import error_name
from sluice.jobs.incomplete import row_problem
from sluice.jobs.model import Job
from sluice.jobs.outbox import ERRORS, REJECTED, RESULTS
from sluice.jobs.rejected import decode_rejected
from sluice.jobs.results import CANCELED, EXPIRED, Result, decode_at_any_depth, read_result_line
from sluice.jobs.rows import (
    ANSWERED,
    CELLS_STEP,
    ERRORED,
    RowDirectory,
    ShardRows,
    ShardTotals,
    decode_directory,
    rows_key,
)
from sluice.jobs.services import Services

DEFAULT_ROWS, MAX_ROWS = 50, 200
# Lambda: an answer has at most 6 MB. Rows that come to more are left to the next page.
_MAX_PAGE_BYTES = 4 << 20
_REJECTED = 3
STATUSES = {"succeeded": ANSWERED, "errored": ERRORED, "rejected": _REJECTED}
_FILES = {ANSWERED: RESULTS, ERRORED: ERRORS, _REJECTED: REJECTED}
_PARALLEL = 8


@dataclass(frozen=True, slots=True)
class RowPlace:
    """A row, what became of it, and where in the file of that its line lies."""

    row: int
    status: int
    start: int
    length: int


@dataclass(slots=True)
class _Finder:
    """Finds rows by a directory. ``read`` gives the bytes of the object with the ``ShardRows``, from one to another."""

    directory: RowDirectory
    read: Callable[[int, int], bytes]
    _behind: list[int] = field(default_factory=list)

    def __post_init__(self) -> None:
        # How many rows that were asked come before each rejected one.
        self._behind = [row - 1 - number for number, row in enumerate(self.directory.rejected)]

    def row_of(self, ordinal: int) -> int:
        """Return the row of a request, by its place among all requests of the job."""
        return ordinal + 1 + bisect_right(self._behind, ordinal)

    def find(self, after: int, status: int | None) -> Iterator[RowPlace]:
        """Yield the rows behind one, in their order."""
        rejected = self._rejected(after) if status in (None, _REJECTED) else iter(())
        asked = self._asked(after, status) if status != _REJECTED else iter(())
        yield from _merged(asked, rejected)

    def _rejected(self, after: int) -> Iterator[RowPlace]:
        rows, ends = self.directory.rejected, self.directory.rejected_ends
        for number in range(bisect_right(rows, after), len(rows)):
            start = ends[number - 1] if number else 0
            yield RowPlace(rows[number], _REJECTED, start, ends[number] - start)

    def _asked(self, after: int, status: int | None) -> Iterator[RowPlace]:
        first = after - bisect_right(self.directory.rejected, after)
        begin = places = 0
        bytes_before = {ANSWERED: 0, ERRORED: 0}
        for shard in self.directory.shards:
            if begin + shard.requests > first and _has(shard, status):
                rows = ShardRows.decode(self.read(places, places + shard.places_bytes))
                yield from self._of_shard(rows, begin, max(first - begin, 0), status, bytes_before)
            begin, places = begin + shard.requests, places + shard.places_bytes
            bytes_before[ANSWERED] += shard.answers_bytes
            bytes_before[ERRORED] += shard.errors_bytes

    def _of_shard(
        self, rows: ShardRows, begin: int, first: int, status: int | None, bytes_before: dict[int, int]
    ) -> Iterator[RowPlace]:
        at = {each: bytes_before[each] + rows.before(first, each) for each in (ANSWERED, ERRORED)}
        for place in range(first, len(rows.statuses)):
            found, length = rows.statuses[place], rows.lengths[place]
            if status in (None, found):
                yield RowPlace(self.row_of(begin + place), found, at[found], length)
            at[found] += length


def _has(shard: ShardTotals, status: int | None) -> bool:
    return status is None or bool(shard.answers if status == ANSWERED else shard.errors)


def _merged(one: Iterator[RowPlace], other: Iterator[RowPlace]) -> Iterator[RowPlace]:
    """Yield rows of two iterators in their order, and read of neither more than is needed."""
    first, second = next(one, None), next(other, None)
    while first or second:
        if second is None or (first and first.row < second.row):
            assert first
            yield first
            first = next(one, None)
        else:
            yield second
            second = next(other, None)


@dataclass(frozen=True, slots=True)
class JobRows:
    """Raises RequestErrors, and AwsErrors. Who may read is asked before."""

    services: Services

    def page(self, job: Job, after: int, limit: int, status: str | None) -> dict[str, Any]:
        """Return the rows behind one, ``limit`` of them at most; fewer where they are long."""
        wanted = _checked(after, limit, status)
        directory = self._directory(job)
        outbox = self.services.outbox

        def read(start: int, end: int) -> bytes:
            return b"".join(outbox.s3.stream(outbox.bucket, rows_key(job.job_id, "places"), start=start, end=end))

        found = list(islice(_Finder(directory, read).find(after, wanted), limit + 1))
        page = list(_fitting(found[:limit]))
        more = len(found) > len(page)
        lines, cells = self._lines(job, page), self._cells(job, directory, [place.row for place in page])
        columns = directory.cells.columns if directory.cells else None
        data = [_view(place, lines[place.row], cells.get(place.row), columns, directory.max_tokens) for place in page]
        last = page[-1].row if page else None
        return {"data": data, "has_more": more, "last_row": last, "rows": directory.rows, "columns": columns}

    def _directory(self, job: Job) -> RowDirectory:
        if not job.status.final:
            raise Conflict(f"Job {job.job_id} is {job.status}: its rows can be read once it has ended.")
        try:
            return decode_directory(self.services.outbox.get(rows_key(job.job_id, "directory.json")))
        except ObjectNotFound:
            raise Conflict(f"Job {job.job_id} has no rows that can be read one by one; its files have all.") from None

    def _lines(self, job: Job, page: Sequence[RowPlace]) -> dict[int, bytes]:
        """Read the lines of rows: those that lie one behind the other in a file, in one go."""
        outbox = self.services.outbox

        def read(run: list[RowPlace]) -> Iterator[tuple[int, bytes]]:
            key, start = f"{job.job_id}/{_FILES[run[0].status]}.jsonl", run[0].start
            data = b"".join(outbox.s3.stream(outbox.bucket, key, start=start, end=run[-1].start + run[-1].length))
            return iter([(each.row, data[each.start - start :][: each.length]) for each in run])

        with ThreadPoolExecutor(_PARALLEL) as pool:
            return {row: line for lines in pool.map(read, _runs(page)) for row, line in lines}

    def _cells(self, job: Job, directory: RowDirectory, rows: Sequence[int]) -> dict[int, list[Any]]:
        """Read the cells of a table's rows, a block of them in one go."""
        cells, outbox = directory.cells, self.services.outbox
        if cells is None:
            return {}
        ends = [*cells.offsets[1:], cells.size]

        def read(block: int) -> Iterator[tuple[int, list[Any]]]:
            key = rows_key(job.job_id, "cells.jsonl")
            data = b"".join(outbox.s3.stream(outbox.bucket, key, start=cells.offsets[block], end=ends[block]))
            numbered = enumerate(data.split(b"\n")[:-1], block * CELLS_STEP + 1)
            return iter([(row, msgspec.json.decode(line)) for row, line in numbered if row in wanted])

        wanted = set(rows)
        with ThreadPoolExecutor(_PARALLEL) as pool:
            blocks = sorted({(row - 1) // CELLS_STEP for row in rows})
            return {row: values for found in pool.map(read, blocks) for row, values in found}


def _checked(after: int, limit: int, status: str | None) -> int | None:
    if after < 0:
        raise InvalidRequest("after: has to be a row, 0 for the beginning.")
    if not 1 <= limit <= MAX_ROWS:
        raise InvalidRequest(f"limit: has to be from 1 to {MAX_ROWS}.")
    if status and status not in STATUSES:
        raise InvalidRequest(f"status: has to be one of {', '.join(STATUSES)}.")
    return STATUSES[status] if status else None


def _fitting(page: Sequence[RowPlace]) -> Iterable[RowPlace]:
    """Keep as many rows as fit an answer; one at least."""
    sizes = accumulate(place.length for place in page)
    fits = [size < _MAX_PAGE_BYTES or number == 0 for number, size in enumerate(sizes)]
    return compress(page, fits)


def _runs(page: Iterable[RowPlace]) -> list[list[RowPlace]]:
    """Group rows whose lines lie one behind the other in one file."""
    runs: dict[int, list[list[RowPlace]]] = {}
    for place in page:
        of_file = runs.setdefault(place.status, [])
        if of_file and of_file[-1][-1].start + of_file[-1][-1].length == place.start:
            of_file[-1].append(place)
        else:
            of_file.append([place])
    return [run for of_file in runs.values() for run in of_file]


def _view(
    place: RowPlace, line: bytes, cells: list[Any] | None, columns: Sequence[str] | None, max_tokens: int
) -> dict[str, Any]:
    view: dict[str, Any] = {"row": place.row, "id": None, "status": "rejected", "answer": None, "error": None}
    if place.status == _REJECTED:
        rejected = decode_rejected(line)
        view |= {"error": rejected.reason, "text": rejected.text}
    elif place.status == ANSWERED:
        view |= _answer_view(line, max_tokens)
    else:
        errored = read_result_line(line)
        view |= {"id": errored.custom_id, **_error_view(errored.result)}
    if cells is not None and columns is not None:
        view["columns"] = dict(zip(columns, cells, strict=False))
        # What the table found of an answer, such as that it does not fit the schema.
        if place.status == ANSWERED:
            view |= {"status": cells[len(columns)], "error": cells[len(columns) + 1] or None}
    return view


class _Answer(msgspec.Struct):
    custom_id: str
    result: _Succeeded


class _Succeeded(msgspec.Struct):
    message: _Message


class _Message(msgspec.Struct):
    content: list[_Block] = []
    model: str = ""
    stop_reason: str | None = None
    stop_details: _Details | None = None
    usage: Any = None


class _Block(msgspec.Struct):
    type: str
    text: str = ""


class _Details(msgspec.Struct):
    explanation: str | None = None


_ANSWER = msgspec.json.Decoder(_Answer)


def _answer_view(line: bytes, max_tokens: int) -> dict[str, Any]:
    answer = decode_at_any_depth(_ANSWER, line)
    message = answer.result.message
    details = message.stop_details.explanation if message.stop_details else None
    status, problem = row_problem(message.stop_reason, max_tokens, details or "") or ("succeeded", None)
    return {
        "id": answer.custom_id,
        "status": status,
        "answer": "".join(block.text for block in message.content if block.type == "text"),
        "error": problem,
        "model": message.model,
        "stop_reason": message.stop_reason,
        "usage": message.usage,
    }


def _error_view(result: Result) -> dict[str, Any]:
    if result.type in (CANCELED, EXPIRED):
        return {"status": result.type, "error": None}
    message = result.inner_error.message
    return {"status": "errored", "error": f"{error_name(result)}: {message}" if message else error_name(result)}
