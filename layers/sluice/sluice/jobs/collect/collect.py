"""Collecting a shard: download its results, decide on each request, write what is final, move the shard.

All that is written has a key that follows from the shard and the wave, and may be written again; then one transaction
moves the shard. What follows from that (the message of the next wave, or of the job's end) is sent again where a
message is delivered twice.
"""

from __future__ import annotations

import errno
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from tempfile import TemporaryFile

from sluice.aws.sqs_batch import StepResult
from sluice.backoff import RESULTS_NOT_READY
from sluice.claude.errors import kind_of_failure
from sluice.errors import AccountError, ClaudeError, ConditionFailed, SluiceError, TransientError
from sluice.jobs.collect.decide import Decisions, Refusal, decide
from sluice.jobs.collect.download import CANCELED_RESULT, BatchResults, download_results, uniform_results
from sluice.jobs.collect.order import ResultSpool, open_spool
from sluice.jobs.collect.retry_policy import ResultKind, RetryPolicy, count_incomplete
from sluice.jobs.collect.write import write
from sluice.jobs.job_settings import EffectiveSettings, read_settings
from sluice.jobs.messages import QueueMessage, Step, send, send_later
from sluice.jobs.model import Job, Outcome, Shard, ShardRef, ShardStatus
from sluice.jobs.next_steps import job_message, shard_message
from sluice.jobs.notices.announce import announce_once, hold_for_incident, hold_for_refusal
from sluice.jobs.notices.text import STUCK
from sluice.jobs.results import write_errored_result
from sluice.jobs.services import Services

# After a refusal that a person has acted on already.
_ASK_AGAIN_SECONDS = 1.0


class DiskFull(SluiceError):
    """The results of a batch do not fit the disk of the function."""


def collect(services: Services, message: Mapping[str, object]) -> StepResult:
    """Do what the message of a shard asks for, as far as it still has to be done.

    Raises SluiceError where the message should be delivered again.
    """
    ref = ShardRef.parse(message)
    shard, job = services.shards.find(ref), services.jobs.find(ref.job_id)
    if shard is None or job is None:
        return StepResult("unknown_shard")
    if shard.status is ShardStatus.COLLECTED:
        _send_next(services, job, services.shards.find(_next(ref)))
        return StepResult("done_before")
    attempt = int(str(message.get("attempt", 0)))
    seen = services.incidents.version()
    effective = read_settings(services.outbox, job)
    try:
        with _explaining_a_full_disk(shard), open_spool(shard.count) as spool:
            results = _get_results(services, job, shard, message, effective, spool)
            if results is None:
                return StepResult("not_ended")
            if results.missing and attempt < len(RESULTS_NOT_READY.seconds):
                raise TransientError(f"The results of batch {shard.batch_id} lack {results.missing} requests.")
            return _decide_write_and_move(services, job, results, effective)
    except ConditionFailed:
        return StepResult("done_elsewhere")
    except ClaudeError as error:
        return _after_failure(services, job, ref, attempt, error, seen)


@contextmanager
def _explaining_a_full_disk(shard: Shard) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if error.errno != errno.ENOSPC:
            raise
        raise DiskFull(
            f"The results of batch {shard.batch_id} do not fit the disk: give the function collect_shard more "
            "ephemeral storage, or let shards be smaller (MaxShardRequests)."
        ) from error


def _get_results(
    services: Services,
    job: Job,
    shard: Shard,
    message: Mapping[str, object],
    effective: EffectiveSettings,
    spool: ResultSpool,
) -> BatchResults | None:
    """Get what there is of a shard; None where there is nothing to be collected yet."""
    if shard.status is ShardStatus.ENDED and message.get("lost") and job.cancel_requested:
        result = write_errored_result("not_found_error", "Claude does not have the results any more.")
        return uniform_results(services, shard, effective.prices, ResultKind.PERMANENT_ERROR, result)
    if shard.status is ShardStatus.ENDED:
        return download_results(services, shard, effective.prices, spool)
    if shard.status is not ShardStatus.PLANNED:
        return None
    if isinstance(failure := message.get("failure"), Mapping):
        result = write_errored_result(str(failure.get("type")), str(failure.get("message")))
        return uniform_results(services, shard, effective.prices, ResultKind.PERMANENT_ERROR, result)
    if job.cancel_requested:
        return uniform_results(services, shard, effective.prices, ResultKind.CANCELED, CANCELED_RESULT)
    return None


