"""Planning, as its function is deployed: from an upload to shards that are sent."""

from __future__ import annotations

import gzip
import json
from typing import Any

from sluice.jobs.body import batch_body
from sluice.jobs.manifest import read_manifest
from sluice.jobs.model import Job, JobStatus, Upload
from sluice.jobs.source import read_lines
from tests.integration.jobs.planting import MODEL, request_line
from tests.integration.jobs.world import Letter, World, notification


def plan(world: World, key: str, data: bytes) -> Job:
    """Drop a file and let it be planned, as often as the planning asks for it."""
    upload = world.upload(key, data)
    return plan_on(world, upload)


def plan_on(world: World, upload: Upload) -> Job:
    while letters := [letter for letter in world.due() if letter.queue == "PlanQueue"]:
        assert world.deliver(letters[0])
    return world.job(upload.job_id)


def bodies(world: World, job: Job) -> list[Any]:
    """Decode the bodies that would be sent, their lengths checked against what was foretold."""
    services = world.services("SubmitShard")
    decoded = []
    for shard in world.shards(job.job_id):
        lines = read_lines(services.objects, shard.source, services.settings.outbox)
        body = b"".join(batch_body(lines, shard.nonce))
        assert len(body) == shard.length
        requests = json.loads(body)["requests"]
        ids = services.objects.get(services.settings.outbox, shard.ids_key).decode().split()
        assert requests[0]["custom_id"] == shard.nonce
        assert [each["custom_id"] for each in requests[1:]] == ids[1:]
        assert shard.count == len(requests) == len(ids)
        decoded += [requests[0] | {"custom_id": ids[0]}, *requests[1:]]
    return decoded


def rejected(world: World, job: Job) -> list[Any]:
    services = world.services("FinishJob")
    outbox = services.settings.outbox
    assert job.plan is not None
    manifest = read_manifest(services.objects, outbox, job.plan.manifest_key)
    lines = b"".join(services.objects.get(outbox, key) for key in manifest.rejected_keys)
    return [json.loads(line) for line in lines.splitlines()]


def test_an_upload_becomes_shards_and_messages(world: World) -> None:
    lines = [request_line(f"r-{number}") for number in range(5)]
    job = plan(world, "rivers.jsonl", b"".join(lines))
    assert job.status is JobStatus.RUNNING
    assert bodies(world, job) == [json.loads(line) for line in lines]
    assert [json.loads(letter.body) for letter in world.letters] == [{"job_id": job.job_id, "shard": 0, "wave": 0}]
    assert job.plan is not None
    assert (job.plan.lines, job.plan.requests, job.plan.rejected) == (5, 5, 0)


def test_bad_lines_are_put_aside_and_the_rest_runs(world: World) -> None:
    good = [request_line(f"r-{number}") for number in range(8)]
    data = b"".join([good[0], b"oops\n", *good[1:4], b"\n", *good[4:], b'{"custom_id":"x"}'])
    job = plan(world, "rivers.jsonl", data)
    assert job.status is JobStatus.RUNNING
    assert bodies(world, job) == [json.loads(line) for line in good]
    assert [(each["line"], each["text"]) for each in rejected(world, job)] == [
        (2, "oops"),
        (6, ""),
        (11, '{"custom_id":"x"}'),
    ]


def test_a_redelivered_upload_is_planned_once(world: World) -> None:
    upload = world.upload("rivers.jsonl", request_line("r-0"))
    body = world.letters[0].body
    plan_on(world, upload)
    world.letters.append(Letter("PlanQueue", body, world.clock.now()))
    plan_on(world, upload)
    assert len(world.shards(upload.job_id)) == 1


def test_packed_files_are_cut_into_shards_of_their_own(world: World) -> None:
    lines = [request_line(f"r-{number}") for number in range(3)]
    job = plan(world, "rivers.jsonl.gz", gzip.compress(b"".join(lines)))
    assert bodies(world, job) == [json.loads(line) for line in lines]
    assert MODEL in (job.plan.models if job.plan else ())


def test_the_same_file_dropped_again_is_another_job(world: World) -> None:
    first = plan(world, "rivers.jsonl", request_line("r-0"))
    second = plan(world, "rivers.jsonl", request_line("r-0"))
    assert first.job_id != second.job_id
    assert notification(first.upload) != notification(second.upload)
