"""The Outbox: where each object of a job lies there, and how it is written and read.

<job>/                             what people look into: results, errors and rejected lines, summary, report, table
work/settings/<job>.json           the settings that came with a job over HTTP
work/<job>/plan-…, settings-…      what planning found, and left for the shards
work/<job>/waves/<shard>-<wave>/   of a wave that another one follows: what is final already, and what is sent next
work/<job>/parts/                  of a shard whose last wave is collected: its results and its errors
                                   and what became of each of its requests (``jobs.rows``)
rows/<job>/                        where each row lies, for who reads a page of them
work/<job>/stats/                  of each wave: histograms and examples for the report
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from io import BytesIO

import msgspec

from sluice.aws.s3 import CHUNK_BYTES, S3, Writer
from sluice.aws.s3_join import JoinedObject, join_objects
from sluice.errors import ObjectNotFound
from sluice.jobs.lines import Placed, decode_ordinals, encode_ordinals, whole_lines
from sluice.jobs.model import Shard, ShardRef, work_key

RESULTS, ERRORS, REJECTED, KEPT, NEXT, ROWS = "results", "errors", "rejected", "kept", "next", "rows"
JSON, JSONL = "application/json", "application/x-ndjson"
_BINARY = "application/octet-stream"
# Several objects are read at once where waves are merged.
_MERGED_CHUNK_BYTES = 1 << 18
_IDS_CHUNK_BYTES = 1 << 16


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


def _wave_key(ref: ShardRef, name: str) -> str:
    return work_key(ref.job_id, "waves", f"{ref.shard:05d}-{ref.wave:02d}", name)


def next_lines_key(ref: ShardRef) -> str:
    """The key of the requests of the wave after ``ref``."""
    return _wave_key(ref, f"{NEXT}.jsonl")


def next_ids_key(ref: ShardRef) -> str:
    """The key of the ``custom_id``s of the wave after ``ref``."""
    return _wave_key(ref, f"{NEXT}.ids")


def ordinals_key(ref: ShardRef, name: str) -> str:
    return _wave_key(ref, f"{name}.ordinals")


def part_key(ref: ShardRef, name: str) -> str:
    return work_key(ref.job_id, "parts", f"{ref.shard:05d}.{name}.jsonl")


def _stats_key(ref: ShardRef) -> str:
    return work_key(ref.job_id, "stats", f"{ref.shard:05d}-{ref.wave:02d}.json")


@dataclass(frozen=True, slots=True)
class Outbox:
    """The bucket with all that becomes of jobs. Raises as ``S3`` does."""

    s3: S3
    bucket: str

    def get(self, key: str) -> bytes:
        return self.s3.get(self.bucket, key)

    def put(self, key: str, body: bytes, content_type: str = _BINARY) -> None:
        self.s3.put(self.bucket, key, body, content_type)

    def stream(self, key: str, *, chunk_bytes: int = CHUNK_BYTES) -> Iterator[bytes]:
        return self.s3.stream(self.bucket, key, chunk_bytes=chunk_bytes)

    def begin(self, key: str) -> Writer:
        """Begin an object of lines that appears when its writer is finished."""
        return self.s3.begin(self.bucket, key)

    def writer(self, key: str, content_type: str = JSONL) -> AbstractContextManager[Writer]:
        """Open an object that appears when the block ends, and not at all when the block raises."""
        return self.s3.writer(self.bucket, key, content_type)

    def put_file(self, job_id: str, name: str, body: bytes, content_type: str) -> None:
        """Write a file of a job that people look into, such as ``summary.json``."""
        self.put(f"{job_id}/{name}", body, content_type)

    def file_writer(self, job_id: str, name: str, content_type: str) -> AbstractContextManager[Writer]:
        return self.writer(f"{job_id}/{name}", content_type)

    def file_lines(self, job_id: str, name: str) -> Iterator[bytes]:
        """Yield the lines of one of a job's files, such as ``errors``, without their newlines."""
        return self.lines(f"{job_id}/{name}.jsonl")

    def lines(self, key: str) -> Iterator[bytes]:
        """Yield the lines of an object, without their newlines."""
        for run in whole_lines(self.stream(key)):
            # Only a newline ends a line: a carriage return may stand between two values of one.
            yield from run[:-1].split(b"\n")

    def join_files(self, job_id: str, files: Mapping[str, Sequence[str]]) -> None:
        """Make each of a job's files of its work files, whose keys are given. Raises ObjectNotFound for a lost one."""
        sizes = {each.key: each.size for each in self.s3.list(self.bucket, work_key(job_id, ""))}
        for name, keys in files.items():
            join_objects(self.s3, self.bucket, f"{job_id}/{name}.jsonl", _pieces(keys, sizes), JSONL)

    def write_manifest(self, job_id: str, attempt: str, manifest: Manifest, shards: Iterable[Shard]) -> str:
        """Write what a plan found, and its shards; return the key."""
        key = work_key(job_id, f"plan-{attempt}.jsonl")
        with self.writer(key) as writer:
            for line in encode_manifest(manifest, shards):
                writer.write(line)
        return key

    def read_manifest(self, key: str) -> Manifest:
        return _MANIFEST.decode(next(self.lines(key)))

    def read_shards(self, key: str) -> Iterator[Shard]:
        """Yield the shards of a plan, in the order of the input."""
        lines = self.lines(key)
        next(lines)
        return map(_SHARD.decode, lines)

    def ids(self, shard: Shard) -> Iterator[bytes]:
        """Yield the ``custom_id``s of a shard as runs of whole lines, in the order of its requests."""
        return whole_lines(self.stream(shard.ids_key, chunk_bytes=_IDS_CHUNK_BYTES))

    def ordinals(self, shard: Shard) -> Sequence[int]:
        """Return the places of a shard's requests in its first wave."""
        if shard.ordinals_key is None:
            return range(shard.count)
        return decode_ordinals(self.get(shard.ordinals_key))

    def wave_ordinals(self, ref: ShardRef, name: str) -> array[int]:
        """Return the places of the lines of one file of a wave, 4 bytes each."""
        return decode_ordinals(self.get(ordinals_key(ref, name)))

    def put_ordinals(self, ref: ShardRef, name: str, ordinals: Iterable[int]) -> None:
        self.put(ordinals_key(ref, name), encode_ordinals(ordinals))

    def write_placed_lines(self, ref: ShardRef, name: str, placed: Iterable[Placed]) -> None:
        """Write one file of a wave, and the places of its lines."""
        ordinals = array("I")
        with self.writer(_wave_key(ref, f"{name}.jsonl")) as writer:
            for ordinal, line in placed:
                ordinals.append(ordinal)
                writer.write(line)
        self.put_ordinals(ref, name, ordinals)

    def read_placed_lines(self, ref: ShardRef, name: str) -> Iterator[Placed]:
        """Yield the lines of one file of a wave with their places in the shard, in order."""
        places = self.wave_ordinals(ref, name)
        runs = whole_lines(self.stream(_wave_key(ref, f"{name}.jsonl"), chunk_bytes=_MERGED_CHUNK_BYTES))
        # Only a newline ends a line: a carriage return may stand between two values of one.
        return zip(places, (line for run in runs for line in BytesIO(run)), strict=True)

    def part_writer(self, ref: ShardRef, name: str) -> AbstractContextManager[Writer]:
        """Open the results or the errors of a shard, written after its last wave."""
        return self.writer(part_key(ref, name))

    def put_stats(self, ref: ShardRef, stats: bytes) -> None:
        """Write the figures of a wave, as JSON."""
        self.put(_stats_key(ref), stats, JSON)

    def get_stats(self, ref: ShardRef) -> bytes:
        return self.get(_stats_key(ref))


def _pieces(keys: Iterable[str], sizes: Mapping[str, int]) -> list[JoinedObject]:
    try:
        return [JoinedObject(key, sizes[key]) for key in keys]
    except KeyError as missing:
        raise ObjectNotFound(
            f"The work file {missing} of the job is not there, so its results would lack it."
        ) from None
