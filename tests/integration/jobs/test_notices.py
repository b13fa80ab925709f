"""What people and machines are told of a job: once each, with where it lies and what to do."""

from __future__ import annotations

import json
from typing import Any
from unittest.mock import patch

import pytest

from simulator.client import Match, Result
from sluice.errors import AwsUnavailable
from sluice.incidents import Incident
from sluice.jobs.model import Hold, Job, JobStatus
from sluice.jobs.notices.announce import announce, announce_hold, announce_once, announce_pending, report_incident
from sluice.jobs.notices.text import LATE, STUCK
from tests.integration.jobs.job_maker import make_job
from tests.integration.jobs.outputs import requests, river, run, summary
from tests.integration.jobs.world import World


@pytest.fixture
def published(world: World) -> list[dict[str, Any]]:
    """Every call of sns.Publish, as it was made."""
    calls: list[dict[str, Any]] = []
    world.calls.listeners.append(lambda operation, params: calls.append(params) if operation == "Publish" else None)
    return calls


def test_a_finished_job_is_told_of_once_to_people_and_machines(world: World, published: list[dict[str, Any]]) -> None:
    job_id = run(world, requests(3), "reviews/rivers.jsonl")

    (call,), (event,), (notice,) = published, world.events, world.notices
    message = json.loads(call["Message"])
    assert call["Subject"] == "Finished: rivers.jsonl - 3 of 3 lines answered"
    assert message["email"].startswith("rivers.jsonl has finished: every line was answered.")
    assert json.loads(message["sqs"]) == notice == event | {"subject": call["Subject"], "text": message["email"]}
    assert {name: each["StringValue"] for name, each in call["MessageAttributes"].items()} == {
        "event": "job.finished",
        "outcome": "finished",
        "job_id": job_id,
        "folder": "reviews",
    }
    assert (notice["job_id"], notice["key"]) == (job_id, "reviews/rivers.jsonl")
    assert notice["files"]["results"].endswith(f"/{job_id}/results.jsonl")
    assert world.job(job_id).notices == {"job.finished": "sent"}
    assert not world.is_open()


def test_a_mail_says_how_many_how_long_how_much_where_and_what_to_do(
    world: World, published: list[dict[str, Any]]
) -> None:
    world.simulator.fail(Result(outcome="errored", error_type="invalid_request_error"), Match(prompt=river(1)))
    job_id = run(world, requests(8) + b"no request\n")

    text = json.loads(published[0]["Message"])["email"]
    assert published[0]["Subject"] == "Finished with errors: rivers.jsonl - 7 of 9 lines answered, 1 error, 1 rejected"
    for expected in (
        "Answered    7 (77.8 %)",
        "Errors      1 (1 invalid_request_error)",
        "Took        ",
        "Cost        ",
        f"/{job_id}/errors.jsonl",
        f"/{job_id}/report.html",
        "console.aws.amazon.com",
        "drop it in the Inbox as it is",
        f"Job     {job_id}",
        "/rivers.jsonl",
    ):
        assert expected in text


def test_a_notice_that_could_not_be_sent_is_sent_later(world: World) -> None:
    upload = world.upload("rivers.jsonl", requests(2))
    unreachable = AwsUnavailable("SNS did not take a notice.")
    with patch("sluice.notify.channels.SnsChannel.send", side_effect=[unreachable, unreachable]):
        world.deliver_all()
        while not world.job(upload.job_id).status.final:
            world.clock.advance(60)
            world.poll()
            world.deliver_all()
    assert world.job(upload.job_id).notices == {"job.finished": "pending", "job.finished/eventbridge": "sent"}

    world.run_until_idle()
    assert [notice["event"] for notice in (*world.notices, *world.events)] == ["job.finished"] * 2
    assert world.job(upload.job_id).notices["job.finished"] == "sent"


def test_a_notice_that_was_sent_is_not_sent_again(world: World) -> None:
    job_id = run(world, requests(2))
    announce(world.services(), world.job(job_id), "job.finished")
    announce_pending(world.services(), world.job(job_id))
    assert len(world.notices) == 1


def test_a_repeated_notice_can_be_told_by_its_id(world: World) -> None:
    job_id = run(world, requests(2))
    stale = Job(**{**_fields(world.job(job_id)), "notices": {"job.finished": "pending"}})
    announce(world.services(), stale, "job.finished")
    first, second = world.notices
    assert first["notification_id"] == second["notification_id"]


def _fields(job: Job) -> dict[str, Any]:
    return {name: getattr(job, name) for name in Job.__dataclass_fields__}


def test_a_held_job_is_told_of_with_how_to_release_it(world: World, published: list[dict[str, Any]]) -> None:
    job = make_job(world)
    hold = Hold("cost", "The estimate is $12.00; the limit is $10.00.")
    held = world.job_table.hold(job, hold, world.clock.now())
    assert announce_hold(world.services(), held)
    assert not announce_hold(world.services(), world.job(job.job_id))

    (call,) = published
    text = json.loads(call["Message"])["email"]
    assert call["Subject"] == "Held: rivers.jsonl - it may cost more than the limit"
    assert hold.reason in text
    assert f"{job.job_id}.release" in text
    assert f"/v1/jobs/{job.job_id}/release" in text
    assert f"/v1/jobs/{job.job_id}/cancel" in text
    assert world.notices[0]["hold"] == {"kind": "cost", "reason": hold.reason}


