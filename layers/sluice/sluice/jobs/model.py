"""What a job and a shard are, and the states that they pass through.

job    awaiting_upload -> received             announced over HTTP, and its file has come
       awaiting_upload -> expired | cancelled    its file never came
       received -> planned -> running -> finished | finished_with_errors | cancelled
       received -> failed                       nothing in the file can run
       received | planned | running -> held     waits for a person
       held -> received | planned | running     released: the state before it
       held -> failed                           it can be released no more
       finished | finished_with_errors | failed | cancelled | expired -> deleting -> deleted    asked for by its owner
shard  planned -> submitting -> in_progress -> ended -> collected
       submitting -> adopting -> in_progress    an intent without a batch id: a batch that may be ours is looked for
       submitting | adopting -> planned         no batch was made
       planned -> collected                     cancelled before it was sent

``JOB_TRANSITIONS`` and ``SHARD_TRANSITIONS`` say the same to the tables, whose methods they are named for.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import PurePosixPath

from sluice.aws.sqs import is_too_long
from sluice.transitions import Transition


class JobStatus(StrEnum):
    AWAITING_UPLOAD = "awaiting_upload"
    RECEIVED = "received"
    PLANNED = "planned"
    RUNNING = "running"
    HELD = "held"
    FINISHED = "finished"
    FINISHED_WITH_ERRORS = "finished_with_errors"
    FAILED = "failed"
    CANCELLED = "cancelled"
    EXPIRED = "expired"
    DELETING = "deleting"
    DELETED = "deleted"

    @property
    def final(self) -> bool:
        return self in (*_FINAL, JobStatus.DELETED)


_ENDS = (JobStatus.FINISHED, JobStatus.FINISHED_WITH_ERRORS, JobStatus.CANCELLED)
_FINAL = (*_ENDS, JobStatus.FAILED, JobStatus.EXPIRED)
_LIVE = (JobStatus.RECEIVED, JobStatus.PLANNED, JobStatus.RUNNING)

JOB_TRANSITIONS: Mapping[str, Transition[JobStatus]] = {
    "arrive": Transition((JobStatus.AWAITING_UPLOAD,), (JobStatus.RECEIVED,)),
    "expire": Transition((JobStatus.AWAITING_UPLOAD,), (JobStatus.EXPIRED,)),
    "withdraw": Transition((JobStatus.AWAITING_UPLOAD,), (JobStatus.CANCELLED,)),
    "note_planning": Transition((JobStatus.RECEIVED,)),
    "record_plan": Transition((JobStatus.RECEIVED,), (JobStatus.PLANNED, JobStatus.HELD)),
    "start": Transition((JobStatus.PLANNED,), (JobStatus.RUNNING,)),
    "hold": Transition(_LIVE, (JobStatus.HELD,)),
    "release": Transition((JobStatus.HELD,), _LIVE),
    "request_cancel": Transition((*_LIVE, JobStatus.HELD)),
    "finish": Transition((JobStatus.RUNNING,), _ENDS),
    "fail": Transition((JobStatus.RECEIVED,), (JobStatus.FAILED,)),
    "give_up": Transition((JobStatus.HELD,), (JobStatus.FAILED,)),
    "close": Transition(_FINAL),
    "request_delete": Transition(_FINAL, (JobStatus.DELETING,)),
    "mark_deleted": Transition((JobStatus.DELETING,), (JobStatus.DELETED,)),
}


class ShardStatus(StrEnum):
    PLANNED = "planned"
    SUBMITTING = "submitting"
    ADOPTING = "adopting"
    IN_PROGRESS = "in_progress"
    ENDED = "ended"
    COLLECTED = "collected"


# An intent without a batch id: there may be a batch.
UNDECIDED = (ShardStatus.SUBMITTING, ShardStatus.ADOPTING)

SHARD_TRANSITIONS: Mapping[str, Transition[ShardStatus]] = {
    "begin_submission": Transition((ShardStatus.PLANNED,), (ShardStatus.SUBMITTING,)),
    "give_back": Transition(UNDECIDED, (ShardStatus.PLANNED,)),
    "wake": Transition((ShardStatus.PLANNED,)),
    "end_call": Transition((ShardStatus.SUBMITTING,)),
    "begin_adoption": Transition((ShardStatus.SUBMITTING,), (ShardStatus.ADOPTING,)),
    "rule_out": Transition((ShardStatus.ADOPTING,)),
    "record_batch": Transition(UNDECIDED, (ShardStatus.IN_PROGRESS,)),
    "end": Transition((ShardStatus.IN_PROGRESS,), (ShardStatus.ENDED,)),
    "collect": Transition((ShardStatus.ENDED, ShardStatus.PLANNED), (ShardStatus.COLLECTED,)),
}


class NoticeState(StrEnum):
    PENDING = "pending"
    SENT = "sent"
    DROPPED = "dropped"  # What it says has become untrue.


# What hits more requests of a shard than these, and every one of them, may be the fault of something else than theirs.
A_FEW_REQUESTS = 3


class HoldKind(StrEnum):
    COST = "cost"
    BAD_LINES = "bad_lines"
    SETTINGS = "settings"
    REFUSED = "refused"  # Claude refuses all requests of a batch alike, and nothing says whose fault it is.
    STUCK = "stuck"  # Its messages were sent again and again, and it did not move.
    INCIDENT = "incident"  # Never alone: see ``Hold.kind``.
    REQUESTED = "requested"  # Whoever made the job asked for it.


@dataclass(frozen=True, slots=True)
class Upload:
    """One object that arrived in the Inbox. ``size`` in bytes; ``version`` is None in a bucket without versions.

    ``ticket_id`` is the id of the job that was announced over HTTP before its file came; None: it came unannounced.
    """

    bucket: str
    key: str
    version: str | None
    etag: str
    size: int
    ticket_id: str | None = None

    @property
    def job_id(self) -> str:
        """The same for each notification of the same upload; readable, since it names the folder of the results."""
        if self.ticket_id is not None:
            return self.ticket_id
        identity = "\0".join((self.bucket, self.key, self.version or self.etag))
        digest = hashlib.sha256(identity.encode()).hexdigest()[:12]
        return f"{slug_of(self.key)}-{digest}"

    @property
    def folder(self) -> str:
        """The key up to and without the file name and its slash; empty at the top of the bucket.

        What was announced has a folder of its own in there, which does not count.
        """
        folder = self.key.rpartition("/")[0]
        return folder if self.ticket_id is None else folder.rpartition("/")[0]


def slug_of(key: str) -> str:
    """Return how the ids of the jobs of a file begin: its name, in a-z, 0-9 and hyphens."""
    stem = PurePosixPath(key).name.split(".")[0].lower()
    return re.sub(r"[^a-z0-9]+", "-", stem).strip("-")[:32].strip("-") or "job"


@dataclass(frozen=True, slots=True)
class Ticket:
    """What the caller of the API said of a job when it was announced. Times in epoch seconds."""

    size: int  #: Of the file, in bytes.
    open_until: float  #: When it expires, if no file has come.
    status_url: str
    upload_id: str | None = None  #: Of the multipart upload; None where one PUT is enough.
    settings_key: str | None = None  #: The object with the settings that were given, which win over the folder's.
    hold: bool = False  #: Whether it waits for a release once it is planned.
    models: tuple[str, ...] = ()  #: What its caller's key may use, as ``KeyTerms.models``; none: all.
    key_name: str = ""  #: How that key is called.
    callback_url: str | None = None
    metadata: str | None = None  #: The caller's own data, as JSON.


@dataclass(frozen=True, slots=True)
class Hold:
    """Why a job waits."""

    kind: str  #: A HoldKind; "incident" has ":" and the kind of the incident behind it.
    reason: str  #: For a person.
    settings_digest: str = ""  #: Of the folder's settings that could not be used, where they could be read.
    needs_operator: bool = False  #: Whether its owner may not end it: a limit of the stack's is in the way.

    @classmethod
    def for_incident(cls, incident: str, reason: str) -> Hold:
        """Build the hold of a job that met an incident of that kind."""
        return cls(f"{HoldKind.INCIDENT}:{incident}", reason, needs_operator=True)

    @property
    def incident(self) -> str | None:
        """The kind of the incident that it waits for, if it does."""
        kind, _, incident = self.kind.partition(":")
        return incident if kind == HoldKind.INCIDENT else None


HELD = "job.held"


def hold_notice(kind: str, number: int) -> str:
    """Name the notice of a job's hold with a number."""
    return f"{HELD}#{kind}@{number}"


