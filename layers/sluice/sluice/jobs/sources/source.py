"""The lines of a shard, read from where they lie."""

from __future__ import annotations

from collections.abc import Iterator

from sluice.aws.objects import Objects
from sluice.jobs.blocks import whole_lines
from sluice.jobs.model import Source
from sluice.jobs.sources.edits import apply_edits, decode_edits


def read_lines(objects: Objects, source: Source, outbox: str) -> Iterator[bytes]:
    """Yield the requests of a shard as runs of whole lines with their newlines, its edits made.

    ``outbox`` is the bucket with the edits. Memory does not grow with the shard. Raises as ``Objects`` does.
    """
    chunks = objects.stream(source.bucket, source.key, source.version, start=source.start, end=source.end)
    if source.edits_key is not None:
        edits = decode_edits(objects.stream(outbox, source.edits_key))
        chunks = apply_edits(chunks, edits, source.start)
    return whole_lines(chunks)
