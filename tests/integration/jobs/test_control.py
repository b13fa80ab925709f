"""What a person asks of a job, and what stops all of them."""

from __future__ import annotations

import contextlib
import json
from typing import Any

import boto3
import pytest

from simulator.client import Hide, Match, Refuse
from sluice.jobs.control import cancel_job, release_job
from sluice.jobs.model import JobStatus, ShardStatus
from sluice.notify.channels import SnsChannel
from sluice.notify.notice import Notice
from tests.integration.jobs.job_maker import make_job, request_line, submit_job
from tests.integration.jobs.world import World
from tests.world.calls import Crash

CREATE = Match(operation="batches.create")


def call_api(world: World, method: str, path: str) -> tuple[int, dict[str, Any]]:
    """Call the API as a signed call of its Function URL does."""
    http = {"method": method, "path": path, "sourceIp": "127.0.0.1", "protocol": "HTTP/1.1", "userAgent": "test"}
    signed = {"iam": {"userArn": "arn:aws:iam::123456789012:user/tester", "accountId": "123456789012"}}
    context = {
        "http": http,
        "accountId": "123456789012",
        "stage": "$default",
        "authorizer": signed,
        "domainName": "test.lambda-url.us-east-1.on.aws",
    }
    event = {"version": "2.0", "rawPath": path, "rawQueryString": "", "headers": {}, "requestContext": context}
    answer = world.invoke("serve_api", event)
    assert answer is not None
    return answer["statusCode"], json.loads(answer["body"])


def totals(world: World, job_id: str) -> tuple[int, int, int, int]:
    tally = world.job(job_id).tally
    assert tally is not None
    assert tally.balanced
    return tally.lines, tally.succeeded, tally.errored, tally.rejected


def test_a_cancelled_job_ends_its_batches_and_never_sends_the_rest(world: World) -> None:
    world.simulator.set(batch_seconds=7200)
    job = make_job(world, (2, 2, 2))
    for number in range(2):
        world.send("SubmitQueue", {"job_id": job.job_id, "shard": number, "wave": 0})
    world.deliver_all()
    done, _, _ = world.shards(job.job_id)
    world.simulator.end_batch(done.batch_id or "")

    cancel_job(world.services("ServeApi"), job.job_id)
    world.run_until_idle()

    assert world.job(job.job_id).status is JobStatus.CANCELLED
    assert totals(world, job.job_id) == (6, 2, 4, 0)
    assert len(world.paid_batches()) == 2
    assert [notice["event"] for notice in world.notices] == ["job.cancelled"]


def test_many_batches_are_cancelled_over_several_polls(world: World) -> None:
    job_id = submit_job(world, (1, 1, 1))
    world.simulator.set(cancel_seconds=600)
    fault = world.simulator.fail(Refuse(status=529), Match(operation="batches.cancel"), skip=1)
    cancel_job(world.services("ServeApi"), job_id)

    world.poll()
    world.simulator.heal(fault)
    world.poll()
    world.poll()

    cancels = [call for call in world.simulator.requests("batches.cancel") if call.status == 200]
    assert len({call.path for call in cancels}) == len(cancels) == 3


def test_a_cancelled_job_that_was_only_received_is_never_sent(world: World) -> None:
    upload = world.upload("rivers.jsonl", request_line("a") + request_line("b"))
    world.job_table.claim(upload, world.clock.now())

    cancel_job(world.services("ServeApi"), upload.job_id)
    world.run_until_idle()

    assert world.job(upload.job_id).status is JobStatus.CANCELLED
    assert totals(world, upload.job_id) == (2, 0, 2, 0)
    assert world.paid_batches() == []


def test_a_cancelled_job_that_was_planned_is_never_sent(world: World) -> None:
    job = make_job(world, (2,), started=False)

    cancel_job(world.services("ServeApi"), job.job_id)
    world.run_until_idle()

    assert world.job(job.job_id).status is JobStatus.CANCELLED
    assert world.paid_batches() == []


def test_a_cancelled_job_ends_although_its_batch_was_deleted_at_claude(world: World) -> None:
    job_id = submit_job(world, (1, 1))
    kept, deleted = world.shards(job_id)
    for shard in (kept, deleted):
        world.simulator.end_batch(shard.batch_id or "")
    path = f".*{deleted.batch_id}.*"
    world.simulator.fail(Refuse(status=404), Match(path=path))
    world.simulator.fail(Hide(seconds=1e9), Match(operation="batches.list"))

    cancel_job(world.services("ServeApi"), job_id)
    world.run_until_idle()

    assert totals(world, job_id) == (2, 1, 1, 0)
    errors = [json.loads(line) for line in world.read("Outbox", f"{job_id}/errors.jsonl").splitlines()]
    assert errors[0]["result"]["error"]["error"]["type"] == "not_found_error"
    assert world.dead == []


def test_a_held_job_that_is_cancelled_ends(world: World) -> None:
    job_id = held_for_a_bad_key(world)

    cancel_job(world.services("ServeApi"), job_id)
    world.run_until_idle()

    assert world.job(job_id).status is JobStatus.CANCELLED
    assert world.paid_batches() == []


def held_for_a_bad_key(world: World, key: str = "rivers.jsonl", sizes: tuple[int, ...] = (1, 1)) -> str:
    """Leave a job held because Claude refused the key when it was to be submitted."""
    fault = world.simulator.fail(Refuse(status=401), CREATE)
    job = make_job(world, sizes, key=key)
    for number in range(len(sizes)):
        world.send("SubmitQueue", {"job_id": job.job_id, "shard": number, "wave": 0})
    world.deliver_all()
    world.simulator.heal(fault)
    assert world.job(job.job_id).status is JobStatus.HELD
    return job.job_id


