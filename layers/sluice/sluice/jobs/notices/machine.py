"""What machines read of a job: the detail of a notice, and the summary of a job that could not be run. Without I/O."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import Any
from urllib.parse import quote

from sluice.jobs.model import Job
from sluice.timestamps import rfc3339

# Of each partition of AWS.
_CONSOLES = {
    "aws": "console.aws.amazon.com",
    "aws-us-gov": "console.amazonaws-us-gov.com",
    "aws-cn": "console.amazonaws.cn",
}


@dataclass(frozen=True, slots=True)
class Place:
    """Where a job's files lie. ``region`` and ``partition`` of AWS make the console's links; no region: no link."""

    outbox: str
    region: str = ""
    partition: str = "aws"

    def uri(self, job_id: str, name: str = "") -> str:
        return f"s3://{self.outbox}/{job_id}/{name}"

    def console(self, job_id: str, name: str = "") -> str:
        """Return a link that shows a job's folder in the console, or one file of it."""
        kind = "object" if name else "buckets"
        where = quote(f"{job_id}/{name}", safe="/")
        host = f"{self.region}.{_CONSOLES.get(self.partition, _CONSOLES['aws'])}"
        return f"https://{host}/s3/{kind}/{self.outbox}?region={self.region}&prefix={where}"


def machine_detail(job: Job, event: str, notification_id: str, place: Place) -> dict[str, Any]:
    """Return a notice as machines get it."""
    upload, tally = job.upload, job.tally
    detail: dict[str, Any] = {
        "notification_id": notification_id,
        "event": event,
        "outcome": str(job.status),
        "job_id": job.job_id,
        "bucket": upload.bucket,
        "key": upload.key,
        "version": upload.version,
        "folder": upload.folder,
        "received_at": job.received_at,
    }
    if tally:
        detail |= {"lines": tally.lines, "succeeded": tally.succeeded, "errored": tally.errored}
        detail |= {"rejected": tally.rejected, "balanced": tally.balanced, "errors": dict(tally.errors)}
        detail |= {"waves": tally.waves, "estimated_cost_usd": round(tally.cost, 6)}
        detail |= {"seconds": round((job.finished_at or job.moved_at) - job.received_at, 3)}
        detail |= {"answered": tally.answered, "incomplete": dict(tally.incomplete), "misfits": dict(tally.misfits)}
        detail |= {"error_messages": {name: dict(some) for name, some in tally.said.items()}}
        detail |= {"rejected_reasons": dict(tally.reasons), "files": _files(job, place)}
    if job.hold:
        detail["hold"] = {"kind": job.hold.kind, "reason": job.hold.reason}
    if job.failure:
        detail["failure"] = job.failure
    return detail


def _files(job: Job, place: Place) -> dict[str, str]:
    """Map what each file of an ended job is to where it lies."""
    names = ["results.jsonl", "errors.jsonl", "rejected.jsonl", "summary.json", "report.html"]
    files = {name.partition(".")[0]: place.uri(job.job_id, name) for name in names}
    tables = job.tally.tables if job.tally else ()
    return files | {name.rpartition(".")[2]: place.uri(job.job_id, name) for name in tables}


def write_failure(job: Job) -> bytes:
    """Encode the summary.json of a job that could not be run: nothing was sent, so there is nothing to count."""
    moments = {"received_at": job.received_at, "finished_at": job.finished_at}
    summary = {
        "job_id": job.job_id,
        "status": str(job.status),
        "input": asdict(job.upload),
        "failure": job.failure,
        "times": {name: rfc3339(moment, "seconds") for name, moment in moments.items() if moment is not None},
    }
    return json.dumps(summary, indent=2, ensure_ascii=False).encode() + b"\n"
