"""Jobs as the API shows them."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from sluice.jobs.model import Job
from sluice.jobs.progress import Progress
from sluice.tasks.views import iso_time


def job_view(job: Job) -> dict[str, Any]:
    """Show a job: times as RFC 3339, costs in US dollars, estimated."""
    view: dict[str, Any] = {
        "id": job.job_id,
        "type": "job",
        "status": str(job.status),
        "bucket": job.upload.bucket,
        "key": job.upload.key,
        "version": job.upload.version,
        "received_at": iso_time(job.received_at),
        "started_at": iso_time(job.started_at) if job.started_at else None,
        "finished_at": iso_time(job.finished_at) if job.finished_at else None,
        "cancel_requested": job.cancel_requested,
        "hold": asdict(job.hold) if job.hold else None,
        "failure": job.failure,
        "plan": None,
        "tally": asdict(job.tally) if job.tally else None,
    }
    if job.plan:
        view["plan"] = {name: value for name, value in asdict(job.plan).items() if name != "manifest_key"}
    return view


def progress_view(progress: Progress) -> dict[str, Any]:
    """Show progress: whole seconds."""
    left = progress.seconds_left
    return {
        **asdict(progress),
        "elapsed": round(progress.elapsed),
        "seconds_left": None if left is None else round(left),
    }