def test_one_notice_tells_of_all_jobs_that_an_incident_holds(world: World) -> None:
    held_for_a_bad_key(world, "rivers.jsonl")
    held_for_a_bad_key(world, "lakes.jsonl")

    (notice,) = world.notices
    assert (notice["event"], [job["key"] for job in notice["jobs"]]) == ("incident.opened", ["rivers.jsonl"])


def test_releasing_one_job_ends_the_incident_and_all_that_it_holds_goes_on(world: World) -> None:
    jobs = [held_for_a_bad_key(world, "rivers.jsonl"), held_for_a_bad_key(world, "lakes.jsonl")]

    release_job(world.services("ServeApi"), jobs[0])
    world.run_until_idle()

    assert [world.job(job_id).status for job_id in jobs] == [JobStatus.FINISHED] * 2
    assert len(world.paid_batches()) == 4


def test_ending_the_incident_releases_its_jobs(world: World) -> None:
    job_id = held_for_a_bad_key(world)

    world.services().incidents.release("authentication_error")
    world.run_until_idle()

    assert world.job(job_id).status is JobStatus.FINISHED


def test_a_key_that_was_corrected_is_used_by_functions_that_hold_the_old_one(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The time between two readings of the secret is real time.
    monkeypatch.setattr("sluice.aws.secrets._RENEW_SECONDS", 0.0)
    world.simulator.fail(Refuse(status=401), Match(operation="batches.create", key="sk-ant-simulator"))
    job_id = submit_job(world)
    assert world.job(job_id).status is JobStatus.HELD

    secret = world.resources.attributes["ClaudeSecret", "Id"]
    boto3.client("secretsmanager").put_secret_value(SecretId=secret, SecretString="sk-ant-corrected")
    release_job(world.services("ServeApi"), job_id)
    world.run_until_idle()

    assert world.job(job_id).status is JobStatus.FINISHED
    assert [notice["event"] for notice in world.notices] == ["incident.opened", "job.finished"]


def test_a_hold_that_nobody_was_told_of_is_told_by_the_poller(world: World) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(SnsChannel, "send", die)
        held_for_a_bad_key(world)
    assert world.notices == []

    world.clock.advance(120)
    world.poll()
    world.poll()

    assert [notice["event"] for notice in world.notices] == ["incident.opened"]


def die(channel: SnsChannel, notice: Notice) -> None:
    raise Crash


def test_a_job_in_the_api_shows_its_progress_without_invention(world: World) -> None:
    job_id = submit_job(world, (1, 2))
    done, _ = world.shards(job_id)
    world.simulator.end_batch(done.batch_id or "")
    world.clock.advance(600)
    world.poll()
    world.deliver_all()

    status, shown = call_api(world, "GET", f"/v1/jobs/{job_id}")

    assert (status, shown["status"]) == (200, "running")
    progress = shown["progress"]
    assert (progress["requests"], progress["requests_ended"]) == (3, 1)
    assert {name: count for name, count in progress["shards"].items() if count} == {"collected": 1, "in_progress": 1}
    assert progress["elapsed"] >= 600
    assert progress["seconds_left"] is not None


def test_open_jobs_are_listed(world: World) -> None:
    job_id = submit_job(world)

    status, listed = call_api(world, "GET", "/v1/jobs")

    assert (status, [job["id"] for job in listed["data"]]) == (200, [job_id])


def test_the_api_releases_and_cancels(world: World) -> None:
    job_id = held_for_a_bad_key(world)

    assert call_api(world, "POST", f"/v1/jobs/{job_id}/release")[1]["status"] == "running"
    assert call_api(world, "POST", f"/v1/jobs/{job_id}/cancel")[1]["cancel_requested"] is True
    world.run_until_idle()
    assert [shard.status for shard in world.shards(job_id)] == [ShardStatus.COLLECTED] * 2


def test_the_api_says_why_it_does_not(world: World) -> None:
    job_id = submit_job(world)

    status, error = call_api(world, "POST", f"/v1/jobs/{job_id}/release")
    assert (status, error["error"]["type"]) == (409, "conflict_error")
    status, error = call_api(world, "GET", "/v1/jobs/none-000000000000")
    assert (status, error["error"]["type"]) == (404, "not_found_error")


@pytest.mark.parametrize("change", range(3))
def test_a_crash_while_a_held_job_is_cancelled_leaves_it_cancelled_or_as_it_was(world: World, change: int) -> None:
    job_id = held_for_a_bad_key(world)
    beginning = len(world.calls.made)
    world.calls.crash((beginning + 1 + change, False))

    with world.calls.running("serve_api"), contextlib.suppress(Crash):
        cancel_job(world.services("ServeApi"), job_id)
    assert world.calls.crashed
    if not world.job(job_id).cancel_requested:
        assert world.job(job_id).status is JobStatus.HELD
        release_job(world.services("ServeApi"), job_id)
    world.run_until_idle()

    assert world.job(job_id).status in (JobStatus.CANCELLED, JobStatus.FINISHED)
    assert world.dead == []


@pytest.mark.parametrize("change", range(4))
def test_a_crash_while_jobs_are_released_is_made_up_for(world: World, change: int) -> None:
    jobs = [held_for_a_bad_key(world, key) for key in ("rivers.jsonl", "lakes.jsonl")]
    # The first write that decides anything is the fourth call: what is done before it is done by whoever asks again.
    world.calls.crash((len(world.calls.made) + 3 + change, False))

    with world.calls.running("serve_api"), contextlib.suppress(Crash):
        release_job(world.services("ServeApi"), jobs[0])
    assert world.calls.crashed
    world.run_until_idle()

    assert [world.job(job_id).status for job_id in jobs] == [JobStatus.FINISHED] * 2
    assert len(world.paid_batches()) == 4
