"""A job as JSON: for those who ask of it over HTTP, and for those who are called back. Without I/O.

Times are RFC 3339 in UTC, costs US dollars, estimated.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict
from typing import Any

from sluice.jobs.model import Job, JobStatus
from sluice.jobs.progress import JobProgress
from sluice.timestamps import rfc3339


def job_view(job: Job) -> dict[str, Any]:
    """Show a job."""
    view: dict[str, Any] = {
        "id": job.job_id,
        "type": "job",
        "status": str(job.status),
        "owner": job.owner,
        "filename": job.upload.key.rpartition("/")[2],
        "folder": job.upload.folder,
        "size": job.upload.size,
        "bucket": job.upload.bucket,
        "key": job.upload.key,
        "version": job.upload.version,
        "created_at": rfc3339(job.created_at or job.received_at),
        "received_at": None if job.status is JobStatus.AWAITING_UPLOAD else rfc3339(job.received_at),
        "started_at": rfc3339(job.started_at),
        "finished_at": rfc3339(job.finished_at),
        "deleted_at": rfc3339(job.deleted_at),
        "retried_as": job.retried_as,
        "cancel_requested": job.cancel_requested,
        "hold": asdict(job.hold) if job.hold else None,
        "failure": job.failure,
        "plan": None,
        "tally": asdict(job.tally) if job.tally else None,
        "metadata": None,
        "status_url": None,
        "callback": _callback(job),
    }
    if job.plan:
        view["plan"] = {name: value for name, value in asdict(job.plan).items() if name != "manifest_key"}
    if job.ticket:
        view["status_url"] = job.ticket.status_url
        view["metadata"] = json.loads(job.ticket.metadata) if job.ticket.metadata else None
        if job.status is JobStatus.AWAITING_UPLOAD:
            view["expires_at"] = rfc3339(job.ticket.open_until)
    return view


def _callback(job: Job) -> dict[str, Any] | None:
    if job.ticket is None or job.ticket.callback_url is None:
        return None
    return {
        "url": job.ticket.callback_url,
        "status": job.callback,
        "event": job.callback_event,
        "attempts": job.callback_attempts,
        "error": job.callback_error,
        "delivered_at": rfc3339(job.delivered_at),
    }


def progress_view(progress: JobProgress) -> dict[str, Any]:
    """Show progress: whole seconds."""
    left = progress.seconds_left
    return {
        **asdict(progress),
        "elapsed": round(progress.elapsed),
        "seconds_left": None if left is None else round(left),
    }


def costs_view(job: Job, spent: float) -> dict[str, float | None]:
    """Show what a job was expected to cost, may cost at most, and has cost so far."""
    plan = job.plan
    return {
        "estimated_usd": round(plan.estimated_cost, 6) if plan else None,
        "worst_usd": round(plan.worst_cost, 6) if plan else None,
        "spent_usd": round(job.tally.cost if job.tally else spent, 6),
    }


def files_view(job_url: str, names: Iterable[str]) -> dict[str, str]:
    """Show where each file of a job can be had."""
    return {name: f"{job_url}/files/{name}" for name in names}
