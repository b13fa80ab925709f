"""Submitting a shard: one Message Batch of it is made, and paid for once, across a crash at any line.

The intent is written before the call, and the batch after it. The call is made once: creating a batch is not idempotent
(Claude API: Message Batches). A failure after which there certainly is no batch gives the shard back; after any
other, and after a crash, the shard is reconciled (``jobs.submit.reconcile``) before anything is sent again.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from sluice.aws.sqs import MAX_DELAY_SECONDS, is_too_long
from sluice.aws.sqs_batch import StepResult
from sluice.backoff import SUBMIT
from sluice.claude.batches import MessageBatch
from sluice.claude.errors import is_disproved_by_batch, kind_of_failure
from sluice.deadline import Deadline
from sluice.errors import (
    AccountError,
    AwsError,
    ClaudeError,
    ConditionFailed,
    ObjectNotFound,
    OutcomeUnknown,
    PermanentError,
    SluiceError,
    TransientError,
)
from sluice.incidents import IncidentView
from sluice.jobs.messages import QueueMessage, Step, failed_shard_message, send, send_later
from sluice.jobs.model import A_FEW_REQUESTS, UNDECIDED, HoldKind, Job, JobStatus, Shard, ShardRef, ShardStatus
from sluice.jobs.notices.announce import hold_for_incident, hold_for_refusal
from sluice.jobs.notices.text import was_held_for
from sluice.jobs.requests import batch_body, read_lines
from sluice.jobs.services import Services
from sluice.jobs.submit.pause import SubmissionPause
from sluice.jobs.submit.reconcile import reconcile

# Beyond the end of an invocation, for clocks that differ: until then its call may be under way.
LEASE_MARGIN_SECONDS = 30.0
# After a refusal that a person has acted on already.
_ASK_AGAIN_SECONDS = 1.0


class Outgoing:
    """The body of a call as it goes out; ``complete`` once its last byte has been handed over."""

    def __init__(self, chunks: Iterable[bytes], length: int) -> None:
        self._chunks = chunks
        self._left = length

    @property
    def complete(self) -> bool:
        return self._left <= 0

    def __iter__(self) -> Iterator[bytes]:
        for chunk in self._chunks:
            self._left -= len(chunk)
            yield chunk


def submit(services: Services, message: Mapping[str, object], deadline: Deadline) -> StepResult:
    """Do what the message of a shard asks for, as far as it still has to be done.

    Raises SluiceError where the message should be delivered again.
    """
    ref = ShardRef.parse(message)
    attempt = int(str(message.get("attempt", 0)))
    if orphan := message.get("orphan"):
        return _result(end_orphan(services, ref, str(orphan), attempt), str(orphan))
    shard, job = services.shards.find(ref), services.jobs.find(ref.job_id)
    if shard is None or job is None:
        return _result("unknown_shard")
    view = services.incidents.look()
    try:
        if shard.status in UNDECIDED:
            found = reconcile(services, shard, deadline)
            shard = found.shard
            if shard.status is not ShardStatus.PLANNED:
                return _result(found.outcome, shard.batch_id)
        if shard.status is not ShardStatus.PLANNED:
            return _result("done_before", shard.batch_id)
        return _submit_planned(services, job, shard, attempt, view, deadline)
    except ConditionFailed:
        return _result("done_elsewhere")
    except TransientError as failure:
        # Nothing was sent: the shard could not be reconciled. The poller sends its message again.
        return _result("not_reconciled", error_type=failure.error_type)
    except AccountError as failure:
        if hold_for_incident(services, job, kind_of_failure(failure), str(failure), view.version):
            return _result("held", error_type=failure.error_type)
        # Somebody has put it right since Claude was asked.
        _send_again(services, ref, attempt, _ASK_AGAIN_SECONDS)
        return _result("asked_again", error_type=failure.error_type)


def _result(outcome: str, batch_id: str | None = None, error_type: str | None = None) -> StepResult:
    """Return what a message led to; ``batch_id`` where there is a batch now."""
    return StepResult(outcome, {"batch_id": batch_id, "error_type": error_type})


def _submit_planned(
    services: Services, job: Job, shard: Shard, attempt: int, view: IncidentView, deadline: Deadline
) -> StepResult:
    if job.status is not JobStatus.RUNNING:
        return _result("job_waits")
    if job.cancel_requested:
        send(services, [QueueMessage(Step.COLLECT, shard.ref.message())])
        return _result("cancelled")
    if is_too_long(shard.due_at - services.now()):
        return _result("too_early")
    wait = max(shard.due_at, SubmissionPause(services.dynamodb).until()) - services.now()
    if wait > 0:
        _send_again(services, shard.ref, attempt, SUBMIT.delay(attempt + 1, min(wait, MAX_DELAY_SECONDS)))
        return _result("paused")
    lease_seconds = deadline.left() + LEASE_MARGIN_SECONDS
    shard = services.shards.begin_submission(shard, services.now(), lease_seconds, view.version)
    lines = read_lines(services.outbox, shard.source)
    body = Outgoing(batch_body(lines, shard.nonce), shard.length)
    try:
        batch = services.claude.create_batch(body, shard.length, shard.betas, shard.version)
    except SluiceError as error:
        return _after_failure(services, job, shard, attempt, error, _no_batch_after(error, body))
    result = _record(services, shard, batch)
    services.incidents.end_disproved(view, is_disproved_by_batch)
    return result


def _no_batch_after(error: SluiceError, body: Outgoing) -> bool:
    """Return whether it is certain that no batch was made: Claude said so, or was not sent all of the body."""
    refused = isinstance(error, ClaudeError) and not isinstance(error, OutcomeUnknown)
    return refused or not body.complete


def _record(services: Services, shard: Shard, batch: MessageBatch) -> StepResult:
    """Write down whose batch it is. Where the shard has gone on without it meanwhile, the batch is ended again."""
    try:
        services.shards.record_batch(shard, batch.id, services.now())
    except ConditionFailed:
        return _result(end_orphan(services, shard.ref, batch.id), batch.id)
    return _result("submitted", batch.id)


def _after_failure(
    services: Services, job: Job, shard: Shard, attempt: int, error: SluiceError, no_batch: bool
) -> StepResult:
    if not no_batch:
        services.shards.end_call(shard, services.now())
        _send_again(services, shard.ref, attempt, services.settings.reconcile_after_seconds + 1)
        return _result("outcome_unknown", error_type=error.error_type)
    if isinstance(error, PermanentError) and _may_be_nobodys_own(job, shard, error):
        services.shards.give_back(shard, services.now(), not_before=0.0)
        if hold_for_refusal(services, job, str(error)):
            return _result("held", error_type=error.error_type)
        _send_again(services, shard.ref, attempt, _ASK_AGAIN_SECONDS)
        return _result("asked_again", error_type=error.error_type)
    if isinstance(error, PermanentError):
        return _fail(services, shard, error.error_type, str(error))
    if isinstance(error, ObjectNotFound):
        return _fail(services, shard, "invalid_request_error", "The file was deleted before its requests were sent.")
    if isinstance(error, AccountError) or (isinstance(error, AwsError) and not error.retryable):
        services.shards.give_back(shard, services.now(), not_before=0.0)
        raise error
    return _back_off(services, shard, attempt, error)


def _may_be_nobodys_own(job: Job, shard: Shard, error: PermanentError) -> bool:
    """Return whether a refused batch should wait for a person, and not become as many errors. They are asked once."""
    asked = was_held_for(job, HoldKind.REFUSED)
    return shard.count > A_FEW_REQUESTS and error.error_type != "request_too_large" and not asked


def _fail(services: Services, shard: Shard, error_type: str, message: str) -> StepResult:
    """Turn each request of a shard that can never be sent into an error."""
    services.shards.give_back(shard, services.now(), not_before=0.0)
    send(services, [failed_shard_message(shard.ref, error_type, message)])
    return _result("refused", error_type=error_type)


def _back_off(services: Services, shard: Shard, attempt: int, error: SluiceError) -> StepResult:
    """Give the shard back until later. Being told to wait concerns all shards, and does not count as a failed try."""
    retry_after = error.retry_after if isinstance(error, ClaudeError) else None
    delay, now = SUBMIT.delay(attempt + 1, retry_after), services.now()
    services.shards.give_back(shard, now, not_before=now + delay)
    if isinstance(error, ClaudeError) and error.http_status == 429:
        SubmissionPause(services.dynamodb).extend(now + min(delay, MAX_DELAY_SECONDS))
    _send_again(services, shard.ref, attempt + 1, delay)
    return _result("backed_off", error_type=error.error_type)


def _send_again(services: Services, ref: ShardRef, attempt: int, delay: float) -> None:
    """Send a shard's message again after a delay; a poll sends it where that is too long for a message."""
    if is_too_long(delay):
        return
    send_later(services, QueueMessage(Step.SUBMIT, {**ref.message(), "attempt": attempt}), delay)


# About an hour and a half of tries; a batch that runs for longer has been paid for by then.
_TRIES = 10


def end_orphan(services: Services, ref: ShardRef, batch_id: str, attempt: int = 0) -> str:
    """Cancel a batch that no shard owns; return in a word what came of it. A later message tries again what fails.

    Raises ClaudeError after the last try, so that the message ends in the dead-letter queue, where it is seen.
    """
    if services.shards.owns_batch(batch_id):
        return "adopted_elsewhere"
    try:
        services.claude.cancel_batch(batch_id)
    except PermanentError:
        return "too_late_to_cancel"
    except ClaudeError as failure:
        # Even a batch that is not found may only be new.
        if attempt >= _TRIES:
            raise
        message = {**ref.message(), "orphan": batch_id, "attempt": attempt + 1}
        send_later(services, QueueMessage(Step.SUBMIT, message), SUBMIT.delay(attempt + 1, failure.retry_after))
        return "not_cancelled_yet"
    return "too_late_and_cancelled"
