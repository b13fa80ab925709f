"""How a file that was announced comes in: links for it, whole or by parts, and the end of an upload by parts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import islice
from typing import Any

from sluice.aws.s3 import ObjectInfo
from sluice.aws.s3_links import ONE_PUT_BYTES, ObjectLinks, UploadedPart, part_size_of
from sluice.errors import Conflict, InvalidRequest, ObjectNotFound
from sluice.jobs.model import Job, JobStatus, Ticket, Upload
from sluice.jobs.services import Services
from sluice.jobs.tickets import take_arrival
from sluice.timestamps import rfc3339

# A link is used at once; whoever takes longer asks for another.
_LINK_SECONDS = 3600
# Links to parts in one answer: a link has a kilobyte and a half.
_PARTS_PAGE = 100


def needs_parts(size: int) -> bool:
    """Return whether a file of that many bytes is uploaded by parts."""
    return size > ONE_PUT_BYTES


@dataclass(frozen=True, slots=True)
class Uploads:
    """Raises Conflict where no file is waited for any more, and AwsError."""

    services: Services

    def begin(self, key: str, size: int) -> str | None:
        """Begin the upload of a file; return its id where it goes by parts."""
        return self._links(key).begin() if needs_parts(size) else None

    def describe(self, job: Job, after: int = 0) -> dict[str, Any]:
        """Return how to upload the file of a job: one link, or links to the next parts that have not come."""
        ticket = _open_ticket(job)
        left = int(ticket.open_until - self.services.now())
        if left < 1:
            raise Conflict(f"Job {job.job_id} was announced too long ago; announce it again.")
        seconds = min(_LINK_SECONDS, left)
        expires_at = rfc3339(self.services.now() + seconds)
        links = self._links(job.upload.key)
        if ticket.upload_id is None:
            url = links.put(ticket.size, seconds)
            headers = {"content-length": str(ticket.size)}
            return {"method": "PUT", "url": url, "headers": headers, "expires_at": expires_at}
        return {
            **self._parts(links, ticket, ticket.upload_id, after, seconds),
            "complete_url": f"{ticket.status_url}/upload/complete",
            "expires_at": expires_at,
        }

    def _parts(self, links: ObjectLinks, ticket: Ticket, upload_id: str, after: int, seconds: int) -> dict[str, Any]:
        size = part_size_of(ticket.size)
        count = -(-ticket.size // size)
        if not 0 <= after <= count:
            raise InvalidRequest(f"after: has to be a part, from 0 to {count}.")
        sizes = _part_sizes(ticket.size)
        come = {part.number for part in links.parts(upload_id) if part.size == sizes.get(part.number)}
        missing = (number for number in range(after + 1, count + 1) if number not in come)
        page = list(islice(missing, _PARTS_PAGE))
        more = next(missing, None) is not None
        return {
            "method": "PUT",
            "part_size": size,
            "parts": count,
            "parts_uploaded": len(come),
            "links": [
                {"part": number, "size": sizes[number], "url": links.part(upload_id, number, sizes[number], seconds)}
                for number in page
            ],
            "next_url": f"{ticket.status_url}/upload?after={page[-1]}" if more else None,
        }

    def complete(self, job: Job) -> Job:
        """Make the file of its parts, all of which have come. A repetition finds it made."""
        ticket = job.ticket
        if ticket is None or ticket.upload_id is None:
            raise Conflict(f"The file of job {job.job_id} is not uploaded by parts: nothing has to be completed.")
        if job.status is not JobStatus.AWAITING_UPLOAD and job.upload.etag:
            return job
        _open_ticket(job)
        links = self._links(job.upload.key)
        try:
            parts = links.parts(ticket.upload_id)
            _check_parts(parts, _part_sizes(ticket.size))
            return self._note(job, links.complete(ticket.upload_id, parts))
        except ObjectNotFound:
            # An earlier call has completed it, and died before it noted that. S3 tells the planner of the file.
            return self.services.jobs.find(job.job_id) or job

    def take(self, job: Job, file: bytes) -> Job:
        """Store a file that came with the call that announced it."""
        _open_ticket(job)
        return self._note(job, self._links(job.upload.key).store(file))

    def _note(self, job: Job, made: ObjectInfo) -> Job:
        """Note that a file has come. S3 tells the planner of it too: whoever is first does."""
        upload = Upload(job.upload.bucket, made.key, made.version, made.etag, made.size)
        return take_arrival(self.services, upload) or job

    def drop(self, job: Job) -> None:
        """Forget the parts that have come of a file that is not waited for any more."""
        if job.ticket and job.ticket.upload_id:
            self._links(job.upload.key).abort(job.ticket.upload_id)

    def _links(self, key: str) -> ObjectLinks:
        return ObjectLinks(self.services.s3, self.services.settings.inbox, key)


def _open_ticket(job: Job) -> Ticket:
    if job.ticket is None or job.status is not JobStatus.AWAITING_UPLOAD:
        raise Conflict(f"Job {job.job_id} waits for no file: it is {job.status}.")
    return job.ticket


def _part_sizes(size: int) -> Mapping[int, int]:
    """Return the bytes of each part by its number, from 1."""
    each = part_size_of(size)
    return {number: min(each, size - start) for number, start in enumerate(range(0, size, each), 1)}


def _check_parts(parts: list[UploadedPart], sizes: Mapping[int, int]) -> None:
    come = {part.number: part.size for part in parts}
    if missing := sorted(sizes.keys() - come.keys()):
        listed = ", ".join(map(str, missing[:10]))
        raise Conflict(f"Of {len(sizes)} parts, {len(missing)} have not come: {listed}.")
    for number, size in sorted(come.items()):
        if size != sizes.get(number):
            raise Conflict(f"Part {number} has {size} bytes, and {sizes.get(number, 0)} were announced. Send it again.")
