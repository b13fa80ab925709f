"""Message batches: their life, their counts, their lists (Claude API: Message Batches). Pure."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from msgspec import Struct

from simulator.clock import timestamp
from simulator.errors import ApiError
from simulator.faults import Fault, Hide
from simulator.intake import Block
from simulator.replies import ReplyRule
from simulator.rules import Entry

LIFETIME_SECONDS = 24 * 3600
RESULTS_SECONDS = 29 * 24 * 3600

Status = Literal["in_progress", "canceling", "ended"]
Ending = Literal["succeeded", "errored", "canceled", "expired"]


class RequestCounts(Struct):
    """Requests by outcome; all are `processing` until the whole batch has ended."""

    processing: int = 0
    succeeded: int = 0
    errored: int = 0
    canceled: int = 0
    expired: int = 0


class BatchView(Struct, tag_field="type", tag="message_batch"):
    """A batch as the API shows it."""

    id: str
    processing_status: Status
    request_counts: RequestCounts
    created_at: str
    expires_at: str
    ended_at: str | None
    cancel_initiated_at: str | None
    archived_at: str | None
    results_url: str | None


class BatchPage(Struct):
    """A page of batches, newest first."""

    data: list[BatchView]
    has_more: bool
    first_id: str | None
    last_id: str | None


@dataclass(frozen=True, slots=True)
class Outcomes:
    """What a batch came to, once its results are written."""

    counts: RequestCounts
    input_tokens: int
    output_tokens: int


@dataclass(slots=True)
class Batch:
    """A batch. Times are seconds of the simulator's clock."""

    id: str
    number: int
    count: int
    size: int
    first_custom_id: str
    last_custom_id: str
    custom_ids_sha256: str
    version: str
    blocks: list[Block]
    faults: tuple[Entry[Fault], ...]
    replies: tuple[Entry[ReplyRule], ...]
    body_path: Path
    results_path: Path
    created_at: float
    due_at: float
    cancel_initiated_at: float | None = None
    cancel_due_at: float | None = None
    ended_at: float | None = None
    outcomes: Outcomes | None = None
    downloads: int = 0
    deleted: bool = False

    @property
    def expires_at(self) -> float:
        """24 hours after creation."""
        return self.created_at + LIFETIME_SECONDS

    @property
    def archives_at(self) -> float:
        """29 days after creation, when the results are gone."""
        return self.created_at + RESULTS_SECONDS

    @property
    def ends_at(self) -> float:
        """When processing ends, as things stand."""
        canceled = self.cancel_due_at if self.cancel_due_at is not None else self.due_at
        return min(self.due_at, self.expires_at, canceled)

    def ending(self) -> tuple[int, Ending]:
        """How many requests finish before the end, and what becomes of the others."""
        stop = min(self.ends_at, self.cancel_initiated_at if self.cancel_initiated_at is not None else self.ends_at)
        if stop >= self.due_at:
            return self.count, "succeeded"
        share = (stop - self.created_at) / (self.due_at - self.created_at)
        return int(self.count * max(share, 0.0)), "expired" if self.cancel_initiated_at is None else "canceled"

    def status(self) -> Status:
        """Where the batch stands."""
        if self.ended_at is not None:
            return "ended"
        return "in_progress" if self.cancel_initiated_at is None else "canceling"

    def is_hidden(self, hide: Hide | None, now: float) -> bool:
        """Return whether a read that lags behind does not see it yet."""
        if hide is None:
            return False
        since = self.created_at if hide.since == "created" else self.ended_at
        return since is not None and now - since < hide.seconds

    def view(self, now: float, base_url: str) -> BatchView:
        """The batch as the API shows it."""
        archived = now >= self.archives_at
        ended = self.ended_at is not None and self.outcomes is not None
        counts = self.outcomes.counts if ended and self.outcomes else RequestCounts(processing=self.count)
        return BatchView(
            self.id,
            self.status(),
            counts,
            timestamp(self.created_at),
            timestamp(self.expires_at),
            _timestamp(self.ended_at),
            _timestamp(self.cancel_initiated_at),
            timestamp(self.archives_at) if archived else None,
            f"{base_url}/v1/messages/batches/{self.id}/results" if ended and not archived else None,
        )


def cancel(batch: Batch, now: float, cancel_seconds: float) -> None:
    """Start to cancel. Raises ApiError if the batch has ended; a second call changes nothing."""
    if batch.ended_at is not None:
        raise ApiError(400, f"Batch {batch.id} cannot be canceled: it has already ended.")
    if batch.cancel_initiated_at is None:
        batch.cancel_initiated_at = now
        batch.cancel_due_at = now + cancel_seconds


def check_deletable(batch: Batch) -> None:
    """Raises ApiError unless processing has ended."""
    if batch.ended_at is None:
        raise ApiError(400, f"Batch {batch.id} cannot be deleted while it is processing; cancel it first.")


def _timestamp(seconds: float | None) -> str | None:
    return None if seconds is None else timestamp(seconds)
