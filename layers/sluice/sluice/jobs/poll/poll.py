"""One look at all open work: two queries of the table and, where batches run, a page of Claude's list for a thousand.

Batches that have ended are sent on to be collected, batches of cancelled jobs are cancelled, undecided shards are sent
on to be reconciled; then each open job is maintained (``jobs.poll.maintenance``). Each run starts from the table alone
and changes it by conditional writes, so that runs may overlap or be killed half way: what one leaves undone, the next
does.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from itertools import islice

from sluice.claude.batch_list import Sighting, look_for
from sluice.claude.batches import MessageBatch
from sluice.deadline import Deadline
from sluice.errors import AccountError, ConditionFailed, PermanentError, TransientError
from sluice.incidents import Incident, IncidentView
from sluice.jobs.messages import QueueMessage, Step, send, send_later
from sluice.jobs.model import Shard, ShardStatus
from sluice.jobs.next_steps import shard_message
from sluice.jobs.poll.maintenance import maintain
from sluice.jobs.poll.open_work import OpenWork, is_lost, reconciliations_due, unresolved
from sluice.jobs.progress import record_durations
from sluice.jobs.services import Services
from sluice.notify.incident_notice import Affected, tell_of_incident

# Left for what is under way when a run ends itself, to go on in the next.
RESERVE_SECONDS = 15.0
# A shard that waits without a message gets one so long before its time, so that a poll may fail.
_WAKE_SECONDS = 150.0
# Messages to a call of SQS; a crash between marking and sending leaves no more than these for a later poll to resend.
_TEN = 10


@dataclass(frozen=True, slots=True)
class PollReport:
    """What one poll found and did, in counts."""

    jobs: int = 0  #: Open ones.
    in_progress: int = 0  #: Shards whose batches were waited for.
    ended: int = 0  #: Of those, sent on to be collected.
    cancelled: int = 0  #: Batches.
    reconciled: int = 0  #: Shards sent on to be reconciled.
    woken: int = 0  #: Shards whose time has come after a long wait.
    resent: int = 0  #: Messages of stuck jobs.
    notified: int = 0  #: Notices.
    failed: int = 0  #: Jobs that could not be looked after.
    failure: str | None = None  #: The error type with which Claude refused or failed to answer, if it did.


def poll(services: Services, deadline: Deadline) -> PollReport:
    """Look once at all that is open. Raises AwsError; what was done by then stays done."""
    work = OpenWork.of(services.jobs.open())
    if not work:
        _tell_of_incidents(services, services.incidents.list_open())
        return PollReport()
    view = services.incidents.look()
    report = _poll_work(services, work, view, deadline)
    # Last: where jobs wait for an incident, the notice of it names them.
    _tell_of_incidents(services, view.open)
    return report


def _poll_work(services: Services, work: OpenWork, view: IncidentView, deadline: Deadline) -> PollReport:
    sighting = _look_for_batches(services, work)
    ended = _send_on_ended(services, work, sighting, deadline)
    cancelled, refusal = _cancel_batches(services, work, sighting, deadline)
    reconciled = _send_on_undecided(services, work, sighting)
    woken = _wake(services, work)
    failure = sighting.failure or refusal
    maintenance = maintain(services, work, sighting.gone, failure, view, deadline)
    return PollReport(
        jobs=len(work.jobs),
        in_progress=sum(1 for _ in work.with_status(ShardStatus.IN_PROGRESS)),
        ended=ended,
        cancelled=cancelled,
        reconciled=reconciled,
        woken=woken,
        resent=maintenance.resent,
        notified=maintenance.notified,
        failed=maintenance.failed,
        failure=failure.error_type if failure else None,
    )


def _tell_of_incidents(services: Services, incidents: Iterable[Incident]) -> None:
    """Tell of incidents that nobody has told of: the streaming door opens them, and can publish nothing."""
    for incident in incidents:
        if services.incidents.claim_notifying(incident):
            tell_of_incident(services.incidents, services.notifier, incident, Affected())


def _look_for_batches(services: Services, work: OpenWork) -> Sighting:
    """Ask Claude about the batches that are waited for, from the oldest intent on."""
    watched = list(work.with_status(ShardStatus.IN_PROGRESS))
    wanted = {shard.batch_id for shard in watched if shard.batch_id}
    for shard in work.with_status(ShardStatus.ADOPTING):
        watched.append(shard)
        wanted.update(unresolved(shard))
    oldest = min((shard.intent_at or shard.moved_at for shard in watched), default=0.0)
    return look_for(services.claude, wanted, oldest)


def _send_on_ended(services: Services, work: OpenWork, sighting: Sighting, deadline: Deadline) -> int:
    """Mark the shards whose batches have ended and send them on to be collected, ten at a time; return how many."""
    watched = work.with_status(ShardStatus.IN_PROGRESS)
    ended = (shard for shard in watched if _has_ended(shard, sighting) or _is_given_up(services, work, shard, sighting))
    count, durations = 0, []
    for ten in _in_tens(ended):
        marked = [shard for shard in ten if _mark_ended(services, shard)]
        count += send(services, (QueueMessage(Step.COLLECT, shard.ref.message()) for shard in marked))
        durations += [services.now() - shard.submitted_at for shard in marked if shard.submitted_at]
        if deadline.is_within(RESERVE_SECONDS):
            break
    record_durations(services.dynamodb, durations)
    return count


def _in_tens(shards: Iterable[Shard]) -> Iterator[list[Shard]]:
    remaining = iter(shards)
    while ten := list(islice(remaining, _TEN)):
        yield ten


def _has_ended(shard: Shard, sighting: Sighting) -> bool:
    batch = sighting.batches.get(shard.batch_id or "")
    return batch is not None and batch.ended


def _is_given_up(services: Services, work: OpenWork, shard: Shard, sighting: Sighting) -> bool:
    """Return whether a batch is lost and its job was cancelled, so that nobody waits for it any more."""
    job = work.jobs.get(shard.ref.job_id)
    return bool(job and job.cancel_requested) and is_lost(shard, sighting.gone, services.now(), services.settings)


def _mark_ended(services: Services, shard: Shard) -> bool:
    try:
        services.shards.end(shard, services.now())
    except ConditionFailed:
        return False
    return True


def _cancel_batches(
    services: Services, work: OpenWork, sighting: Sighting, deadline: Deadline
) -> tuple[int, AccountError | None]:
    """Cancel the running batches of cancelled jobs; return how many, and the failure that needs a person, if any.

    Claude's list says which are still running, so any later poll can go on. A batch that Claude does not cancel has
    ended meanwhile, or is not found for a moment: the others are cancelled all the same.
    """
    count = 0
    for batch in _to_cancel(work, sighting):
        if deadline.is_within(RESERVE_SECONDS):
            break
        try:
            services.claude.cancel_batch(batch.id)
        except TransientError:
            break
        except PermanentError:
            continue
        except AccountError as failure:
            if failure.http_status == 404:
                continue
            return count, failure
        count += 1
    return count, None


def _to_cancel(work: OpenWork, sighting: Sighting) -> Iterator[MessageBatch]:
    for shard in work.with_status(ShardStatus.IN_PROGRESS):
        job, batch = work.jobs.get(shard.ref.job_id), sighting.batches.get(shard.batch_id or "")
        if job and job.cancel_requested and batch and batch.status == "in_progress":
            yield batch


def _send_on_undecided(services: Services, work: OpenWork, sighting: Sighting) -> int:
    """Send on the shards whose intent can be cleared up by now; return how many."""
    due = reconciliations_due(work, sighting.batches, sighting.gone, services.now(), services.settings)
    return send(services, due)


def _wake(services: Services, work: OpenWork) -> int:
    """Send their messages to the shards whose wait is over soon, or does not matter any more; return how many."""
    now, count = services.now(), 0
    for job, shard in ((each.job, shard) for each in work.open_jobs() for shard in each.shards if shard.waits_for_poll):
        is_due = job.cancel_requested or shard.due_at - now <= _WAKE_SECONDS
        if is_due and (queue_message := shard_message(job, shard)):
            send_later(services, queue_message, 0 if job.cancel_requested else shard.due_at - now)
            # Behind the message: sent twice it does no harm, lost it would.
            with suppress(ConditionFailed):
                services.shards.wake(shard, now)
            count += 1
    return count
