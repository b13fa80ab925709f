"""What a notice says: a mail for a person, and the attributes to filter on. Without I/O.

A notice is known by its name in ``Job.notices``. That is the event, such as "job.finished"; for a hold, of which a
job can have several, the event, "#", the kind of the hold, "@" and the number of the hold (``jobs.model.hold_notice``).
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping

from sluice.jobs.incomplete import describe, incomplete_by_status, ranked_incomplete
from sluice.jobs.model import HELD, HoldKind, Job, JobStatus, Tally, hold_notice
from sluice.jobs.notices.machine import Place, machine_detail
from sluice.jobs.notices.quantities import about_dollars, count, duration, share
from sluice.notify.notice import MAX_SUBJECT, Notice, one_line, sayable

_ADVICE = {
    "invalid_request_error": "The API refuses these as they stand. Their messages say why; correct the requests first.",
    "request_too_large": "These requests are larger than the API takes. Shorten their prompts.",
    "not_found_error": "They name what is not there, such as a file that was deleted or a retired model. Correct them.",
    "authentication_error": "The API key was refused. Put a valid one into the stack's secret.",
    "permission_error": "The API key may not do this. Look at its workspace and at the models it may use.",
    "billing_error": "Look at the billing page of the Claude account.",
    "rate_limit_error": "The account's limits were in the way each time. Try again later, or ask for higher ones.",
    "overloaded_error": "The API was overloaded each time. Try again later.",
    "api_error": "The API failed inside each time. Try again later.",
    "timeout_error": "The API ran out of time each time. Try again later, or ask for less in one request.",
    "expired": "Claude did not get to these within 24 hours, each time. Try again later.",
    "canceled": "The job was cancelled before these were run. They cost nothing.",
    "missing": "Claude's results did not hold these, each time. Try again later.",
}
_UNKNOWN = "Look at the messages in errors.jsonl."


def advice_for(error_type: str) -> str:
    """Return a sentence or two on what to do about requests that ended in this error."""
    return _ADVICE.get(error_type, _UNKNOWN)


def retry_hint(errors: Mapping[str, int]) -> str:
    """Return how to run again what failed; empty where nothing did."""
    if not errors:
        return ""
    return "errors.jsonl holds the requests themselves: correct them where needed, and drop it in the Inbox as it is."


# Of a job's own holds. An incident holds jobs too, and has a notice of its own (``notify.incident_notice``).
_KIND_WORDS: Mapping[str, str] = {
    HoldKind.COST: "it may cost more than the limit",
    HoldKind.BAD_LINES: "many bad lines",
    HoldKind.SETTINGS: "folder settings",
    HoldKind.REFUSED: "Claude refuses all of it alike",
    HoldKind.STUCK: "one of its steps fails each time",
}
LATE, STUCK = "job.late", "job.stuck"
_DETAIL_TYPES = {
    "job.finished": "Sluice Job Finished",
    "job.finished_with_errors": "Sluice Job Finished With Errors",
    "job.cancelled": "Sluice Job Cancelled",
    "job.failed": "Sluice Job Failed",
    HELD: "Sluice Job Held",
    LATE: "Sluice Job Late",
    STUCK: "Sluice Job Stuck",
}
_ENDS = {
    JobStatus.FINISHED: ("Finished", "has finished: every line was answered."),
    JobStatus.FINISHED_WITH_ERRORS: ("Finished with errors", "has finished, but not every line has a whole answer."),
    JobStatus.CANCELLED: ("Cancelled", "was cancelled. What had finished by then is kept."),
}
_NAME_LENGTH = 40
# Of a name of which some letters cannot be said: fewer say nothing.
_LEAST_LETTERS = 3
_UNSAYABLE = re.compile(r"[^\x20-\x7e]+")
# What became of a job, and the figures or the reason.
_Headline = tuple[str, str]
_SHOWN = 3


def status_notice(status: JobStatus) -> str:
    """Name the notice of a final state."""
    return f"job.{status}"


def was_held_for(job: Job, kind: str) -> bool:
    """Return whether a job has had a hold of a kind that people are told of."""
    return any(notice.startswith(f"{HELD}#{kind}@") for notice in job.notices)


def is_of_present_hold(job: Job, notice: str) -> bool:
    """Return whether a job is held, and a notice is the one of that hold."""
    if job.status is not JobStatus.HELD or job.hold is None or job.held_at is None:
        return False
    # Before holds were counted, they were told by when they began.
    return notice == hold_notice(job.hold.kind, job.holds or int(job.held_at))


def event_of(notice: str) -> str:
    return notice.partition("#")[0]


def notification_id(job: Job, notice: str) -> str:
    """Return an id that is the same however often a notice is sent, so that a reader can tell a repetition."""
    return hashlib.sha256(f"{job.job_id}\0{notice}".encode()).hexdigest()[:32]


def compose(job: Job, notice: str, place: Place, now: float) -> Notice:
    """Write a notice of a job. Raises KeyError for an event that jobs do not have."""
    event = event_of(notice)
    (outcome, rest), body = _words(job, event, place, now)
    return Notice(
        subject=_subject(outcome, _name(job), rest),
        mail_subject=_subject(outcome, _mail_name(job), rest),
        text="\n".join(
            (*body, "", f"Job     {job.job_id}", f"File    s3://{job.upload.bucket}/{one_line(job.upload.key)}", "")
        ),
        detail=machine_detail(job, event, notification_id(job, notice), place),
        detail_type=_DETAIL_TYPES[event],
        attributes={
            "event": event,
            "outcome": job.status,
            "job_id": job.job_id,
            "folder": job.upload.folder,
            **_incomplete_attribute(job),
        },
    )


def _incomplete_attribute(job: Job) -> dict[str, str]:
    """Name what answers lack, so that a subscription can filter on it."""
    statuses = sorted(incomplete_by_status(job.tally.incomplete)) if job.tally else []
    return {"incomplete": ",".join(statuses)} if statuses else {}


def _words(job: Job, event: str, place: Place, now: float) -> tuple[_Headline, list[str]]:
    if event == HELD:
        return _held(job)
    if event in (LATE, STUCK):
        return _delayed(job, event, now)
    if job.status is JobStatus.FAILED or job.tally is None:
        return _failed(job)
    return _ended(job, job.tally, place)


def _ended(job: Job, tally: Tally, place: Place) -> tuple[_Headline, list[str]]:
    outcome, sentence = _ENDS[job.status]
    counts = [f"{count(tally.answered)} of {count(tally.lines, 'line')} answered"]
    by_status = incomplete_by_status(tally.incomplete)
    counts += [f"{count(number)} {status.replace('_', ' ')}" for status, number in by_status.items()]
    counts += [count(tally.errored, "error")] if tally.errored else []
    counts += [f"{count(tally.rejected)} rejected"] if tally.rejected else []
    if tally.rejected == tally.lines:
        sentence = "has nothing in it that could be sent: all of its lines were rejected."
    body = [f"{_name(job)} {sentence}", "", *_counts(tally), "", *_effort(job, tally), "", *_places(job, tally, place)]
    return (outcome, ", ".join(counts)), body + _next_steps(tally) + _notes(job)


def _counts(tally: Tally) -> list[str]:
    rows = [f"Lines       {count(tally.lines)}"]
    rows.append(f"Answered    {count(tally.answered)} ({share(tally.answered, tally.lines)})")
    if tally.incomplete:
        rows.append(f"Not whole   {count(tally.succeeded - tally.answered)} ({describe(tally.incomplete)})")
    if tally.errored:
        rows.append(f"Errors      {count(tally.errored)} ({_listed(ranked(tally.errors))})")
    if tally.rejected:
        rows.append(
            f"Rejected    {count(tally.rejected)} ({_listed(ranked(tally.reasons)) or 'lines that cannot run'})"
        )
    if not tally.balanced:
        rows += ["", "The counts do not add up to the lines of the file. Nothing is deleted,"]
        rows.append("and the difference is in summary.json. Please look into it before you use the results.")
    return rows


def ranked(counts: Mapping[str, int]) -> list[tuple[str, int]]:
    """Return names with their counts, most frequent first."""
    return sorted(counts.items(), key=lambda entry: (-entry[1], entry[0]))


def _listed(names: Iterable[tuple[str, int]]) -> str:
    return ", ".join(f"{count(number)} {name}" for name, number in names)


def _effort(job: Job, tally: Tally) -> list[str]:
    took = duration((job.finished_at or job.moved_at) - job.received_at)
    waves = f" in {count(tally.waves, 'wave')}" if tally.waves > 1 else ""
    return [f"Took        {took}{waves}", f"Cost        {_cost(tally)}"]


def _cost(tally: Tally) -> str:
    if tally.cost:
        return f"{about_dollars(tally.cost)} (an estimate, at the batch price)"
    return "not known: the price list does not have the model" if tally.succeeded else "nothing"


def _places(job: Job, tally: Tally, place: Place) -> list[str]:
    rows = []
    if tally.tables or tally.lost_table:
        rows.append(f"Table       {tally.lost_table or place.uri(job.job_id, tally.tables[0])}")
    rows.append(f"Results     {place.uri(job.job_id, 'results.jsonl')}")
    if tally.errored:
        rows.append(f"Errors      {place.uri(job.job_id, 'errors.jsonl')}")
    if tally.rejected:
        rows.append(f"Rejected    {place.uri(job.job_id, 'rejected.jsonl')}")
    rows.append(f"Report      {place.uri(job.job_id, 'report.html')}")
    if place.region:
        rows.append(f"Open        {place.console(job.job_id, 'report.html')}")
        rows.append(f"All files   {place.console(job.job_id)}")
    return rows


def _next_steps(tally: Tally) -> list[str]:
    steps = [f"- {each.status}: {each.advice}" for each, _ in ranked_incomplete(tally.incomplete)]
    steps += [f"  {count(number, 'answer')}: {misfit}" for misfit, number in ranked(tally.misfits)[:_SHOWN]]
    for name, _ in ranked(tally.errors):
        steps.append(f"- {name}: {advice_for(name)}")
        steps += [
            f"  Claude says ({count(number, 'request')}): {sentence}"
            for sentence, number in ranked(tally.said.get(name, {}))
        ]
    if hint := retry_hint(tally.errors):
        steps.append(f"- To run them again: {hint}")
    if tally.rejected:
        first = f" The first is {tally.first_rejection}" if tally.first_rejection else ""
        steps.append(f"- Rejected lines: rejected.jsonl says for each its number, the reason and its text.{first}")
        steps += [f"  {other[:1].upper()}{other[1:]}" for other in tally.other_rejections]
    return ["", "What to do", *steps] if steps else []


def _held(job: Job) -> tuple[_Headline, list[str]]:
    kind = job.hold.kind if job.hold else "unknown"
    reason = job.hold.reason if job.hold else "No reason was kept."
    body = [f"{_name(job)} waits for you. Nothing is lost, and nothing more is sent until you decide.", "", reason]
    if job.plan:
        body += ["", f"Requests    {count(job.plan.requests)}", f"Rejected    {count(job.plan.rejected)}"]
        body.append(f"Cost        {about_dollars(job.plan.estimated_cost)} (an estimate)")
    return ("Held", _KIND_WORDS.get(kind, kind)), [*body, *_notes(job), *release_steps(job)]


def _notes(job: Job) -> list[str]:
    notes = job.plan.notes if job.plan else ()
    return ["", "To know", *(f"- {note}" for note in notes)] if notes else []


def release_steps(job: Job) -> list[str]:
    """Return exactly how to let a held job go on, or end it."""
    bucket = job.upload.bucket
    return [
        "",
        "To let it go on, either",
        f"- drop an empty object named {job.job_id}.release in the Inbox:",
        f"  aws s3api put-object --bucket {bucket} --key {job.job_id}.release",
        f"- or call the API, at the stack's output ApiUrl: POST /v1/jobs/{job.job_id}/release",
        "To end it instead, either",
        *_cancel_steps(job),
    ]


def _cancel_steps(job: Job) -> list[str]:
    return [
        f"- drop an empty object named {job.job_id}.cancel in the Inbox:",
        f"  aws s3api put-object --bucket {job.upload.bucket} --key {job.job_id}.cancel",
        f"- or call the API, at the stack's output ApiUrl: POST /v1/jobs/{job.job_id}/cancel",
    ]


def _delayed(job: Job, event: str, now: float) -> tuple[_Headline, list[str]]:
    age, still = duration(now - job.received_at), duration(now - job.moved_at)
    if event == LATE:
        what = (
            f"{_name(job)} was dropped {age} ago and is not done yet. "
            "No action needed; you'll get an email when it finishes."
        )
        steps = ["", "To end it instead, either", *_cancel_steps(job)]
        return ("Late", f"not done after {age}"), [what, "", *_progress(job), *steps]
    what = f"{_name(job)} has not moved for {still}. Its unfinished steps were restarted."
    steps = ["", "What to do", "- If this comes again, look at the dead-letter queues and the logs of the stack."]
    steps += ["To end it instead, either", *_cancel_steps(job)]
    return ("Stuck", f"has not moved for {still}"), [what, "", *_progress(job), *steps]


def _progress(job: Job) -> list[str]:
    rows = [f"State       {job.status}"]
    if job.plan:
        rows.append(f"Shards      {count(job.open_shards)} of {count(job.plan.shards)} not done")
        rows.append(f"Requests    {count(job.plan.requests)}")
    return rows


def _failed(job: Job) -> tuple[_Headline, list[str]]:
    reason = job.failure or "The file could not be run."
    steps = ["", "What to do", "- Correct the file and drop it again. Nothing was sent to Claude, nothing was spent."]
    return ("Failed", reason), [f"{_name(job)} cannot be run.", "", reason, *steps]


def _name(job: Job) -> str:
    return one_line(job.upload.key.rpartition("/")[2] or job.upload.key)


def _mail_name(job: Job) -> str:
    """Name the file in ASCII, as the subject of a mail has to (SNS: Publish): its job, where too little can be said."""
    name = sayable(_name(job))
    if name.isascii():
        return name
    said = _UNSAYABLE.sub("...", name)
    stem, _, ending = said.partition(".") if not said.startswith("...") else said.rpartition(".")
    if sum(map(str.isalnum, stem)) >= _LEAST_LETTERS:
        return said
    return f"{job.job_id} (.{ending} file)" if ending.isalnum() else job.job_id


def _subject(outcome: str, name: str, rest: str) -> str:
    """Fit a subject, shortening the file's name before the counts."""
    room = max(min(MAX_SUBJECT - len(outcome) - len(rest) - 6, _NAME_LENGTH), 12)
    return f"{outcome}: {name if len(name) <= room else name[: room - 3] + '...'} - {rest}"
