"""What can be read of one job: where it stands, what it costs, and its files by links that live for minutes."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from sluice.aws.s3_links import ObjectLinks
from sluice.errors import NotFound, ObjectNotFound
from sluice.jobs.model import Job, JobStatus
from sluice.jobs.progress import average_batch_seconds, progress_of
from sluice.jobs.services import Services
from sluice.jobs.views import costs_view, files_view, job_view, progress_view
from sluice.timestamps import rfc3339

_LINK_SECONDS = 300
_FILE_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")


@dataclass(frozen=True, slots=True)
class JobReading:
    """Raises RequestErrors, and AwsErrors. Who may read is asked before."""

    services: Services

    def view(self, job: Job, base_url: str) -> dict[str, Any]:
        """Show all of a job: what was planned, how far it is, what it cost, where its files are."""
        services = self.services
        shards = list(services.shards.of_job(job.job_id))
        progress = progress_of(job, shards, average_batch_seconds(services.dynamodb), services.now())
        spent = sum(tokens.cost for shard in shards if shard.outcome for tokens in shard.outcome.tokens.values())
        url = f"{services.settings.api_base_url.rstrip('/') or base_url}/v1/jobs/{job.job_id}"
        return {
            **job_view(job),
            "progress": progress_view(progress),
            "costs": costs_view(job, spent),
            "files": files_view(url, self._names(job)),
        }

    def _names(self, job: Job) -> list[str]:
        if not job.status.final or job.status in (JobStatus.EXPIRED, JobStatus.DELETED):
            return []
        folder = f"{job.job_id}/"
        return [each.key.removeprefix(folder) for each in self.services.s3.list(self.services.outbox.bucket, folder)]

    def link(self, job: Job, name: str) -> dict[str, Any]:
        """Sign a link to a file of a job. Raises NotFound where there is none of that name."""
        outbox = self.services.outbox
        missing = NotFound(f"Job {job.job_id} has no file {name[:100]!r}.")
        if not _FILE_NAME.fullmatch(name) or job.status in (JobStatus.DELETING, JobStatus.DELETED):
            raise missing
        key = f"{job.job_id}/{name}"
        try:
            outbox.s3.head(outbox.bucket, key)
        except ObjectNotFound:
            raise missing from None
        # The page is there to be looked at, what else there is to be kept.
        how = "inline" if name.endswith(".html") else "attachment"
        url = ObjectLinks(outbox.s3, outbox.bucket, key).get(_LINK_SECONDS, f'{how}; filename="{name}"')
        return {"url": url, "expires_at": rfc3339(self.services.now() + _LINK_SECONDS)}
