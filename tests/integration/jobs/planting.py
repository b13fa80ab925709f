"""Jobs put into the table as planning leaves them, for tests of what comes after it."""

from __future__ import annotations

import json
from collections.abc import Sequence

from sluice.jobs.body import body_length
from sluice.jobs.model import Job, Plan, Shard, ShardRef, Source, nonce_of, work_key
from tests.integration.jobs.world import World

MODEL = "claude-haiku-5-5"


def request_line(custom_id: str, prompt: str = "Name a river.") -> bytes:
    """A line as ``batches.create`` takes it, with its newline."""
    params = {"model": MODEL, "max_tokens": 50, "messages": [{"role": "user", "content": prompt}]}
    return json.dumps({"custom_id": custom_id, "params": params}).encode() + b"\n"


def plant_job(world: World, sizes: Sequence[int] = (2,), *, key: str = "rivers.jsonl", started: bool = True) -> Job:
    """Make a job with a shard of each size, running or, where it is not ``started``, planned."""
    lines = [request_line(f"r-{number}", f"Name river {number}.") for number in range(sum(sizes))]
    upload = world.upload(key, b"".join(lines), notify=False)
    table, services = world.table, world.services()
    job = table.claim(upload, world.clock.now())
    plan = Plan(f"work/{job.job_id}/plan.jsonl", len(lines), len(lines), 0, len(sizes), 0.1, models=(MODEL,))
    job = table.record_plan(job.job_id, plan, world.clock.now())
    first = position = 0
    for number, size in enumerate(sizes):
        chunk = lines[first : first + size]
        ref = ShardRef(job.job_id, number, 0)
        ids_key = work_key(job.job_id, "ids", f"{number:05d}")
        ids = b"".join(f"r-{each}\n".encode() for each in range(first, first + size))
        services.objects.put(services.settings.outbox, ids_key, ids)
        end = position + sum(map(len, chunk))
        nonce = nonce_of(ref, upload.bucket)
        source = Source(upload.bucket, upload.key, upload.version, position, end - 1)
        length = body_length(end - position, chunk[0], nonce)
        table.create_shards([Shard(ref, source, size, length, ids_key, nonce, moved_at=world.clock.now())])
        first, position = first + size, end
    return table.start(job.job_id, len(sizes), world.clock.now()) if started else job


def refs(job: Job, count: int) -> list[ShardRef]:
    return [ShardRef(job.job_id, number, 0) for number in range(count)]
