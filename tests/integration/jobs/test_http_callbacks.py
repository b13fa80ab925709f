"""Callbacks of jobs: signed, tried again, guarded, and told once for each state."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from simulator.client import Match, Refuse, Simulator
from sluice.callbacks.client import CallbackClient
from tests.integration.jobs.http_jobs import Api
from tests.integration.jobs.outputs import requests
from tests.integration.jobs.world import World, new_world
from tests.integration.tasks.receiver import Receiver, running_receiver
from tests.integration.tasks.resources import CURRENT_SECRET

LOCAL = "http://127.0.0.1"


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with running_receiver() as receiver:
        yield receiver


@pytest.fixture
def local(one_simulator: Simulator) -> Iterator[World]:
    with new_world(one_simulator, CallbackLocal=LOCAL) as world:
        yield world


def test_the_end_of_a_job_is_told_signed(local: World, receiver: Receiver) -> None:
    api = Api(local)
    job_id = api.upload(requests(2), callback_url=receiver.url, metadata={"order": 7})
    local.run_until_idle()

    (call,) = receiver.calls
    told = call.verify(CURRENT_SECRET)
    assert told["type"] == "job.finished"
    assert (told["data"]["id"], told["data"]["metadata"]) == (job_id, {"order": 7})
    assert told["data"]["tally"]["succeeded"] == 2
    assert told["data"]["costs"]["spent_usd"] > 0
    callback = api.job(job_id)["callback"]
    assert (callback["status"], callback["attempts"]) == ("delivered", 1)


def test_a_hold_and_the_end_after_it_are_told_each_once(local: World, receiver: Receiver) -> None:
    api = Api(local)
    job_id = api.upload(requests(2), callback_url=receiver.url, hold=True)
    local.deliver_all()
    api.call("POST", f"/v1/jobs/{job_id}/release")
    local.run_until_idle()

    told = [call.verify(CURRENT_SECRET) for call in receiver.calls]
    assert [each["type"] for each in told] == ["job.held", "job.finished"]
    assert told[0]["data"]["hold"]["kind"] == "requested"
    assert len({call.headers["webhook-id"] for call in receiver.calls}) == 2


def test_a_file_that_cannot_run_is_told(local: World, receiver: Receiver) -> None:
    Api(local).upload(b"", callback_url=receiver.url)
    local.run_until_idle()
    assert receiver.calls[0].verify(CURRENT_SECRET)["type"] == "job.failed"


def test_a_hold_by_an_incident_is_told_by_way_of_the_poller(local: World, receiver: Receiver) -> None:
    fault = local.simulator.fail(Refuse(status=401), Match(operation="batches.create"))
    api = Api(local)
    job_id = api.upload(requests(2), callback_url=receiver.url)
    local.deliver_all()
    assert receiver.calls == []
    local.clock.advance(121)
    local.poll()
    local.poll()
    local.deliver_all()
    assert [call.verify(CURRENT_SECRET)["type"] for call in receiver.calls] == ["job.held"]
    assert api.call("POST", f"/v1/jobs/{job_id}/release").error == (403, "permission_error")
    local.simulator.heal(fault)


def test_a_callback_that_is_refused_is_tried_again_and_keeps_the_job_open(local: World, receiver: Receiver) -> None:
    receiver.statuses = [500, 302, 503, 204]
    api = Api(local)
    job_id = api.upload(requests(1), callback_url=receiver.url)
    local.run_until_idle()

    assert len(receiver.calls) == 4
    assert len({call.headers["webhook-id"] for call in receiver.calls}) == 1
    assert api.job(job_id)["callback"]["status"] == "delivered"


def test_a_receiver_that_is_gone_is_not_asked_again(local: World, receiver: Receiver) -> None:
    receiver.statuses = [410]
    api = Api(local)
    job_id = api.upload(requests(1), callback_url=receiver.url)
    local.run_until_idle()
    assert len(receiver.calls) == 1
    assert api.job(job_id)["callback"]["status"] == "undelivered"


def test_a_hold_that_is_over_is_not_told_any_more(local: World, receiver: Receiver) -> None:
    receiver.statuses = [500, 204]
    api = Api(local)
    job_id = api.upload(requests(1), callback_url=receiver.url, hold=True)
    local.deliver_all()
    assert len(receiver.calls) == 1
    api.call("POST", f"/v1/jobs/{job_id}/release")
    local.run_until_idle()
    told = [call.verify(CURRENT_SECRET)["type"] for call in receiver.calls]
    assert told == ["job.held", "job.finished"]


def test_a_callback_goes_to_no_private_address(one_simulator: Simulator) -> None:
    with new_world(one_simulator, CallbackHosts="hooks.example.com") as world:
        body = {"filename": "a.jsonl", "size": 1}
        for url in ("http://127.0.0.1:9/", "https://10.0.0.1/", "https://other.example.com/"):
            refused = Api(world).call("POST", "/v1/jobs", {**body, "callback_url": url})
            assert refused.error == (400, "invalid_request_error")


def test_a_dropped_file_calls_nobody_back(local: World) -> None:
    local.upload("rivers.jsonl", requests(1))
    local.run_until_idle()
    assert not [each for each in local.queues.sent if each.queue == "CallbackQueue"]


@pytest.mark.timeout(600)
def test_a_crash_anywhere_on_the_way_of_a_callback_loses_none(
    one_simulator: Simulator, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    post = CallbackClient.post
    calls_of: list[World] = []

    def watched_post(client: CallbackClient, *args: object) -> object:
        return calls_of[-1].calls.around("post", lambda: post(client, *args))  # type: ignore[arg-type]  # as it came

    monkeypatch.setattr(CallbackClient, "post", watched_post)

    def until_told(crash_at: int | None) -> list[int]:
        """Run a job to its end, and a function may die after a call; return the changes on the way of the callback."""
        with new_world(one_simulator, CallbackLocal=LOCAL) as world:
            calls_of.append(world)
            receiver.calls.clear()
            api = Api(world)
            job_id = api.upload(requests(1), callback_url=receiver.url)
            before = len(world.calls.made)
            if crash_at is not None:
                world.calls.crash((before + crash_at, False))
            world.run_until_idle()
            assert api.job(job_id)["callback"]["status"] == "delivered", crash_at
            assert len({call.headers["webhook-id"] for call in receiver.calls}) == 1
            assert len(receiver.calls) <= (1 if crash_at is None else 2)
            assert world.dead == []
            made = list(enumerate(world.calls.made[before:]))
            telling = [number for number, call in made if call.step == "deliver_callback" and call.changes]
            ending = [number for number, call in made if call.step == "finish_job" and call.changes]
            return [*ending[-5:], *telling]

    points = until_told(None)
    assert len(points) >= 8
    for crash_at in points:
        until_told(crash_at)
