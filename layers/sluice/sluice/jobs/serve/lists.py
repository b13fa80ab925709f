"""Lists of jobs, newest first: an owner's, or all of them, ended ones included."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import islice

from sluice.errors import InvalidRequest
from sluice.jobs.model import Job, JobStatus
from sluice.jobs.services import Services
from sluice.jobs.table import JobListing

DEFAULT_PAGE, MAX_PAGE = 20, 100
# A list with a rare status looks at this many jobs at most, then gives back where to go on.
_MOST_LOOKED_AT = 300
_PLACE = re.compile(r"\d{13}\.\d{3}#[a-z0-9-]{1,100}")


@dataclass(frozen=True, slots=True)
class JobFilter:
    """What is wanted: of a status, in a folder or below it, made at or after a moment (epoch seconds); None: any."""

    status: JobStatus | None = None
    folder: str | None = None
    since: float | None = None

    def takes(self, folder: str) -> bool:
        return self.folder is None or folder == self.folder or folder.startswith(f"{self.folder}/")


def parse_filter(query: Mapping[str, str]) -> JobFilter:
    """Read a query. Raises InvalidRequest naming the parameter."""
    folder = query.get("folder")
    return JobFilter(_status(query.get("status")), folder.strip("/") if folder else None, _since(query.get("since")))


def _status(value: str | None) -> JobStatus | None:
    try:
        return JobStatus(value) if value else None
    except ValueError:
        raise InvalidRequest(f"status: has to be one of {', '.join(JobStatus)}.") from None


def _since(value: str | None) -> float | None:
    if not value:
        return None
    try:
        # In a query, a plus that is not written %2B comes as a space.
        moment = datetime.fromisoformat(value.replace(" ", "+"))
    except ValueError:
        raise InvalidRequest("since: has to be a date or a time, such as 2026-11-26 or 2026-11-26T08:00:00Z.") from None
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()


@dataclass(frozen=True, slots=True)
class JobPage:
    """``last_id`` is where the next page begins, None after the last. A page may have fewer jobs than asked for."""

    jobs: tuple[Job, ...]
    last_id: str | None


@dataclass(frozen=True, slots=True)
class JobList:
    services: Services

    def page(self, owner: str | None, wanted: JobFilter, limit: int, after_id: str | None) -> JobPage:
        """Read a page of an owner's jobs, or of all. Raises InvalidRequest, and AwsError."""
        if not 1 <= limit <= MAX_PAGE:
            raise InvalidRequest(f"limit: has to be from 1 to {MAX_PAGE}.")
        if after_id is not None and not _PLACE.fullmatch(after_id):
            raise InvalidRequest("after_id: has to be the last_id of an earlier page.")
        found: list[Job] = []
        last_id = None
        listings = self._listings(owner, wanted, after_id)
        for listing in islice(listings, _MOST_LOOKED_AT):
            if len(found) == limit:
                return JobPage(tuple(found), last_id)
            last_id = listing.place
            job = self.services.jobs.find(listing.job_id) if wanted.takes(listing.folder) else None
            if job and wanted.status in (None, job.status):
                found.append(job)
        more = last_id is not None and next(listings, None) is not None
        return JobPage(tuple(found), last_id if more else None)

    def _listings(self, owner: str | None, wanted: JobFilter, after_id: str | None) -> Iterator[JobListing]:
        for listing in self.services.jobs.listings(owner, after_id, self.services.now(), wanted.since):
            if wanted.since is not None and listing.created_at < wanted.since:
                return
            yield listing
