"""The API dies before and after each call that it makes for a job; its caller tries again, and one job runs."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable

import boto3
import pytest

from simulator.client import Simulator
from sluice.jobs.serve import uploads
from tests.integration.jobs.http_jobs import Answer, Api, send_by_link, send_part, tell_of
from tests.integration.jobs.outputs import requests
from tests.integration.jobs.world import World, new_world

DATA = requests(2)
Call = Callable[[Api], Answer]


def post_file(api: Api) -> Answer:
    return api.call("POST", "/v1/jobs?filename=rivers.jsonl", DATA, {"idempotency-key": "once"})


def announce(api: Api) -> Answer:
    body = {"filename": "rivers.jsonl", "size": len(DATA), "settings": {"limits": {"max_waves": 2}}}
    return api.call("POST", "/v1/jobs", body, {"idempotency-key": "once"})


def points_of(simulator: Simulator, call: Call, prepare: Call | None = None) -> list[str]:
    """What a call does, without a crash."""
    with new_world(simulator) as world:
        api = Api(world)
        if prepare:
            prepare(api)
        world.calls.points.clear()
        call(api)
        return list(world.calls.points)


def call_with_a_crash(api: Api, call: Call, crash_at: int) -> Answer:
    """Make a call whose function dies on the way, and make it again."""
    calls = api.world.calls
    calls.points.clear()
    calls.last_point = crash_at
    with contextlib.suppress(AssertionError):  # No answer came.
        call(api)
    assert calls.crashed
    calls.last_point = None
    return call(api)


def tell_of_all(world: World) -> None:
    """Let S3 tell of all that was stored in the Inbox, in its order."""
    inbox = world.resources.ids["Inbox"]
    versions = boto3.client("s3").list_object_versions(Bucket=inbox).get("Versions", [])
    for each in sorted(versions, key=lambda version: version["LastModified"]):
        tell_of(world, each["Key"], dict(each), each["Size"])


def check_one_job_runs(api: Api, job_id: str) -> None:
    api.world.run_until_idle()
    finished = api.ids("?status=finished")
    assert finished == [job_id]
    assert len(api.world.paid_batches()) == 1
    assert api.world.dead == []


@pytest.mark.timeout(300)
def test_a_file_in_a_body_runs_once(one_simulator: Simulator) -> None:
    points = points_of(one_simulator, post_file)
    assert "after s3.PutObject" in points
    for crash_at in range(len(points)):
        with new_world(one_simulator) as world:
            answer = call_with_a_crash(Api(world), post_file, crash_at)
            tell_of_all(world)
            check_one_job_runs(Api(world), answer.body["id"])


@pytest.mark.timeout(300)
def test_an_announced_file_runs_once(one_simulator: Simulator) -> None:
    points = points_of(one_simulator, announce)
    assert "after dynamodb.TransactWriteItems" in points
    for crash_at in range(len(points)):
        with new_world(one_simulator) as world:
            answer = call_with_a_crash(Api(world), announce, crash_at)
            send_by_link(world, answer.body["upload"]["url"], DATA)
            check_one_job_runs(Api(world), answer.body["id"])


@pytest.mark.timeout(300)
def test_an_upload_by_parts_is_completed_once(one_simulator: Simulator, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(uploads, "ONE_PUT_BYTES", 10)
    job_ids: list[str] = []

    def prepare(api: Api) -> Answer:
        answer = announce(api)
        job_ids.append(answer.body["id"])
        send_part(answer.body["upload"]["links"][0]["url"], DATA)
        return answer

    def complete(api: Api) -> Answer:
        return api.call("POST", f"/v1/jobs/{job_ids[-1]}/upload/complete")

    points = points_of(one_simulator, complete, prepare)
    assert "after s3.CompleteMultipartUpload" in points
    for crash_at in range(len(points)):
        with new_world(one_simulator) as world:
            prepare(Api(world))
            assert call_with_a_crash(Api(world), complete, crash_at).status == 200
            tell_of_all(world)
            check_one_job_runs(Api(world), job_ids[-1])


@pytest.mark.timeout(300)
def test_a_planner_that_dies_takes_an_announced_file_once(one_simulator: Simulator) -> None:
    with new_world(one_simulator) as world:
        Api(world).upload(DATA)
        world.calls.made.clear()
        world.deliver_all()
        changes = [number for number, call in enumerate(world.calls.made) if call.step == "plan_job" and call.changes]
    for number in changes:
        with new_world(one_simulator) as world:
            api = Api(world)
            job_id = api.upload(DATA)
            world.calls.crash((len(world.calls.made) + number, False))
            check_one_job_runs(api, job_id)


def test_a_file_whose_storing_failed_without_a_key_never_runs(world: World) -> None:
    def fail(_: object) -> None:
        raise OSError(json.dumps("gone"))

    world.calls.instead["PutObject"] = fail
    api = Api(world)
    answer = api.call("POST", "/v1/jobs?filename=rivers.jsonl", DATA)
    del world.calls.instead["PutObject"]
    assert answer.status == 503
    assert [job["status"] for job in api.call("GET", "/v1/jobs").body["data"]] == ["cancelled"]
