"""What a job and a shard are, and the states that they pass through.

job    received -> planned -> running -> finished | finished_with_errors | cancelled
       received -> failed                      nothing in the file can run
       received | planned | running -> held -> the state before it: waits for a person
shard  planned -> submitting -> in_progress -> ended -> collected
       submitting -> adopting -> in_progress   an intent without a batch id: a batch that may be ours is looked for
       submitting | adopting -> planned        no batch was made
       planned -> collected                    cancelled before it was sent
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import PurePosixPath


class JobStatus(StrEnum):
    RECEIVED = "received"
    PLANNED = "planned"
    RUNNING = "running"
    HELD = "held"
    FINISHED = "finished"
    FINISHED_WITH_ERRORS = "finished_with_errors"
    FAILED = "failed"
    CANCELLED = "cancelled"

    @property
    def final(self) -> bool:
        return self in _FINAL


_FINAL = frozenset({JobStatus.FINISHED, JobStatus.FINISHED_WITH_ERRORS, JobStatus.FAILED, JobStatus.CANCELLED})


class ShardStatus(StrEnum):
    PLANNED = "planned"
    SUBMITTING = "submitting"
    ADOPTING = "adopting"
    IN_PROGRESS = "in_progress"
    ENDED = "ended"
    COLLECTED = "collected"


# An intent without a batch id: there may be a batch.
UNDECIDED = frozenset({ShardStatus.SUBMITTING, ShardStatus.ADOPTING})


@dataclass(frozen=True, slots=True)
class Upload:
    """One object that arrived in the Inbox. ``size`` in bytes; ``version`` is None in a bucket without versions."""

    bucket: str
    key: str
    version: str | None
    etag: str
    size: int

    @property
    def job_id(self) -> str:
        """The same for each notification of the same upload; readable, since it names the folder of the results."""
        identity = "\0".join((self.bucket, self.key, self.version or self.etag))
        digest = hashlib.sha256(identity.encode()).hexdigest()[:12]
        stem = PurePosixPath(self.key).name.split(".")[0].lower()
        slug = re.sub(r"[^a-z0-9]+", "-", stem).strip("-")[:32].strip("-")
        return f"{slug or 'job'}-{digest}"

    @property
    def folder(self) -> str:
        """The key up to and without the file name and its slash; empty at the top of the bucket."""
        return self.key.rpartition("/")[0]


@dataclass(frozen=True, slots=True)
class Hold:
    """Why a job waits. ``kind`` is "cost", "bad_lines", "settings" or "incident:<kind>"; ``reason`` is for a person."""

    kind: str
    reason: str


@dataclass(frozen=True, slots=True)
class Plan:
    """What planning found. ``manifest_key`` names the object with the shards; costs in US dollars, estimated.

    ``worst_cost`` is what the job costs when every answer is as long as its ``max_tokens``, and is asked for again
    where ``retry_max_tokens`` may.
    """

    manifest_key: str
    lines: int
    requests: int
    rejected: int
    shards: int
    estimated_cost: float
    estimated_input_tokens: int = 0
    models: tuple[str, ...] = ()
    worst_cost: float = 0.0


@dataclass(frozen=True, slots=True)
class Tally:
    """A job's books at its end. ``cost`` in US dollars, estimated; ``waves`` how often a request was sent at most.

    ``errors`` counts by error type, ``reasons`` rejected lines by what is wrong with them; ``first_rejection`` says it
    of the first one, for a person. ``balanced``: each line is accounted for, once (see ``jobs.finish.totals``).
    ``lost_table`` says why a table came back without its results.csv; empty where it did not.
    """

    lines: int
    succeeded: int
    errored: int
    rejected: int
    cost: float = 0.0
    waves: int = 0
    errors: Mapping[str, int] = field(default_factory=dict)
    balanced: bool = True
    reasons: Mapping[str, int] = field(default_factory=dict)
    first_rejection: str = ""
    lost_table: str = ""


@dataclass(frozen=True, slots=True)
class Job:
    """One dropped file. Times in epoch seconds; ``notices`` maps an event's name to "pending", "sent" or "dropped".

    One that came without a change of state became pending ``noticed_at``. ``held_at`` is when the present hold began: a
    held job can move on, as its batches end. ``nudges`` counts how often the job's messages were sent again, last
    ``resent_at``, since it moved.
    """

    upload: Upload
    status: JobStatus
    received_at: float
    moved_at: float
    settings_key: str | None = None
    plan: Plan | None = None
    open_shards: int = 0
    hold: Hold | None = None
    held_at: float | None = None
    status_before_hold: JobStatus | None = None
    cancel_requested: bool = False
    started_at: float | None = None
    finished_at: float | None = None
    failure: str | None = None
    noticed_at: float | None = None
    resent_at: float | None = None
    resends: int = 0
    tally: Tally | None = None
    notices: Mapping[str, str] = field(default_factory=dict)

    @property
    def job_id(self) -> str:
        return self.upload.job_id


@dataclass(frozen=True, slots=True)
class ShardRef:
    job_id: str
    shard: int
    wave: int

    def message(self) -> dict[str, object]:
        return {"job_id": self.job_id, "shard": self.shard, "wave": self.wave}

    @classmethod
    def parse(cls, message: Mapping[str, object]) -> ShardRef:
        """Read what ``message`` wrote. Raises KeyError or ValueError on anything else."""
        return cls(str(message["job_id"]), int(str(message["shard"])), int(str(message["wave"])))


@dataclass(frozen=True, slots=True)
class Source:
    """Where the lines of a shard lie: the bytes [start, end) of an object, and edits to be made as they pass.

    The bytes are whole lines of JSONL without the last newline. ``edits_key`` names an object in the Outbox with the
    edits (see ``jobs.requests``), or is None where the bytes go as they are.
    """

    bucket: str
    key: str
    version: str | None
    start: int
    end: int
    edits_key: str | None = None


@dataclass(frozen=True, slots=True)
class Tokens:
    """Tokens of one model. ``cost`` in US dollars, estimated at the batch price."""

    input: int = 0
    output: int = 0
    cache_write: int = 0
    cache_read: int = 0
    cost: float = 0.0

    def __add__(self, other: Tokens) -> Tokens:
        return Tokens(
            self.input + other.input,
            self.output + other.output,
            self.cache_write + other.cache_write,
            self.cache_read + other.cache_read,
            self.cost + other.cost,
        )


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of the requests of one shard in one wave: succeeded + errored + retried = the shard's count.

    ``retried`` counts those that went on to the next wave. ``tokens`` by model; ``errors`` counts by error type.
    """

    succeeded: int = 0
    errored: int = 0
    retried: int = 0
    tokens: Mapping[str, Tokens] = field(default_factory=dict)
    errors: Mapping[str, int] = field(default_factory=dict)


