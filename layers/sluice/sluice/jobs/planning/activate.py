"""From a plan to work under way: the shards into the table, the job running, a message for each shard."""

from __future__ import annotations

from dataclasses import replace

from sluice.errors import ConditionFailed
from sluice.jobs.batches.control import send_on
from sluice.jobs.manifest import read_shards
from sluice.jobs.model import Job, JobStatus
from sluice.jobs.services import Services


def activate(services: Services, job: Job) -> Job:
    """planned -> running, and on to what comes next. Can be repeated after a crash at any line, and side by side."""
    if job.status is JobStatus.PLANNED and job.plan:
        now = services.now()
        shards = read_shards(services.objects, services.settings.outbox, job.plan.manifest_key)
        services.table.create_shards(replace(shard, moved_at=now) for shard in shards)
        try:
            job = services.table.start(job.job_id, job.plan.shards, now)
        except ConditionFailed:
            job = services.table.job(job.job_id) or job
    if job.status is JobStatus.RUNNING:
        send_on(services, job)
    return job
