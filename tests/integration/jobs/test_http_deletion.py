"""Jobs deleted with all that is theirs, and what failed run again."""

from __future__ import annotations

from typing import Any

import boto3
import pytest

from simulator.client import Match, Refuse, Result, Simulator
from sluice.jobs.model import JobStatus
from tests.integration.jobs.http_jobs import OPERATOR, Api, tell_of
from tests.integration.jobs.outputs import requests, run
from tests.integration.jobs.world import World, new_world


@pytest.fixture
def api(world: World) -> Api:
    return Api(world)


def keys_of(world: World, bucket: str) -> list[str]:
    """All versions of all objects, and the marks of deleted ones."""
    found: dict[str, Any] = dict(boto3.client("s3").list_object_versions(Bucket=world.resources.ids[bucket]))
    return [each["Key"] for each in (*found.get("Versions", []), *found.get("DeleteMarkers", []))]


def traces(world: World, job_id: str) -> list[str]:
    """What is left of a job, but for its item and its places in the lists."""
    items = boto3.client("dynamodb").scan(TableName=world.dynamodb.name)["Items"]
    of_job = [
        item["pk"]["S"] for item in items if item.get("job_id", {}).get("S") == job_id and item["sk"]["S"] != "JOB"
    ]
    left = [each for each in of_job if not each.startswith(("JOBS#", "CALLER#"))]
    left += [key for bucket in ("Inbox", "Outbox") for key in keys_of(world, bucket) if job_id in key]
    return left + [batch.id for batch in world.simulator.batches() if not batch.deleted]


def test_a_deleted_job_is_gone_here_and_at_claude_and_said_so(one_simulator: Simulator) -> None:
    with new_world(one_simulator, MaxShardRequests="2") as world:
        api = Api(world)
        world.simulator.fail(Result(error_type="overloaded_error"), Match(prompt="river 1."), times=1)
        job_id = api.upload(requests(5), settings={"limits": {"max_waves": 3}}, metadata={"name": "Ada"})
        world.run_until_idle()
        assert len(traces(world, job_id)) > 10

        answer = api.call("DELETE", f"/v1/jobs/{job_id}")
        assert (answer.status, answer.body["status"]) == (202, "deleting")
        assert api.call("GET", f"/v1/jobs/{job_id}/files/results.jsonl").status == 404
        world.run_until_idle()

        shown = api.job(job_id)
        assert (shown["status"], shown["files"], shown["filename"]) == ("deleted", {}, "")
        assert shown["deleted_at"]
        assert (shown["tally"], shown["metadata"], shown["plan"]) == (None, None, None)
        assert traces(world, job_id) == []
        assert api.ids("?status=deleted") == [job_id]
        assert api.call("DELETE", f"/v1/jobs/{job_id}").body["status"] == "deleted"
        assert api.call("GET", f"/v1/jobs/{job_id}/rows").status == 409


def test_of_a_key_that_was_used_twice_one_version_is_deleted(world: World, api: Api) -> None:
    first, second = run(world, requests(1)), run(world, requests(2))
    operator = api.as_(OPERATOR)
    operator.call("DELETE", f"/v1/jobs/{first}")
    world.run_until_idle()

    assert operator.job(first)["status"] == "deleted"
    assert keys_of(world, "Inbox") == ["rivers.jsonl"]
    assert operator.job(second)["tally"]["succeeded"] == 2
    world.upload("rivers.jsonl", requests(2), notify=False)
    assert world.job(first).status is JobStatus.DELETED


def test_what_has_not_ended_is_not_deleted(world: World, api: Api) -> None:
    waiting = api.announce(filename="a.jsonl", size=1).body["id"]
    running = api.upload(requests(1))
    world.deliver_all()
    for job_id in (waiting, running):
        assert api.call("DELETE", f"/v1/jobs/{job_id}").error == (409, "conflict_error")
        api.call("POST", f"/v1/jobs/{job_id}/cancel")
    world.run_until_idle()
    for job_id in (waiting, running):
        assert api.call("DELETE", f"/v1/jobs/{job_id}").status == 202
    world.run_until_idle()
    assert {api.job(job_id)["status"] for job_id in (waiting, running)} == {"deleted"}


def test_a_deletion_that_claude_does_not_take_yet_is_tried_again(world: World, api: Api) -> None:
    job_id = api.upload(requests(1))
    world.run_until_idle()
    world.simulator.fail(Refuse(status=529), Match(operation="batches.delete"), times=2)
    api.call("DELETE", f"/v1/jobs/{job_id}")
    world.run_until_idle()
    assert (api.job(job_id)["status"], traces(world, job_id)) == ("deleted", [])