# A shard is never put off for longer, so that one with a later date than this is no reason to sit and wait.
LONGEST_WAIT_SECONDS = 7200.0


@dataclass(frozen=True, slots=True)
class Shard:
    """The part of a job that becomes one Message Batch; in a later wave, what is left of it.

    ``count`` requests; ``length`` bytes of the whole body of the create call. ``ids_key`` names an object of the
    Outbox with the ``custom_id`` of each request, a line each, in the order of the input; ``ordinals_key`` one with
    their places in the shard's first wave (unsigned 32-bit little-endian numbers), or None in the first wave, where the
    place is the line. ``nonce`` stands in for the ``custom_id`` of the first request (the first line of ``ids_key``).
    ``candidates`` are batches that may be this shard's after an intent without an id, ``refuted`` those of them that
    are not. ``passes`` counts the waves that were spent on passing failures, ``refusals`` those after which
    the job was held. Times in epoch seconds.
    """

    ref: ShardRef
    source: Source
    count: int
    length: int
    ids_key: str
    nonce: str
    status: ShardStatus = ShardStatus.PLANNED
    moved_at: float = 0.0
    ordinals_key: str | None = None
    betas: str | None = None
    transient_waves: int = 0
    refusals: int = 0
    not_before: float = 0.0
    intent_at: float | None = None
    lease_until: float | None = None
    batch_id: str | None = None
    candidates: tuple[str, ...] = ()
    ruled_out: tuple[str, ...] = ()
    submitted_at: float | None = None
    ended_at: float | None = None
    outcome: Outcome | None = None

    @property
    def due_at(self) -> float:
        """From when on it may be sent."""
        return min(self.not_before, self.moved_at + LONGEST_WAIT_SECONDS)


def nonce_of(ref: ShardRef, bucket: str) -> str:
    """The ``custom_id`` that marks a batch as made for this shard and wave (Claude API: 1 to 64 of [a-zA-Z0-9_-])."""
    digest = hashlib.sha256("\0".join((bucket, ref.job_id, str(ref.shard), str(ref.wave))).encode()).hexdigest()
    return f"sluice-{ref.shard}-{ref.wave}-{digest[:32]}"


def work_key(job_id: str, *names: str) -> str:
    """The key of a work file in the Outbox, outside the folder that people look into."""
    return "/".join(("work", job_id, *names))
