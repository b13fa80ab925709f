"""Jobs that are announced over HTTP before their file comes: where the file goes, and how it finds its job.

A file has a folder of its own, named after the job, in the folder that the caller named:
``shop/reviews-0123456789abcdef01234567/reviews.csv``. So the settings of ``shop`` are found for it as for any file that
is dropped there, and nobody's upload is in the way of another.
"""

from __future__ import annotations

import re
import secrets
from dataclasses import replace

from sluice.errors import ConditionFailed, UnreadableInput
from sluice.jobs.model import Job, JobStatus, Upload, slug_of
from sluice.jobs.services import Services

# How long a file may be waited for. A link to upload it lives for less, and can be had again.
OPEN_SECONDS = 86_400.0
# An upload that began right before the end may take so much longer.
_GRACE_SECONDS = 3600.0
_TICKET_ID = re.compile(r"[a-z0-9][a-z0-9-]{0,31}-[0-9a-f]{24}")


def new_ticket_id(filename: str) -> str:
    """Make an id that cannot be guessed, and is no id that is derived of an upload (see ``Upload.job_id``)."""
    return f"{slug_of(filename)}-{secrets.token_hex(12)}"


def announced_key(folder: str, ticket_id: str, filename: str) -> str:
    """Return the key under which the file of a ticket has to arrive."""
    return "/".join((*filter(None, [folder]), ticket_id, filename))


def take_arrival(services: Services, upload: Upload) -> Job | None:
    """Find the job that an object was announced for, and note that it has come; None where it was not announced.

    Of several objects that come under one ticket, the first is the job's. One that comes too late changes nothing.
    """
    ticket_id = upload.key.rpartition("/")[0].rpartition("/")[2]
    job = services.jobs.find(ticket_id) if _TICKET_ID.fullmatch(ticket_id) else None
    if job is None or (job.upload.bucket, job.upload.key) != (upload.bucket, upload.key):
        return None
    if job.status is not JobStatus.AWAITING_UPLOAD:
        return job
    try:
        return services.jobs.arrive(job, replace(upload, ticket_id=ticket_id), services.now())
    except ConditionFailed:
        return services.jobs.find(ticket_id) or job


def check_size(job: Job) -> None:
    """Raise UnreadableInput where another file has come than was announced."""
    if job.ticket and job.ticket.size != job.upload.size:
        raise UnreadableInput(
            f"The upload has {job.upload.size} bytes, and {job.ticket.size} were announced. Nothing was run; announce "
            "it again with its size."
        )


def is_expired(job: Job, now: float) -> bool:
    """Return whether nobody waits for the file of a job any more."""
    waits = job.status is JobStatus.AWAITING_UPLOAD and job.ticket is not None
    return waits and job.ticket is not None and now > job.ticket.open_until + _GRACE_SECONDS
