"""The manifest of a plan: an object of the Outbox with a line of JSON about the plan, then one for each shard."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

import msgspec

from sluice.aws.objects import Objects
from sluice.jobs.blocks import whole_lines
from sluice.jobs.model import Shard


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


def read_manifest(objects: Objects, outbox: str, key: str) -> Manifest:
    """Read what a plan found. Raises as ``Objects`` does."""
    return _MANIFEST.decode(next(_lines(objects, outbox, key)))


def read_shards(objects: Objects, outbox: str, key: str) -> Iterator[Shard]:
    """Yield the shards of a plan, in the order of the input. Raises as ``Objects`` does."""
    lines = _lines(objects, outbox, key)
    next(lines)
    return map(_SHARD.decode, lines)


def _lines(objects: Objects, outbox: str, key: str) -> Iterator[bytes]:
    for run in whole_lines(objects.stream(outbox, key)):
        yield from run.splitlines()