def _decide_write_and_move(
    services: Services, job: Job, results: BatchResults, effective: EffectiveSettings
) -> StepResult:
    shard = results.shard
    policy = RetryPolicy(effective.max_waves, services.settings.wave_delay_seconds, effective.folder.retry_max_tokens)
    ordinals = services.outbox.ordinals(shard)
    with TemporaryFile() as spool:
        decisions = decide(services, results, ordinals, policy, spool, cancelled=job.cancel_requested)
        write(services, results, decisions, ordinals)
    if decisions.refusal:
        # Before the shard moves: a crash in between must not let the next wave go out into the same refusal.
        _hold(services, job, decisions.refusal, shard.incidents_seen)
    outcome = _outcome(results, decisions)
    job = services.shards.collect(shard, outcome, decisions.next_wave, services.now())
    _send_next(services, job, decisions.next_wave)
    return StepResult("collected", {"missing": results.missing}, _counted(outcome))


def _hold(services: Services, job: Job, refusal: Refusal, seen: int) -> None:
    """Hold a job for what its results say, unless somebody has acted since they were asked for: then they are asked for
    again at once."""
    if refusal.incident is None:
        hold_for_refusal(services, job, refusal.message)
    else:
        hold_for_incident(services, job, refusal.incident, refusal.message, seen)


def _outcome(results: BatchResults, decisions: Decisions) -> Outcome:
    return Outcome(
        succeeded=decisions.succeeded,
        errored=decisions.errored,
        retried=decisions.retried,
        tokens=results.usage_meter.tokens(),
        errors=dict(decisions.counts),
        incomplete=count_incomplete(results.kinds, decisions.by_place),
    )


def _counted(outcome: Outcome) -> dict[str, int]:
    return {
        "RequestsSucceeded": outcome.succeeded,
        "RequestsErrored": outcome.errored,
        "RequestsSentAgain": outcome.retried,
    }


def _next(ref: ShardRef) -> ShardRef:
    return ShardRef(ref.job_id, ref.shard, ref.wave + 1)


def _send_next(services: Services, job: Job, following: Shard | None) -> None:
    """Send what follows from a collected shard: its next wave, or the end of the job."""
    if following is not None:
        waits_for_poll = following.waits_for_poll and not job.cancel_requested
        if not waits_for_poll and (queue_message := shard_message(job, following)):
            send_later(services, queue_message, following.not_before - services.now())
    elif queue_message := job_message(job):
        send(services, [queue_message])


def _after_failure(
    services: Services, job: Job, ref: ShardRef, attempt: int, error: ClaudeError, seen: int
) -> StepResult:
    """Put the shard off where its results may be there later; hold its job where a person has to act."""
    # Claude API: results have been seen to be missing for a while after the end of a batch.
    not_there_yet = error.http_status == 404
    if isinstance(error, AccountError) and not not_there_yet:
        if hold_for_incident(services, job, kind_of_failure(error), str(error), seen):
            return StepResult("held", {"error_type": error.error_type})
        # Somebody has put it right since Claude was asked.
        send_later(services, QueueMessage(Step.COLLECT, {**ref.message(), "attempt": attempt}), _ASK_AGAIN_SECONDS)
        return StepResult("asked_again", {"error_type": error.error_type})
    if not (not_there_yet or isinstance(error, TransientError)):
        raise error
    if attempt < len(RESULTS_NOT_READY.seconds):
        queue_message = QueueMessage(Step.COLLECT, {**ref.message(), "attempt": attempt + 1})
        send_later(services, queue_message, RESULTS_NOT_READY.delay(attempt + 1, error.retry_after))
        return StepResult("put_off", {"error_type": error.error_type})
    if not_there_yet and job.cancel_requested:
        # Deleted, or older than the API keeps them. A person who cancels the job has given them up.
        send(services, [QueueMessage(Step.COLLECT, {**ref.message(), "lost": True})])
        return StepResult("lost", {"error_type": error.error_type})
    announce_once(services, job, STUCK)
    raise error
