"""One look at all that is open: two queries of the table and, where batches run, a page of the list for a thousand.

Batches that have ended are passed on to be collected, those of cancelled jobs are cancelled, and what does not move is
pushed or told of. Each run starts from the table alone and changes it by conditional writes, so that runs may overlap
or be killed half way: what one leaves undone, the next one does.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice

from sluice.claude.batch_list import Sighting, look_for
from sluice.claude.batches import MessageBatch
from sluice.deadline import Deadline
from sluice.errors import AccountError, ConditionFailed, PermanentError, TransientError
from sluice.jobs.messages import QueueMessage, Step, send
from sluice.jobs.model import Shard, ShardStatus
from sluice.jobs.poll.maintenance import PollReport, hold_all, maintain
from sluice.jobs.poll.open_work import OpenWork, is_lost, reconciliations_due, unresolved
from sluice.jobs.progress import record_durations
from sluice.jobs.services import Services
from sluice.notify.incident_notice import Affected, tell_of_incident

# Left for what is under way when a run ends itself, to go on in the next.
RESERVE_SECONDS = 15.0
# Messages to a call of SQS; what a crash in between can leave to be found later.
_TEN = 10


def poll(services: Services, deadline: Deadline) -> PollReport:
    """Look once at all that is open. Raises AwsError; what was done by then stays done."""
    report = PollReport()
    _tell_of_incidents(services)
    work = OpenWork.of(services.jobs.open())
    if not work.jobs and not work.shards:
        return report
    sighting = _look(services, work)
    report.jobs, report.in_progress = len(work.jobs), sum(1 for _ in work.with_status(ShardStatus.IN_PROGRESS))
    if sighting.failure:
        report.failure = sighting.failure.error_type
    report.ended = _pass_on_ended(services, work, sighting, deadline)
    report.cancelled = _cancel_batches(services, work, sighting, deadline)
    settings = services.settings
    report.reconciled = send(
        services, reconciliations_due(work, sighting.batches, sighting.gone, services.now(), settings)
    )
    if isinstance(sighting.failure, AccountError):
        hold_all(services, work, sighting.failure, report)
    maintain(services, work, sighting.gone, deadline, report)
    return report


def _tell_of_incidents(services: Services) -> None:
    """Tell of incidents that nobody has told of: the streaming door opens them, and can publish nothing."""
    for incident in services.incidents.list_open():
        if untold := services.incidents.take_over_notifying(incident.kind):
            tell_of_incident(services.incidents, services.notifier, untold, Affected())


def _look(services: Services, work: OpenWork) -> Sighting:
    """Look for the batches that are waited for, from the oldest intent on."""
    watched = list(work.with_status(ShardStatus.IN_PROGRESS))
    wanted = {shard.batch_id for shard in watched if shard.batch_id}
    for shard in work.with_status(ShardStatus.ADOPTING):
        watched.append(shard)
        wanted.update(unresolved(shard))
    oldest = min((shard.intent_at or shard.moved_at for shard in watched), default=0.0)
    return look_for(services.claude, wanted, oldest)


def _pass_on_ended(services: Services, work: OpenWork, sighting: Sighting, deadline: Deadline) -> int:
    """Mark the shards whose batches have ended, and send them on, ten at a time."""
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


def _has_ended(shard: Shard, sighting: Sighting) -> bool:
    batch = sighting.batches.get(shard.batch_id or "")
    return batch is not None and batch.ended


def _is_given_up(services: Services, work: OpenWork, shard: Shard, sighting: Sighting) -> bool:
    """Return whether Claude has not known a batch for long, and its job was cancelled: nobody waits for it."""
    job = work.jobs.get(shard.ref.job_id)
    return bool(job and job.cancel_requested) and is_lost(shard, sighting.gone, services.now(), services.settings)


def _mark_ended(services: Services, shard: Shard) -> bool:
    try:
        services.shards.end(shard, services.now())
    except ConditionFailed:
        return False
    return True


def _cancel_batches(services: Services, work: OpenWork, sighting: Sighting, deadline: Deadline) -> int:
    """Cancel the running batches of cancelled jobs. Claude's list says which are left, so any run can go on with it.

    One that cannot be cancelled has ended meanwhile, or Claude does not find it for a moment: the others go on.
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
            sighting.failure = sighting.failure or failure
            break
        count += 1
    return count


def _to_cancel(work: OpenWork, sighting: Sighting) -> Iterator[MessageBatch]:
    for shard in work.with_status(ShardStatus.IN_PROGRESS):
        job, batch = work.jobs.get(shard.ref.job_id), sighting.batches.get(shard.batch_id or "")
        if job and job.cancel_requested and batch and batch.status == "in_progress":
            yield batch


def _in_tens(shards: Iterable[Shard]) -> Iterator[list[Shard]]:
    remaining = iter(shards)
    while ten := list(islice(remaining, _TEN)):
        yield ten
