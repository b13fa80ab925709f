"""Jobs and shards to test with."""

from __future__ import annotations

from typing import Any

from sluice.jobs.model import Job, JobStatus, Shard, ShardRef, ShardStatus, Source, Upload, nonce_of

NOW = 1_795_000_000.0
BUCKET = "inbox"


def an_upload(key: str = "folder/My Prompts.v2.jsonl", version: str | None = "v1") -> Upload:
    return Upload(BUCKET, key, version, "etag-1", 1234)


def a_job(status: JobStatus = JobStatus.RUNNING, **fields: Any) -> Job:
    return Job(**{"upload": an_upload(), "status": status, "received_at": NOW, "moved_at": NOW, **fields})


def a_shard(status: ShardStatus = ShardStatus.PLANNED, number: int = 0, wave: int = 0, **fields: Any) -> Shard:
    ref = ShardRef(an_upload().job_id, number, wave)
    source = Source(BUCKET, "folder/My Prompts.v2.jsonl", "v1", 0, 500)
    values = {"count": 10, "length": 512, "ids_key": "work/ids", "nonce": nonce_of(ref, BUCKET), "moved_at": NOW}
    return Shard(ref=ref, source=source, status=status, **{**values, **fields})
