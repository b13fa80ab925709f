"""Makes jobs as planning leaves them, for tests of what comes after it."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence

from sluice.jobs.job_settings import resolve_settings, write_settings
from sluice.jobs.model import Job, Plan, Shard, ShardRef, Source, Upload, nonce_of, work_key
from sluice.jobs.outbox import Manifest
from sluice.jobs.requests import body_length
from tests.integration.jobs.world import World

MODEL = "claude-haiku-5-5"


def request_line(custom_id: str, prompt: str = "Name a river.") -> bytes:
    """A line as ``batches.create`` takes it, with its newline."""
    params = {"model": MODEL, "max_tokens": 250, "messages": [{"role": "user", "content": prompt}]}
    return json.dumps({"custom_id": custom_id, "params": params}).encode() + b"\n"


def make_job(world: World, sizes: Sequence[int] = (2,), *, key: str = "rivers.jsonl", started: bool = True) -> Job:
    """Make a job with a shard of each size, running or, where it is not ``started``, planned."""
    lines = [request_line(f"r-{number}", f"Name river {number}.") for number in range(sum(sizes))]
    upload = world.upload(key, b"".join(lines), notify=False)
    services, table, now = world.services(), world.job_table, world.clock.now()
    job = table.claim(upload, now)
    effective = resolve_settings(services.s3, services.settings, upload)
    settings_key = write_settings(services.outbox, upload, effective, "test")
    shards = list(_shards(world, upload, lines, sizes))
    manifest_key = services.outbox.write_manifest(job.job_id, "test", Manifest(), shards)
    plan = Plan(manifest_key, len(lines), len(lines), 0, len(sizes), 0.1, models=(MODEL,))
    job = table.record_plan(job, plan, now, settings_key=settings_key)
    if not started:
        return job
    world.shard_table.create(shards)
    return table.start(job.job_id, len(sizes), now)


def _shards(world: World, upload: Upload, lines: Sequence[bytes], sizes: Sequence[int]) -> Iterator[Shard]:
    services = world.services()
    first = position = 0
    for number, size in enumerate(sizes):
        chunk = lines[first : first + size]
        ref = ShardRef(upload.job_id, number, 0)
        ids_key = work_key(upload.job_id, "ids", f"{number:05d}")
        ids = b"".join(b"r-%d\n" % each for each in range(first, first + size))
        services.outbox.put(ids_key, ids)
        end = position + sum(map(len, chunk))
        nonce = nonce_of(ref, upload.bucket)
        source = Source(upload.bucket, upload.key, upload.version, position, end - 1)
        length = body_length(end - position, chunk[0], nonce)
        yield Shard(ref, source, size, length, ids_key, nonce, moved_at=world.clock.now())
        first, position = first + size, end


def submit_job(world: World, sizes: Sequence[int] = (2,), *, key: str = "rivers.jsonl") -> str:
    """Make a job and submit its shards; their batches take two hours."""
    world.simulator.set(batch_seconds=7200)
    job = make_job(world, sizes, key=key)
    for ref in refs(job, len(sizes)):
        world.send("SubmitQueue", ref.message())
    world.deliver_all()
    return job.job_id


def refs(job: Job, count: int) -> list[ShardRef]:
    return [ShardRef(job.job_id, number, 0) for number in range(count)]