@pytest.mark.timeout(600)
def test_a_crash_anywhere_in_a_deletion_is_made_up_for(one_simulator: Simulator) -> None:
    def deleted(crash_at: int | None) -> list[int]:
        with new_world(one_simulator) as world:
            api = Api(world)
            job_id = api.upload(requests(1))
            world.run_until_idle()
            before = len(world.calls.made)
            if crash_at is not None:
                world.calls.crash((before + crash_at, False))
            try:
                api.call("DELETE", f"/v1/jobs/{job_id}")
            except AssertionError:
                api.call("DELETE", f"/v1/jobs/{job_id}")
            world.run_until_idle()
            assert (api.job(job_id)["status"], traces(world, job_id)) == ("deleted", []), crash_at
            assert world.dead == []
            made = enumerate(world.calls.made[before:])
            return [number for number, call in made if call.step in ("delete_job", "serve_api") and call.changes]

    points = deleted(None)
    assert len(points) >= 8
    for crash_at in points:
        deleted(crash_at)


def tell_of_retry(world: World, answer: Any) -> None:
    found = boto3.client("s3").head_object(Bucket=world.resources.ids["Inbox"], Key=answer.body["key"])
    tell_of(world, answer.body["key"], found, found["ContentLength"])


def test_what_failed_runs_again_as_a_job_of_its_own_once(world: World, api: Api) -> None:
    fault = world.simulator.fail(Result(error_type="invalid_request_error"), Match(prompt="river 1."))
    job_id = api.upload(requests(3), folder="shop", settings={"betas": ["files-api-2025-04-14"]})
    world.run_until_idle()
    world.simulator.heal(fault)

    answer = api.call("POST", f"/v1/jobs/{job_id}/retry")
    assert answer.status == 201, answer.body
    assert (answer.body["status"], answer.body["folder"]) == ("received", "shop")
    again = api.call("POST", f"/v1/jobs/{job_id}/retry")
    assert again.body["id"] == answer.body["id"] == api.job(job_id)["retried_as"]
    tell_of_retry(world, answer)
    world.run_until_idle()

    shown = api.job(answer.body["id"])
    assert (shown["status"], shown["tally"]["succeeded"], shown["owner"]) == ("finished", 1, api.job(job_id)["owner"])
    asked = world.simulator.requests("batches.create")
    assert len(asked) == 2
    assert len(world.paid_batches()) == 2
    assert api.call("POST", f"/v1/jobs/{answer.body['id']}/retry").error == (409, "conflict_error")


def test_a_retry_that_was_given_up_can_be_made_again(world: World, api: Api) -> None:
    world.simulator.fail(Result(error_type="invalid_request_error"), Match(prompt="river 1."), times=1)
    job_id = api.upload(requests(3))
    world.run_until_idle()
    first = api.call("POST", f"/v1/jobs/{job_id}/retry")
    api.call("POST", f"/v1/jobs/{first.body['id']}/cancel")
    tell_of_retry(world, first)
    world.run_until_idle()
    second = api.call("POST", f"/v1/jobs/{job_id}/retry")
    assert second.status == 201
    assert second.body["id"] != first.body["id"]


def test_a_job_without_failures_or_that_goes_on_is_not_retried(world: World, api: Api) -> None:
    job_id = api.upload(requests(1))
    world.deliver_all()
    assert api.call("POST", f"/v1/jobs/{job_id}/retry").error == (409, "conflict_error")
    world.run_until_idle()
    assert api.call("POST", f"/v1/jobs/{job_id}/retry").error == (409, "conflict_error")


@pytest.mark.timeout(600)
def test_a_crash_anywhere_in_a_retry_makes_one_job(one_simulator: Simulator) -> None:
    def retried(crash_at: int | None) -> int:
        with new_world(one_simulator) as world:
            api = Api(world)
            world.simulator.fail(Result(error_type="invalid_request_error"), Match(prompt="river 1."), times=1)
            job_id = api.upload(requests(2))
            world.run_until_idle()
            world.calls.points.clear()
            world.calls.last_point = crash_at
            try:
                answer = api.call("POST", f"/v1/jobs/{job_id}/retry")
            except AssertionError:
                world.calls.last_point = None
                answer = api.call("POST", f"/v1/jobs/{job_id}/retry")
            points = len(world.calls.points)
            tell_of_retry(world, answer)
            world.run_until_idle()
            assert api.job(answer.body["id"])["status"] == "finished", crash_at
            assert len(world.paid_batches()) == 2
            return points

    for crash_at in range(0, retried(None), 2):
        retried(crash_at + 1)
