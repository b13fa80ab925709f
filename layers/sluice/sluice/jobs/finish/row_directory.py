"""Writing down, at the end of a job, where each of its rows lies (``jobs.rows``)."""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import msgspec

from sluice.aws.s3 import Writer
from sluice.aws.s3_join import JoinedObject, join_objects
from sluice.errors import ObjectNotFound
from sluice.jobs.formats.base import Cell, TableRow
from sluice.jobs.model import Job, Shard
from sluice.jobs.outbox import JSON, REJECTED, ROWS, part_key
from sluice.jobs.rows import (
    ANSWERED,
    CELLS_STEP,
    ERRORED,
    Cells,
    RowDirectory,
    ShardRows,
    ShardTotals,
    encode_directory,
    rows_key,
)
from sluice.jobs.services import Services

_PARALLEL = 8
_ENCODER = msgspec.json.Encoder()


class _Numbered(msgspec.Struct):
    line: int


_NUMBERED = msgspec.json.Decoder(_Numbered)


def write_row_directory(
    services: Services, job: Job, last_waves: Sequence[Shard], cells: Cells | None, max_tokens: int
) -> None:
    """Write the directory of a job whose results, errors and rejected lines are joined. Raises as ``S3`` does.

    Of a job whose shards were collected before there were notes of rows, there is none.
    """
    outbox, keys = services.outbox, [part_key(shard.ref, ROWS) for shard in last_waves]
    try:
        with ThreadPoolExecutor(_PARALLEL) as pool:
            totals = list(pool.map(lambda key: _totals(ShardRows.decode(outbox.get(key))), keys))
    except ObjectNotFound:
        return
    pieces = [JoinedObject(key, each.places_bytes) for key, each in zip(keys, totals, strict=True)]
    join_objects(services.s3, outbox.bucket, rows_key(job.job_id, "places"), pieces, "application/octet-stream")
    rejected, ends = _rejected(services, job)
    directory = RowDirectory(tuple(totals), tuple(rejected), tuple(ends), cells, max_tokens)
    outbox.put(rows_key(job.job_id, "directory.json"), encode_directory(directory), JSON)


def _totals(rows: ShardRows) -> ShardTotals:
    count = len(rows.statuses)
    answers, errors = rows.statuses.count(ANSWERED), rows.statuses.count(ERRORED)
    return ShardTotals(count, answers, rows.before(count, ANSWERED), errors, rows.before(count, ERRORED))


def _rejected(services: Services, job: Job) -> tuple[array[int], array[int]]:
    """Read which rows were rejected, and where the line of each ends."""
    numbers, ends, end = array("Q"), array("Q"), 0
    for line in services.outbox.file_lines(job.job_id, REJECTED):
        if line:
            end += len(line) + 1
            numbers.append(_NUMBERED.decode(line).line)
            ends.append(end)
    return numbers, ends


class CellsWriter:
    """Writes the rows of a table as lines of JSON, beside the files that people get (a ``TableWriter``)."""

    def __init__(self, writer: Writer, columns: Sequence[str]) -> None:
        self._writer = writer
        self._columns = tuple(columns)
        self._offsets: list[int] = []
        self._count = 0

    def write_header(self, new_columns: Sequence[str]) -> None:
        """The new columns are read from the results."""

    def write_row(self, row: TableRow, cells: Sequence[Cell]) -> None:
        if self._count % CELLS_STEP == 0:
            self._offsets.append(self._writer.size)
        self._count += 1
        # A byte that is not of the file's encoding stands as half of a pair, which no JSON has.
        given = [cell.encode(errors="replace").decode() for cell in row.cells[: len(self._columns)]]
        self._writer.write(_ENCODER.encode([*given, *_kept(cells)]) + b"\n")

    def close(self) -> None:
        """Nothing is held back."""

    def cells(self) -> Cells:
        """Say where the rows are."""
        return Cells(self._columns, tuple(self._offsets), self._writer.size)


def _kept(cells: Sequence[Cell]) -> Sequence[Cell]:
    """The status and what is wrong: of the four columns behind the answer, the first two."""
    return cells[-4:-2]
