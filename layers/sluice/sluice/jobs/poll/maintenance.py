"""Keeping open jobs going: hold or resume them, send lost messages again, send the notices that are due.

Messages are sent again only where nothing of a job has moved for longer than it should, so that a job whose shards
queue behind each other is left alone.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass

from aws_lambda_powertools import Logger

from sluice.claude.errors import kind_of_failure
from sluice.deadline import Deadline
from sluice.errors import AccountError, ClaudeError, ConditionFailed, SluiceError, describe_error
from sluice.incidents import Incident, IncidentView
from sluice.jobs.callbacks import is_callback_due, send_callback
from sluice.jobs.control import resume_job
from sluice.jobs.messages import send
from sluice.jobs.model import Job, JobStatus
from sluice.jobs.next_steps import (
    MOST_RESENDS,
    OpenJob,
    is_late,
    is_stuck,
    is_stuck_despite_resends,
    pending_messages,
    resends_in_vain,
)
from sluice.jobs.notices.announce import (
    announce_once,
    announce_overdue,
    hold_for_being_stuck,
    hold_for_incident,
    incident_of,
    report_incident,
)
from sluice.jobs.notices.text import LATE, STUCK
from sluice.jobs.poll.open_work import OpenWork, all_notices_sent, as_of_last_movement, is_lost
from sluice.jobs.services import Services
from sluice.jobs.tickets import is_expired

logger = Logger(child=True)

# Left for the job at hand when a run has to end; the next one goes on.
_RESERVE_SECONDS = 10.0


@dataclass(slots=True)
class Maintenance:
    """Counts of messages sent again, notices sent, and jobs that could not be looked after."""

    resent: int = 0
    notified: int = 0
    failed: int = 0

    @contextmanager
    def isolating_failures(self, job_id: str) -> Iterator[None]:
        """Log and count what goes wrong with one job in this block, so that the others are looked after all the same.

        The next poll tries it again.
        """
        try:
            yield
        except SluiceError as error:
            self.failed += 1
            logger.error("A job could not be looked after.", job_id=job_id, **describe_error(error))


def maintain(
    services: Services,
    work: OpenWork,
    gone: Collection[str],
    failure: ClaudeError | None,
    view: IncidentView,
    deadline: Deadline,
) -> Maintenance:
    """Look after each open job; a failure with one does not stop the rest.

    ``gone`` are the batches that Claude does not know; ``failure`` is why it could not be asked, if it could not;
    ``view`` is what was known of incidents before it was asked.
    """
    done = Maintenance()
    if isinstance(failure, AccountError):
        _hold_running(services, work, failure, view.version, done)
    _maintain_held(services, work, view, deadline, done)
    for open_job in work.open_jobs():
        if deadline.is_within(_RESERVE_SECONDS):
            break
        with done.isolating_failures(open_job.job.job_id):
            if is_expired(open_job.job, services.now()):
                _expire(services, open_job.job)
                continue
            if all_notices_sent(open_job.job):
                services.jobs.close(open_job.job)
                continue
            # Messages go first: sent twice they do no harm, lost they would.
            done.resent += _resend(services, open_job) + _call_back(services, open_job.job)
            done.notified += _notify(services, open_job, gone)
    return done


def _expire(services: Services, job: Job) -> None:
    """End a job whose file has not come in time."""
    with suppress(ConditionFailed):
        services.jobs.expire(job.job_id, services.now())


def _hold_running(services: Services, work: OpenWork, failure: AccountError, seen: int, done: Maintenance) -> None:
    """Hold the jobs whose batches cannot be followed until a person acts, with one notice for all."""
    for job in work.jobs.values():
        if job.status is JobStatus.RUNNING:
            with done.isolating_failures(job.job_id):
                hold_for_incident(services, job, kind_of_failure(failure), str(failure), seen)


def _maintain_held(
    services: Services, work: OpenWork, view: IncidentView, deadline: Deadline, done: Maintenance
) -> None:
    """Resume the held jobs that were cancelled or whose incident is over; report the incidents of the others."""
    waiting: dict[Incident, list[Job]] = defaultdict(list)
    for job in work.jobs.values():
        if deadline.is_within(_RESERVE_SECONDS):
            return
        with done.isolating_failures(job.job_id):
            if job.status is JobStatus.HELD and job.cancel_requested:
                resume_job(services, job)
            elif kind := incident_of(job):
                if incident := view.find(kind, job.incident_number):
                    waiting[incident].append(job)
                elif services.incidents.is_over(kind, job.incident_number):
                    resume_job(services, job)
    for incident, jobs in waiting.items():
        with done.isolating_failures(jobs[0].job_id):
            report_incident(services, incident, jobs)


def _resend(services: Services, open_job: OpenJob) -> int:
    """Send the messages of a stuck job again, or hold it where that was done in vain too often; return how many."""
    now = services.now()
    if not is_stuck(open_job, now, services.settings):
        return 0
    if resends_in_vain(open_job) >= MOST_RESENDS and not open_job.job.status.final:
        hold_for_being_stuck(services, open_job.job)
        return 0
    count = send(services, pending_messages(open_job))
    try:
        services.jobs.record_resend(open_job.job, now)
    except ConditionFailed:
        return count
    return count


def _call_back(services: Services, job: Job) -> int:
    """Send the message of a callback whose courier does not know of it, or has lost it; return how many."""
    now = services.now()
    if not is_callback_due(job, now):
        return 0
    send_callback(services.sqs, services.settings.callback_queue_url, job)
    with suppress(ConditionFailed):
        services.jobs.note_callback_sent(job, now)
    return 1


def _notify(services: Services, open_job: OpenJob, gone: Collection[str]) -> int:
    """Send the notices of a job that are due; return how many."""
    job, now, notified = open_job.job, services.now(), 0
    notified += announce_overdue(services, job)
    if is_late(job, now, services.settings) and LATE not in job.notices:
        notified += announce_once(services, as_of_last_movement(open_job), LATE)
    if STUCK not in job.notices and (is_stuck_despite_resends(open_job) or _has_lost_batch(services, open_job, gone)):
        notified += announce_once(services, as_of_last_movement(open_job), STUCK)
    return notified


def _has_lost_batch(services: Services, open_job: OpenJob, gone: Collection[str]) -> bool:
    return any(is_lost(shard, gone, services.now(), services.settings) for shard in open_job.shards)
