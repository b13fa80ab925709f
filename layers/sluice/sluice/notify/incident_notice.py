"""Telling of an incident: one notice, with the same words and fields whether a job or a task met it first."""

from __future__ import annotations

import hashlib
from dataclasses import asdict, dataclass
from typing import Any

from sluice.claude.errors import BATCHES, cause_of_kind, scope_of_kind
from sluice.incidents import Incident, Incidents
from sluice.notify.channels import Notifier
from sluice.notify.notice import Notice, one_line

EVENT = "incident.opened"
_DETAIL_TYPE = "Sluice Incident Opened"
# Jobs that a notice names: more would not fit a mail that is read. Where their keys are very long, it is fewer, so that
# SNS takes the message.
_NAMED_JOBS = 20
# Of what Claude says, in characters; its messages are a sentence or two.
_MAX_MESSAGE = 2000

# For each type of error (Claude API: Errors), what is wrong, and what to do about it.
_PROBLEMS = {
    "authentication_error": (
        "Claude refuses the API key",
        "Put a valid API key into the secret that the stack reads (its output ClaudeSecretId).",
    ),
    "billing_error": (
        "Claude cannot bill the account",
        "Look at the billing page of the Claude account: its credit and its payment details.",
    ),
    "permission_error": (
        "The API key may not use {thing}",
        "Allow it for the workspace of the API key, or put a key that may use it into the secret that the stack reads"
        " (its output ClaudeSecretId).",
    ),
    "rate_limit_error": (
        "The Claude account has reached its spend limit",
        "Raise the limit in the settings of the Claude account, or wait until it is reset.",
    ),
    "not_found_error": (
        "Claude does not find {thing}",
        "If a model was retired, set the stack's parameter DefaultModel to a current one. A job that names the model"
        " itself has to be cancelled, and dropped again with another one.",
    ),
}
_SPEND_LIMIT = _PROBLEMS["rate_limit_error"]
_PROBLEMS |= dict.fromkeys(
    ("spend_limit_reached", "enforced_spend_limit_reached", "contract_spend_limit_reached"), _SPEND_LIMIT
)
_UNKNOWN_PROBLEM = ("Claude refuses the work of this stack", "Remove the cause that Claude names above.")


@dataclass(frozen=True, slots=True)
class HeldJob:
    """A job that waits, and its file in the Inbox."""

    job_id: str
    bucket: str
    key: str


@dataclass(frozen=True, slots=True)
class Affected:
    """What is known to wait when an incident is told of. ``tasks`` are ids."""

    jobs: tuple[HeldJob, ...] = ()
    tasks: tuple[str, ...] = ()


def tell_of_incident(incidents: Incidents, notifier: Notifier, incident: Incident, affected: Affected) -> None:
    """Announce an incident of which the caller has claimed to tell, and mark it as announced.

    Raises AwsError where a channel did not take the notice: whoever meets the incident later then tells that one.
    """
    sending = notifier.send(incident_notice(incident, affected), incident.notified_on)
    if sending.failure is not None:
        incidents.mark_notified_on(incident, sending.sent_on)
        raise sending.failure
    incidents.mark_notified(incident)


def incident_notice(incident: Incident, affected: Affected) -> Notice:
    """Write the notice of an incident; it names as many jobs as fit."""
    named = _NAMED_JOBS
    while not (notice := _write(incident, affected, named)).fits_topic() and named > 1:
        named //= 2
    return notice


def _write(incident: Incident, affected: Affected, named: int) -> Notice:
    error_type, scope = cause_of_kind(incident.kind), scope_of_kind(incident.kind)
    problem, remedy = _PROBLEMS.get(error_type, _UNKNOWN_PROBLEM)
    problem = problem.format(thing=_thing(scope))
    said = one_line(incident.message, _MAX_MESSAGE)
    lines = [f"{problem}. {_what_waits(scope)}", "Nothing is lost.", ""]
    lines += ["What Claude says", f"- {error_type}: {said}", ""]
    lines += ["What waits so far", *_waiting(affected, named), ""]
    lines += ["What to do", f"- {remedy}", *_release_steps(incident.kind, affected), ""]
    return Notice(
        subject=f"Stopped: {problem} ({error_type})",
        text="\n".join(lines),
        detail=_detail(incident, affected, named),
        detail_type=_DETAIL_TYPE,
        attributes={"event": EVENT, "outcome": "held", "kind": incident.kind},
    )


def _thing(scope: str) -> str:
    if scope == BATCHES:
        return "Message Batches"
    return f"the model {scope}" if scope else "what it is asked for"


def _what_waits(scope: str) -> str:
    if scope == BATCHES:
        return "Until this is put right, jobs wait; tasks and streams go on."
    if scope:
        return f"Until this is put right, jobs and tasks for {scope} wait; those for other models go on."
    return "Until this is put right, jobs and tasks wait."


def _waiting(affected: Affected, named: int) -> list[str]:
    rows = [f"- job {job.job_id}  s3://{job.bucket}/{one_line(job.key)}" for job in affected.jobs[:named]]
    if len(affected.jobs) > named:
        rows.append(f"- and {len(affected.jobs) - named:,} more jobs")
    rows += [f"- task {task_id}" for task_id in affected.tasks]
    return [*rows, "Whatever else Claude refuses for this reason waits too, without a further notice."]


def _release_steps(kind: str, affected: Affected) -> list[str]:
    """Return how to let everything go on; a job that is released ends the incident for all."""
    steps = [
        "- Then let everything go on at once: call the API, at the stack's output ApiUrl,",
        f"  POST /v1/incidents/{kind}/release",
    ]
    if affected.jobs:
        first = affected.jobs[0]
        steps += [
            f"  or drop an empty object named {first.job_id}.release in the Inbox:",
            f"  aws s3api put-object --bucket {first.bucket} --key {first.job_id}.release",
        ]
    return [
        *steps,
        "- Without that, a waiting task is tried now and then, at most ten minutes apart. When one succeeds,",
        "  everything goes on. Where only jobs wait, nothing is tried.",
    ]


def _detail(incident: Incident, affected: Affected, named: int) -> dict[str, Any]:
    """Return the notice as machines get it. ``opened_at`` in epoch seconds; ``model`` is None where it is not one."""
    error_type, scope = cause_of_kind(incident.kind), scope_of_kind(incident.kind)
    identity = f"{EVENT}\0{incident.kind}\0{incident.opened_at:.3f}"
    return {
        # The same however often it is sent, so that a reader can tell a repetition.
        "notification_id": hashlib.sha256(identity.encode()).hexdigest()[:32],
        "event": EVENT,
        "outcome": "held",
        "kind": incident.kind,
        "error_type": error_type,
        "model": scope if scope not in ("", BATCHES) else None,
        "message": incident.message[:_MAX_MESSAGE],
        "opened_at": incident.opened_at,
        "job_count": len(affected.jobs),
        "jobs": [asdict(job) for job in affected.jobs[:named]],
        "tasks": list(affected.tasks),
    }