def channel_mark(notice: str, channel: str) -> str:
    """Name the mark of a notice that one channel has, and another does not."""
    return f"{notice}/{channel}"


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
    notes: tuple[str, ...] = ()  #: What a person should know of how the file and its settings were read.


@dataclass(frozen=True, slots=True)
class Tally:
    """What became of a job's lines, counted at its end."""

    lines: int  #: Succeeded, errored and rejected ones together, where ``balanced``.
    succeeded: int
    errored: int
    rejected: int
    cost: float = 0.0  #: In US dollars, estimated.
    waves: int = 0  #: How often a request was sent at most.
    errors: Mapping[str, int] = field(default_factory=dict)  #: How many of each error type.
    balanced: bool = True  #: Each line is accounted for, once (see ``jobs.finish.totals``).
    #: What the API said of errors, by their type, and of how many requests it said so; the most frequent sentences.
    said: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    reasons: Mapping[str, int] = field(default_factory=dict)  #: How many rejected lines, by what is wrong with them.
    first_rejection: str = ""  #: What is wrong with the first rejected line, for a person.
    other_rejections: Sequence[str] = ()  #: The same of further lines in which something else is wrong.
    #: Answers that succeeded and are not whole, by stop reason; "schema_mismatch" for those of another form than asked.
    incomplete: Mapping[str, int] = field(default_factory=dict)
    misfits: Mapping[str, int] = field(default_factory=dict)  #: How many answers do not fit the schema, by the cause.
    tables: tuple[str, ...] = ()  #: The names of the files with the table, where it came as one; for people first.
    lost_table: str = ""  #: Why a table came back without its results; empty where it did not.

    @property
    def answered(self) -> int:
        """How many lines have a whole answer."""
        return self.succeeded - sum(self.incomplete.values())


