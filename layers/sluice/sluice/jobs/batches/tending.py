"""Jobs that do not go on by themselves: pushed, let go, or told of."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection

from sluice.errors import ConditionFailed, SystemicFailure
from sluice.jobs.batches.control import let_go
from sluice.jobs.batches.report import PollReport
from sluice.jobs.batches.sweep import (
    OpenJob,
    OpenWork,
    as_of_last_movement,
    has_forgotten_notice,
    has_said_all,
    is_late,
    is_lost,
    is_stuck,
    is_stuck_for_good,
    letters_of,
)
from sluice.jobs.letters import send
from sluice.jobs.model import Job, JobStatus
from sluice.jobs.notices.announce import announce_once, announce_pending
from sluice.jobs.notices.incident import hold_for_incident, incident_of, tell_of_incident
from sluice.jobs.notices.text import LATE, STUCK
from sluice.jobs.services import Services

_RESERVE_SECONDS = 10.0


def tend(
    services: Services,
    work: OpenWork,
    gone: Collection[str],
    seconds_left: Callable[[], float],
    report: PollReport,
) -> None:
    """Look after each open job: send its messages again, tell what is due. What fails of one does not stop the rest."""
    _tend_held(services, work, seconds_left, report)
    for open_job in work.open_jobs():
        if seconds_left() < _RESERVE_SECONDS:
            break
        with report.going_on_after(open_job.job.job_id):
            if has_said_all(open_job.job):
                services.table.close(open_job.job)
                continue
            report.pushed += _push(services, open_job)
            report.told += _tell(services, open_job, gone)


def hold_all(services: Services, work: OpenWork, failure: SystemicFailure, report: PollReport) -> None:
    """Hold the jobs whose batches cannot be followed until a person acts, with one notice for all."""
    for open_job in work.open_jobs():
        if open_job.job.status is JobStatus.RUNNING:
            with report.going_on_after(open_job.job.job_id):
                hold_for_incident(services, open_job.job, failure.error_type, str(failure))


def _tend_held(services: Services, work: OpenWork, seconds_left: Callable[[], float], report: PollReport) -> None:
    """Let go of jobs whose incident is over, or that were cancelled; tell of an incident that nobody told of."""
    waiting: dict[str, list[Job]] = defaultdict(list)
    for job in work.jobs.values():
        if seconds_left() < _RESERVE_SECONDS:
            return
        with report.going_on_after(job.job_id):
            if job.status is JobStatus.HELD and job.cancel_requested:
                let_go(services, job)
            elif (kind := incident_of(job)) and not _let_go_if_over(services, kind, job):
                waiting[kind].append(job)
    for kind, jobs in waiting.items():
        if hold := jobs[0].hold:
            with report.going_on_after(jobs[0].job_id):
                tell_of_incident(services, kind, hold.reason, jobs)


def _let_go_if_over(services: Services, kind: str, job: Job) -> bool:
    """Let a job go on where its incident ended after the hold began, whatever of the job has moved since then."""
    if not services.incidents.released_since(kind, job.held_at or job.moved_at):
        return False
    let_go(services, job)
    return True


def _push(services: Services, open_job: OpenJob) -> int:
    """Send the messages of a stuck job again. They go first: sent twice they do no harm, lost they would."""
    now = services.now()
    if not is_stuck(open_job, now, services.settings):
        return 0
    count = send(services, letters_of(open_job))
    try:
        services.table.nudge(open_job.job, now)
    except ConditionFailed:
        return count
    return count


def _tell(services: Services, open_job: OpenJob, gone: Collection[str]) -> int:
    job, now, told = open_job.job, services.now(), 0
    if has_forgotten_notice(job, now):
        told += announce_pending(services, job)
    if is_late(job, now, services.settings) and LATE not in job.notices:
        told += announce_once(services, as_of_last_movement(open_job), LATE)
    if STUCK not in job.notices and (is_stuck_for_good(open_job) or _has_lost_batch(services, open_job, gone)):
        told += announce_once(services, as_of_last_movement(open_job), STUCK)
    return told


def _has_lost_batch(services: Services, open_job: OpenJob, gone: Collection[str]) -> bool:
    return any(is_lost(shard, gone, services.now(), services.settings) for shard in open_job.shards)
