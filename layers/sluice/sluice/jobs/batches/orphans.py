"""Batches that nobody waits for: made by a submission that came too late, and cancelled before they cost much."""

from __future__ import annotations

from sluice.errors import ClaudeError, PermanentFailure
from sluice.jobs.batches.backoff import retry_delay
from sluice.jobs.letters import Letter, Step, send_later
from sluice.jobs.model import ShardRef
from sluice.jobs.services import Services

# About an hour and a half of tries; a batch that runs for longer has been paid for by then.
_TRIES = 10


def end_orphan(services: Services, ref: ShardRef, batch_id: str, attempt: int = 0) -> str:
    """Cancel a batch that no shard owns; say in a word what came of it. What fails is tried again by a later message.

    Raises ClaudeError after the last try, so that the message ends in the dead-letter queue, where it is seen.
    """
    if services.table.owns_batch(batch_id):
        return "adopted_elsewhere"
    try:
        services.claude.cancel_batch(batch_id)
    except PermanentFailure:
        return "too_late_to_cancel"
    except ClaudeError as failure:
        # Even a batch that is not found may only be new.
        if attempt >= _TRIES:
            raise
        message = {**ref.message(), "orphan": batch_id, "attempt": attempt + 1}
        send_later(services, Letter(Step.SUBMIT, message), retry_delay(attempt, failure.retry_after))
        return "not_cancelled_yet"
    return "too_late_and_cancelled"