def test_a_job_that_is_held_twice_is_told_of_twice(world: World) -> None:
    job = make_job(world)
    for _ in range(2):
        held = world.job_table.hold(world.job(job.job_id), Hold("cost", "Too much."), world.clock.now())
        announce_hold(world.services(), held)
        world.job_table.release(held, world.clock.now())
    assert len({notice["notification_id"] for notice in world.notices}) == 2


def test_a_notice_of_a_hold_that_is_over_is_dropped(world: World) -> None:
    held = world.job_table.hold(make_job(world), Hold("cost", "Too much."), world.clock.now())
    released = world.job_table.release(held, world.clock.now())

    assert announce_pending(world.services(), released) == 0
    assert world.notices == []
    assert world.job(held.job_id).notices == {"job.held#cost@1": "dropped"}


@pytest.mark.parametrize("event", [LATE, STUCK])
def test_what_comes_without_a_transition_is_told_once(world: World, event: str) -> None:
    job = make_job(world)
    world.clock.advance(90_000)
    assert announce_once(world.services(), job, event)
    assert not announce_once(world.services(), world.job(job.job_id), event)
    assert [(notice["event"], notice["outcome"]) for notice in world.notices] == [(event, "running")]


def no_credit(world: World) -> Incident:
    incident = world.services().incidents.open_incident("billing_error", "Your credit balance is too low.", seen=0)
    assert incident is not None
    return incident


def test_an_incident_is_told_of_once_for_all_the_jobs_it_hits(world: World, published: list[dict[str, Any]]) -> None:
    jobs = [make_job(world, key=f"rivers-{number}.jsonl") for number in range(22)]
    assert report_incident(world.services(), no_credit(world), jobs)
    assert not report_incident(world.services(), no_credit(world), jobs)

    (notice,), (event,), (call,) = world.notices, world.events, published
    text = json.loads(call["Message"])["email"]
    assert call["Subject"] == "Stopped: Claude cannot bill the account (billing_error)"
    assert [each["job_id"] for each in notice["jobs"]] == [job.job_id for job in jobs[:20]]
    assert notice["job_count"] == 22
    assert notice == event | {"subject": call["Subject"], "text": text}
    assert jobs[0].job_id in text
    assert "and 2 more jobs" in text
    assert "Your credit balance is too low." in text


def test_an_incident_that_hits_jobs_of_very_long_names_is_told_of_all_the_same(world: World) -> None:
    jobs = [make_job(world, key=f"{number}-{'k' * 1000}.jsonl") for number in range(20)]
    report_incident(world.services(), no_credit(world), jobs)

    assert world.notices[0]["job_count"] == 20
    assert 0 < len(world.notices[0]["jobs"]) < 20


def test_an_incident_that_one_channel_did_not_take_is_told_again_on_that_one_alone(world: World) -> None:
    jobs = [make_job(world)]
    with (
        patch("sluice.notify.channels.EventBridgeChannel.send", side_effect=AwsUnavailable("No bus.")),
        pytest.raises(AwsUnavailable),
    ):
        report_incident(world.services(), no_credit(world), jobs)
    assert not report_incident(world.services(), no_credit(world), jobs)
    world.clock.advance(61)
    assert report_incident(world.services(), no_credit(world), jobs)

    (notice,), (event,) = world.notices, world.events
    assert notice["notification_id"] == event["notification_id"]


def test_a_bus_that_refuses_everything_costs_no_second_mail_and_has_an_end(world: World) -> None:
    with patch("sluice.notify.channels.EventBridgeChannel.send", side_effect=AwsUnavailable("No bus.")) as bus:
        job_id = world.upload("rivers.jsonl", requests(2)).job_id
        for _ in range(20 * 60):
            world.deliver_all()
            if not world.is_open():
                break
            world.poll()
            world.clock.advance(60 if not world.job(job_id).status.final else 300)

    assert [notice["event"] for notice in world.notices] == ["job.finished"]
    assert 10 < bus.call_count < 20
    assert not world.is_open()
    assert world.dead == []


def test_a_channel_that_takes_notices_again_gets_what_it_missed_and_no_other_does(world: World) -> None:
    with patch("sluice.notify.channels.EventBridgeChannel.send", side_effect=AwsUnavailable("No bus.")):
        world.upload("rivers.jsonl", requests(2))
        for _ in range(4):
            world.deliver_all()
            world.poll()
            world.clock.advance(60)
    assert (len(world.notices), len(world.events)) == (1, 0)
    world.run_until_idle()

    assert [each["event"] for each in (*world.notices, *world.events)] == ["job.finished"] * 2


def test_a_file_that_cannot_run_is_told_of_with_the_reason(world: World, published: list[dict[str, Any]]) -> None:
    upload = world.upload("photo.png", b"\x89PNG")
    world.run_until_idle()

    assert world.job(upload.job_id).status is JobStatus.FAILED
    assert [notice["event"] for notice in world.notices] == ["job.failed"]
    assert world.notices[0]["failure"] in json.loads(published[0]["Message"])["email"]


def test_a_job_that_cannot_run_leaves_its_summary_with_the_reason(world: World) -> None:
    upload = world.upload("photo.png", b"\x89PNG")
    world.run_until_idle()

    left = summary(world, upload.job_id)
    assert (left["job_id"], left["status"], left["input"]["key"]) == (upload.job_id, "failed", "photo.png")
    assert left["failure"] == world.job(upload.job_id).failure