@dataclass(frozen=True, slots=True)
class Job:
    """One file of requests, dropped or announced and uploaded. Times in epoch seconds."""

    upload: Upload  #: Until the file has come, without its version and etag, and with the size that was announced.
    status: JobStatus
    received_at: float
    moved_at: float  #: When its state last changed, or one of its shards was collected.
    settings_key: str | None = None  #: The object with its settings, read with the file.
    checkpoint_key: str | None = None  #: The object that says how far its file was read, where one pass was not enough.
    plan: Plan | None = None  #: None until it is planned.
    open_shards: int = 0  #: How many are not collected in their last wave.
    hold: Hold | None = None
    held_at: float | None = None  #: When the present hold began: a held job can move on, as its batches end.
    status_before_hold: JobStatus | None = None  #: Where a release takes it.
    holds: int = 0  #: How often it was held: each hold has a number, and what was seen before one is known by it.
    incident_number: int = 0  #: Of the incident that the present hold waits for, if it does.
    cancel_requested: bool = False
    started_at: float | None = None
    finished_at: float | None = None
    failure: str | None = None  #: Why nothing in the file could run, for a person.
    noticed_at: float | None = None  #: When a notice that came without a change of state last became pending.
    notice_tried_at: float | None = None  #: When what is pending was last tried again.
    notice_tries: int = 0  #: How often it was.
    resent_at: float | None = None  #: When its messages were last sent again.
    resends: int = 0  #: How often they were, since it moved.
    tally: Tally | None = None  #: None until it is finished.
    #: By the notice's name, such as job.finished; and by ``channel_mark``, where not all channels have it.
    notices: Mapping[str, NoticeState] = field(default_factory=dict)
    created_at: float | None = None  #: When it was announced or its file came; lists go by it.
    owner: str | None = None  #: As ``Caller.owner``; None for what was dropped in the Inbox.
    ticket: Ticket | None = None  #: None for what was dropped in the Inbox.
    retried_as: str | None = None  #: The job that runs again what failed.
    deleted_at: float | None = None
    callback: str | None = None  #: "pending", "delivered" or "undelivered", of the state that ``callback_event`` names.
    callback_event: str | None = None  #: A final state, or "held-" and the second in which the hold began.
    callback_attempts: int = 0
    callback_due_at: float = 0.0  #: When it may be tried next.
    callback_since: float = 0.0  #: When it first became due; its time to be tried runs from then.
    callback_look_at: float = 0.0  #: When the poller sends its message: it has none until then, or has lost it.
    callback_error: str | None = None  #: Why the last try failed.
    delivered_at: float | None = None

    @property
    def calls_back(self) -> bool:
        """Whether somebody is still to be called back about its present state."""
        return self.callback == "pending" and self.ticket is not None and self.ticket.callback_url is not None

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

    ``retried`` counts those that went on to the next wave. ``tokens`` by model; ``errors`` counts by error type;
    ``incomplete`` counts, by stop reason, those that succeeded and whose answer is not whole.
    """

    succeeded: int = 0
    errored: int = 0
    retried: int = 0
    tokens: Mapping[str, Tokens] = field(default_factory=dict)
    errors: Mapping[str, int] = field(default_factory=dict)
    incomplete: Mapping[str, int] = field(default_factory=dict)


# A shard is never put off for longer, so that one with a later date than this is no reason to sit and wait.
LONGEST_WAIT_SECONDS = 7200.0


@dataclass(frozen=True, slots=True)
class Shard:
    """The part of a job that becomes one Message Batch; in a later wave, what is left of it. Times in epoch seconds."""

    ref: ShardRef
    source: Source
    count: int  #: Of its requests.
    length: int  #: Of the whole body of the create call, in bytes.
    ids_key: str  #: The object of the Outbox with each request's ``custom_id``, a line each, in the order of the input.
    nonce: str  #: Stands in for the ``custom_id`` of the first request (the first line of ``ids_key``).
    status: ShardStatus = ShardStatus.PLANNED
    moved_at: float = 0.0
    #: The object of the Outbox with the requests' places in the shard's first wave (unsigned 32-bit little-endian
    #: numbers); None in the first wave, where the place is the line.
    ordinals_key: str | None = None
    betas: str | None = None  #: The header ``anthropic-beta`` of the create call.
    version: str | None = None  #: The header ``anthropic-version`` of that call; None: the newest (claude/versions.py).
    transient_waves: int = 0  #: How many waves were spent on transient failures.
    refusals: int = 0  #: How many waves held the job when they ended.
    not_before: float = 0.0  #: It is not sent before then; see ``due_at``.
    incidents_seen: int = 0  #: The version of incidents that was read before it was sent: results say nothing later.
    intent_at: float | None = None  #: When the present submission began; it fences what belongs to an earlier one.
    lease_until: float | None = None  #: Until when the call of that submission may still be under way.
    batch_id: str | None = None
    candidates: tuple[str, ...] = ()  #: Batches that may be this shard's, after an intent without an id.
    ruled_out: tuple[str, ...] = ()  #: Those of them that are not.
    submitted_at: float | None = None
    ended_at: float | None = None
    outcome: Outcome | None = None  #: None until it is collected.

    @property
    def due_at(self) -> float:
        """From when on it may be sent."""
        return min(self.not_before, self.moved_at + LONGEST_WAIT_SECONDS)

    @property
    def waits_for_poll(self) -> bool:
        """Whether it waits for longer than a message can: it has none, and a poll sends it one when its time comes."""
        return self.status is ShardStatus.PLANNED and is_too_long(self.due_at - self.moved_at)


def nonce_of(ref: ShardRef, bucket: str) -> str:
    """Return the ``custom_id`` that marks a batch as this shard and wave's (Claude API: 1 to 64 of [a-zA-Z0-9_-])."""
    digest = hashlib.sha256("\0".join((bucket, ref.job_id, str(ref.shard), str(ref.wave))).encode()).hexdigest()
    return f"sluice-{ref.shard}-{ref.wave}-{digest[:32]}"


def work_key(job_id: str, *names: str) -> str:
    """Return the key of a work file in the Outbox, outside the folder that people look into."""
    return "/".join(("work", job_id, *names))
