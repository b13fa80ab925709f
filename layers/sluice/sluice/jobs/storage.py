"""Where the pieces of a job's results lie in the Outbox until the job is finished, and how they are read.

work/<job>/waves/<shard>-<wave>/   of a wave that another one follows: what is final already, and what is sent next
work/<job>/parts/                  of a shard whose last wave is collected: its results and its errors
work/<job>/stats/                  of each wave: histograms and examples for the report
"""

from __future__ import annotations

import heapq
import sys
from array import array
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from io import BytesIO
from itertools import groupby
from operator import itemgetter

import msgspec

from sluice.aws.s3 import S3
from sluice.jobs.model import Shard, ShardRef, work_key


def whole_lines(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """Yield the same bytes as runs of whole lines, each with its newline; the last line gets one where it has none.

    A run is about as long as a chunk, and as long as a line where that is longer.
    """
    started: list[bytes] = []
    for chunk in chunks:
        cut = chunk.rfind(b"\n") + 1
        if not cut:
            started.append(chunk)
            continue
        yield b"".join((*started, memoryview(chunk)[:cut])) if started else chunk[:cut]
        started = [chunk[cut:]] if cut < len(chunk) else []
    if rest := b"".join(started):
        yield rest + b"\n"


@dataclass(frozen=True, slots=True)
class Manifest:
    """What the table need not know of a plan.

    ``rejected_keys`` name the objects of the Outbox whose lines, one after the other, are ``rejected.jsonl``;
    ``reasons`` counts the rejected lines by what is wrong with them; ``notes`` are sentences for a person.
    """

    rejected_keys: tuple[str, ...] = ()
    reasons: Mapping[str, int] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


_ENCODER = msgspec.json.Encoder()
_MANIFEST = msgspec.json.Decoder(Manifest)
_SHARD = msgspec.json.Decoder(Shard)


def encode_manifest(manifest: Manifest, shards: Iterable[Shard]) -> Iterator[bytes]:
    """Yield the lines of a manifest object."""
    yield _ENCODER.encode(manifest) + b"\n"
    for shard in shards:
        yield _ENCODER.encode(shard) + b"\n"


def read_manifest(objects: S3, outbox: str, key: str) -> Manifest:
    """Read what a plan found. Raises as ``S3`` does."""
    return _MANIFEST.decode(next(_lines(objects, outbox, key)))


def read_shards(objects: S3, outbox: str, key: str) -> Iterator[Shard]:
    """Yield the shards of a plan, in the order of the input. Raises as ``S3`` does."""
    lines = _lines(objects, outbox, key)
    next(lines)
    return map(_SHARD.decode, lines)


def _lines(objects: S3, outbox: str, key: str) -> Iterator[bytes]:
    for run in whole_lines(objects.stream(outbox, key)):
        yield from run.splitlines()


RESULTS, ERRORS, KEPT, NEXT = "results", "errors", "kept", "next"
# Several objects are read at once where waves are merged.
_CHUNK_BYTES = 1 << 18


def lines_key(ref: ShardRef, name: str) -> str:
    return work_key(ref.job_id, "waves", f"{ref.shard:05d}-{ref.wave:02d}", f"{name}.jsonl")


def ordinals_key(ref: ShardRef, name: str) -> str:
    return work_key(ref.job_id, "waves", f"{ref.shard:05d}-{ref.wave:02d}", f"{name}.ordinals")


def ids_key(ref: ShardRef) -> str:
    """Return the key of the ``custom_id``s of the wave after ``ref``."""
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


def read_ordinals(objects: S3, outbox: str, key: str) -> array[int]:
    """Read the places of an ordinals object, 4 bytes each. Raises as ``S3`` does."""
    return decode_ordinals(objects.get(outbox, key))


def read_shard_ordinals(objects: S3, outbox: str, shard: Shard) -> Sequence[int]:
    """Return the places of a shard's requests in its first wave. Raises as ``S3`` does."""
    return range(shard.count) if shard.ordinals_key is None else read_ordinals(objects, outbox, shard.ordinals_key)


def read_placed_lines(objects: S3, outbox: str, ref: ShardRef, name: str) -> Iterator[tuple[int, bytes]]:
    """Yield the lines of one file of a wave with their places in the shard, in order. Raises as ``S3`` does."""
    places = read_ordinals(objects, outbox, ordinals_key(ref, name))
    runs = whole_lines(objects.stream(outbox, lines_key(ref, name), chunk_bytes=_CHUNK_BYTES))
    # Only a newline ends a line: a carriage return may stand between two values of one.
    return zip(places, (line for run in runs for line in BytesIO(run)), strict=True)


Placed = tuple[int, bytes]
_place = itemgetter(0)


def merge_waves(waves: Sequence[Iterable[Placed]]) -> Iterator[bytes]:
    """Yield the lines of several waves in the order of their places, which ascend within each.

    Where several have a line for one place, that of the last wave counts: an answer that was asked for again.
    """
    if len(waves) == 1:
        yield from (line for _, line in waves[0])
        return
    for _, lines in groupby(heapq.merge(*waves, key=_place), key=_place):
        *_, (_, line) = lines
        yield line
