"""How far the reading of a file has come, so that another invocation can go on where one stopped."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import msgspec

from sluice.jobs.formats.appraise import Appraisal
from sluice.jobs.formats.base import Position
from sluice.jobs.formats.check import Asked, BadLine
from sluice.jobs.formats.request_line import EMPTY, NOT_JSON, KnownRefusal
from sluice.jobs.model import Shard
from sluice.jobs.plan.estimate import Demand


@dataclass(slots=True)
class Counts:
    """The lines read so far: requests + rejected = lines. ``reasons`` counts rejected ones by what is wrong.

    ``known_refusals`` counts those of them that are requests, and that the API would refuse.
    """

    lines: int = 0
    requests: int = 0
    known_refusals: int = 0
    reasons: dict[str, int] = field(default_factory=dict)
    demand: Demand = field(default_factory=Demand)

    @property
    def rejected(self) -> int:
        return sum(self.reasons.values())

    @property
    def bad(self) -> int:
        """Rejected lines that had something in them, and are no requests that can be read."""
        return self.rejected - self.reasons.get(EMPTY, 0) - self.known_refusals

    @property
    def filled(self) -> int:
        """Lines that had something in them."""
        return self.lines - self.reasons.get(EMPTY, 0)

    @property
    def unreadable(self) -> int:
        """Lines that are nothing of what a file of requests has."""
        return self.reasons.get(NOT_JSON, 0)

    def reject(self, line: BadLine) -> None:
        self.lines += 1
        self.known_refusals += isinstance(line.problem, KnownRefusal)
        self.reasons[line.problem.kind] = self.reasons.get(line.problem.kind, 0) + 1

    def accept(
        self,
        asked: Mapping[str, Asked],
        line_bytes: int,
        retry_max_tokens: int = 0,
        appraisal: Appraisal | None = None,
    ) -> None:
        """Count requests, given by model; ``retry_max_tokens`` as the settings have it, ``appraisal`` as in ``Run``."""
        count = sum(each.requests for each in asked.values())
        self.lines += count
        self.requests += count
        self.demand.add(asked, line_bytes, retry_max_tokens, appraisal)


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """All that is known of a file up to ``position``, where a shard ends.

    ``settings_key`` names the job's settings. ``repeated`` are the ids that are known to be there more than once, of
    which those ``used`` have passed.
    """

    settings_key: str
    position: Position = field(default_factory=Position)
    shards: tuple[Shard, ...] = ()
    rejected_keys: tuple[str, ...] = ()
    counts: Counts = field(default_factory=Counts)
    notes: tuple[str, ...] = ()
    repeated: tuple[str, ...] = ()
    used: tuple[str, ...] = ()


_DECODER = msgspec.json.Decoder(Checkpoint)


def encode_checkpoint(checkpoint: Checkpoint) -> bytes:
    return msgspec.json.encode(checkpoint)


def decode_checkpoint(data: bytes) -> Checkpoint:
    """Read what ``encode_checkpoint`` wrote. Raises msgspec.DecodeError on anything else."""
    return _DECODER.decode(data)
