"""Telling people of a job: given to the notifier, then marked as sent.

A notice is *pending* in the job from the write on that makes it due. ``announce`` sends, and then marks it. A crash
between the two leads to a second message with the same ``notification_id``: a lost notice would be worse.
"""

from __future__ import annotations

from collections.abc import Sequence

from aws_lambda_powertools import Logger

from sluice.backoff import MOST_NOTICE_TRIES, NOTICE
from sluice.errors import ConditionFailed
from sluice.incidents import Incident
from sluice.jobs.model import HELD, Hold, HoldKind, Job, JobStatus, NoticeState, channel_mark
from sluice.jobs.notices.machine import Place, write_failure
from sluice.jobs.notices.text import compose, event_of, is_of_present_hold
from sluice.jobs.services import Services
from sluice.notify.incident_notice import Affected, HeldJob, tell_of_incident

logger = Logger(child=True)

# A job moves on its own account now and then while it is being held.
_TRIES = 5


def announce(services: Services, job: Job, notice: str) -> bool:
    """Send a notice of a job, unless it was sent before; return whether it was sent now.

    ``notice`` is its name in ``job.notices``, such as "job.finished". That of a hold which is over by now is dropped:
    nobody has to act on it. A job that could not be run gets its summary here: no other step sees it.

    Raises AwsError where a channel did not take it; the notice is then still pending, for that channel alone.
    """
    if job.notices.get(notice) == NoticeState.SENT:
        return False
    if event_of(notice) == HELD and not is_of_present_hold(job, notice):
        services.jobs.notice_dropped(job, notice)
        return False
    if job.status is JobStatus.FAILED:
        services.outbox.put_file(job.job_id, "summary.json", write_failure(job), "application/json")
    sent_on = [each.name for each in services.notifier.channels if channel_mark(notice, each.name) in job.notices]
    sending = services.notifier.send(compose(job, notice, _place(services), services.now()), sent_on)
    if sending.failure is not None:
        services.jobs.notice_sent_on(job, notice, sending.sent_on)
        raise sending.failure
    services.jobs.notice_sent(job, notice)
    return True


def announce_once(services: Services, job: Job, notice: str) -> bool:
    """Send a notice of what came without a transition (late, stuck).

    False where it is sent, or being sent, already, or the job has moved since it was looked at.
    """
    if not services.jobs.add_notice(job, notice, services.now()):
        return False
    announce(services, job, notice)
    return True


def announce_hold(services: Services, job: Job) -> bool:
    """Announce that a job is held and how to release it. ``job`` as the transition returned it; False: it had been."""
    due = [notice for notice, state in job.notices.items() if event_of(notice) == HELD and state == NoticeState.PENDING]
    return sum([announce(services, job, notice) for notice in due]) > 0


def has_overdue_notice(job: Job, now: float) -> bool:
    """Return whether a notice is still pending though the function that was to send it has had its time."""
    since = max(job.moved_at, job.noticed_at or 0.0, job.notice_tried_at or 0.0)
    return now - since > NOTICE.delay(job.notice_tries + 1) and NoticeState.PENDING in job.notices.values()


def announce_overdue(services: Services, job: Job) -> int:
    """Send what is still pending of a job, unless another function may be at it; return how many notices were sent.

    What a channel has not taken for too long is dropped, so that the job is not open for ever.
    """
    if not has_overdue_notice(job, services.now()):
        return 0
    if job.notice_tries >= MOST_NOTICE_TRIES:
        return _give_up(services, job)
    try:
        job = services.jobs.claim_notices(job, services.now())
    except ConditionFailed:
        return 0
    return announce_pending(services, job)


def _give_up(services: Services, job: Job) -> int:
    for notice in [name for name, state in job.notices.items() if state == NoticeState.PENDING]:
        logger.error("A notice could not be sent, and is given up.", job_id=job.job_id, notice=notice)
        services.jobs.notice_dropped(job, notice)
    return 0


def announce_pending(services: Services, job: Job) -> int:
    """Send what is still pending of a job; return how many notices were sent."""
    due = [name for name, state in job.notices.items() if state == NoticeState.PENDING]
    return sum([announce(services, job, notice) for notice in due])


def _place(services: Services) -> Place:
    # AWS: ARNs. arn:partition:service:region:account:resource.
    parts = services.settings.topic_arn.split(":")
    if len(parts) < 6:
        return Place(services.settings.outbox)
    return Place(services.settings.outbox, parts[3], parts[1])


def incident_of(job: Job) -> str | None:
    """Return the kind of the incident that holds a job; None where none does."""
    return job.hold.incident if job.status is JobStatus.HELD and job.hold else None


def hold_for_incident(services: Services, job: Job, kind: str, reason: str, seen: int) -> bool:
    """Hold a job that met a systemic failure; notify a person unless that was done. May be called again and again.

    ``kind`` is as ``claude.errors.kind_of_failure`` names it; ``seen`` is the version of incidents that was read before
    the call that failed. False: an incident of that kind has ended since, and nothing was done: ask again. Where a
    crash in between has left an incident untold, the poller tells of it.
    """
    incident = services.incidents.open_incident(kind, reason, seen)
    if incident is None:
        return False
    held = _hold(services, job.job_id, Hold.for_incident(kind, reason), incident.number)
    report_incident(services, incident, [held or job])
    return True


def hold_for_refusal(services: Services, job: Job, message: str) -> bool:
    """Hold a job of which Claude refuses every request alike, for a reason that may be nobody's but the account's.

    False: somebody has moved or released it since ``job`` was read, and nothing was done.
    """
    reason = f"Claude refuses every request of a batch, in the same words: {message} Nothing is lost. When the cause is"
    reason += " gone, release the job: its requests are sent once more, and those that are refused again are errors."
    try:
        held = services.jobs.hold(job, Hold(HoldKind.REFUSED, reason), services.now())
    except ConditionFailed:
        return False
    announce_hold(services, held)
    return True


def hold_for_being_stuck(services: Services, job: Job) -> bool:
    """Hold a job of which a step fails again and again. False: it has moved since ``job`` was read, or waits anyway."""
    reason = "One of its steps was begun again and again for days, and did not succeed. The logs of the stack and its"
    reason += " dead-letter queues say why. Nothing is tried any more. When the cause is gone, release the job: it goes"
    reason += " on from where it stood."
    try:
        held = services.jobs.hold(job, Hold(HoldKind.STUCK, reason), services.now())
    except ConditionFailed:
        return False
    announce_hold(services, held)
    return True


def report_incident(services: Services, incident: Incident, jobs: Sequence[Job]) -> bool:
    """Announce an open incident with the jobs that wait for it where nobody has; return whether that was so."""
    if not services.incidents.claim_notifying(incident):
        return False
    held = tuple(HeldJob(job.job_id, job.upload.bucket, job.upload.key) for job in jobs)
    tell_of_incident(services.incidents, services.notifier, incident, Affected(jobs=held))
    return True


def _hold(services: Services, job_id: str, hold: Hold, incident_number: int) -> Job | None:
    """Hold a job wherever it has got to: where the incident has ended meanwhile, the poller lets it go on."""
    for _ in range(_TRIES):
        job = services.jobs.find(job_id)
        if job is None or job.status is JobStatus.HELD or job.status.final:
            return job
        try:
            return services.jobs.hold(job, hold, services.now(), incident_number)
        except ConditionFailed:
            continue
    return None
