"""Where the pieces of a job's results lie in the Outbox until the job is finished, and how they are read.

work/<job>/waves/<shard>-<wave>/   of a wave that another one follows: what is final already, and what is sent next
work/<job>/parts/                  of a shard whose last wave is collected: its results and its errors
work/<job>/stats/                  of each wave: histograms and examples for the report
"""

from __future__ import annotations

import sys
from array import array
from collections.abc import Iterable, Iterator
from io import BytesIO

from sluice.aws.objects import Objects
from sluice.jobs.blocks import whole_lines
from sluice.jobs.model import ShardRef, work_key

RESULTS, ERRORS, KEPT, NEXT = "results", "errors", "kept", "next"
# Several objects are read at once where waves are merged.
_CHUNK_BYTES = 1 << 18


def lines_key(ref: ShardRef, name: str) -> str:
    return work_key(ref.job_id, "waves", f"{ref.shard:05d}-{ref.wave:02d}", f"{name}.jsonl")


def ordinals_key(ref: ShardRef, name: str) -> str:
    return work_key(ref.job_id, "waves", f"{ref.shard:05d}-{ref.wave:02d}", f"{name}.ordinals")


def ids_key(ref: ShardRef) -> str:
    """The key of the ``custom_id``s of the wave after ``ref``."""
    return work_key(ref.job_id, "waves", f"{ref.shard:05d}-{ref.wave:02d}", "next.ids")


def part_key(ref: ShardRef, name: str) -> str:
    return work_key(ref.job_id, "parts", f"{ref.shard:05d}.{name}.jsonl")


def stats_key(ref: ShardRef) -> str:
    return work_key(ref.job_id, "stats", f"{ref.shard:05d}-{ref.wave:02d}.json")


def encode_ordinals(ordinals: Iterable[int]) -> bytes:
    """Write places as unsigned 32-bit little-endian numbers."""
    values = array("I", ordinals)
    if sys.byteorder == "big":
        values.byteswap()
    return values.tobytes()


def decode_ordinals(data: bytes) -> array[int]:
    """Read what ``encode_ordinals`` wrote."""
    values = array("I", data)
    if sys.byteorder == "big":
        values.byteswap()
    return values


def read_ordinals(objects: Objects, outbox: str, key: str) -> array[int]:
    """Read the places of an ordinals object, 4 bytes each. Raises as ``Objects`` does."""
    return decode_ordinals(objects.get(outbox, key))


def read_placed_lines(objects: Objects, outbox: str, ref: ShardRef, name: str) -> Iterator[tuple[int, bytes]]:
    """Yield the lines of one file of a wave with their places in the shard, in order. Raises as ``Objects`` does."""
    places = read_ordinals(objects, outbox, ordinals_key(ref, name))
    runs = whole_lines(objects.stream(outbox, lines_key(ref, name), chunk_bytes=_CHUNK_BYTES))
    # Only a newline ends a line: a carriage return may stand between two values of one.
    return zip(places, (line for run in runs for line in BytesIO(run)), strict=True)
