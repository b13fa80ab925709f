"""Many jobs side by side: what goes wrong with one of them is no matter of the others."""

from __future__ import annotations

import json
from typing import Any

import boto3
import pytest

from simulator.client import Match, Refuse
from sluice.errors import AwsUnavailable
from sluice.jobs.control import cancel_job, release_job
from sluice.jobs.model import Hold, Job, JobStatus
from sluice.jobs.next_steps import MOST_RESENDS
from sluice.notify.channels import SnsChannel
from sluice.notify.notice import Notice
from tests.integration.jobs.job_maker import make_job, request_line, submit_job
from tests.integration.jobs.world import World

CREATE, CANCEL = Match(operation="batches.create"), Match(operation="batches.cancel")
HOUR, DAY = 3600.0, 86_400.0


@pytest.fixture
def refused(monkeypatch: pytest.MonkeyPatch) -> set[str]:
    """The ids of jobs of which SNS takes no notice."""
    jobs: set[str] = set()
    send = SnsChannel.send

    def send_or_refuse(channel: SnsChannel, notice: Notice) -> None:
        told_of = notice.detail.get("jobs", [notice.detail])
        if jobs & {job["job_id"] for job in told_of}:
            raise AwsUnavailable("SNS did not take a notice.")
        send(channel, notice)

    monkeypatch.setattr(SnsChannel, "send", send_or_refuse)
    return jobs


def submit_shard(world: World, job: Job, number: int) -> None:
    world.send("SubmitQueue", {"job_id": job.job_id, "shard": number, "wave": 0})
    world.deliver_all()


def resent(world: World) -> set[str]:
    return {json.loads(queue_message.body)["job_id"] for queue_message in world.queues.messages}


def metrics(capsys: pytest.CaptureFixture[str]) -> list[Any]:
    return [json.loads(line)["JobsNotTended"] for line in capsys.readouterr().out.splitlines() if "NotTended" in line]


def test_a_notice_that_sns_refuses_keeps_no_other_job_from_being_pushed_and_told_of(
    world: World, refused: set[str], capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    jobs = [make_job(world, key=f"{number}.jsonl") for number in range(5)]
    bad = min(jobs, key=lambda job: job.job_id)
    refused.add(bad.job_id)

    for _ in range(4):
        world.clock.advance(HOUR)
        report = world.poll()

    assert report is not None
    assert report["failed"] == 1
    assert resent(world) == {job.job_id for job in jobs}
    assert {notice["job_id"] for notice in world.notices} == {job.job_id for job in jobs} - {bad.job_id}
    assert metrics(capsys)[-1] == [1.0]
    assert bad.job_id in {vars(record).get("job_id") for record in caplog.records if record.levelname == "ERROR"}


def test_an_incident_that_cannot_be_told_of_holds_all_jobs_and_is_told_later(world: World, refused: set[str]) -> None:
    jobs = [submit_job(world, key="rivers.jsonl"), submit_job(world, key="lakes.jsonl")]
    refused.update(jobs)
    world.simulator.fail(Refuse(status=401), Match(operation="batches.list"))

    world.poll()
    assert [world.job(job_id).status for job_id in jobs] == [JobStatus.HELD] * 2
    assert (len(world.notices), len(world.events)) == (0, 1)
    refused.clear()
    world.clock.advance(120)
    world.poll()

    assert len(world.events) == 1
    assert [notice["event"] for notice in world.notices] == ["incident.opened"]
    assert {job["job_id"] for job in world.notices[0]["jobs"]} == set(jobs)


@pytest.mark.parametrize("status", [404, 400])
def test_a_batch_that_cannot_be_cancelled_stops_nothing_else(world: World, status: int) -> None:
    job_id, other = submit_job(world, (1, 1), key="a.jsonl"), make_job(world, key="b.jsonl")
    world.simulator.set(cancel_seconds=600)
    world.simulator.fail(Refuse(status=status), CANCEL, times=1)
    world.clock.advance(HOUR)
    cancel_job(world.services("ServeApi"), job_id)

    report = world.poll()

    assert report is not None
    assert (report["failure"], report["cancelled"], report["resent"]) == (None, 1, 1)
    assert world.job(other.job_id).status is JobStatus.RUNNING
    world.poll()
    assert len({call.path for call in world.simulator.requests("batches.cancel") if call.status == 200}) == 2


def test_a_release_reaches_a_job_of_which_something_moved_in_the_same_minute(world: World) -> None:
    world.simulator.set(batch_seconds=7200)
    jobs = [make_job(world, (1, 1), key=key) for key in ("a.jsonl", "b.jsonl")]
    for job in jobs:
        submit_shard(world, job, 0)
    fault = world.simulator.fail(Refuse(status=402), CREATE)
    for job in jobs:
        submit_shard(world, job, 1)
    world.simulator.end_batch(world.shards(jobs[1].job_id)[0].batch_id or "")
    world.poll()
    world.simulator.heal(fault)

    release_job(world.services("ServeApi"), jobs[0].job_id)
    world.deliver_all()
    world.poll()

    assert [world.job(job.job_id).status for job in jobs] == [JobStatus.RUNNING] * 2
    assert len(world.notices) == 1


def held_for_its_cost(world: World) -> str:
    world.upload("dear/sluice.yaml", b"limits: {max_cost: 0.0000001}\n")
    upload = world.upload("dear/rivers.jsonl", request_line("a"))
    world.deliver_all()
    assert world.job(upload.job_id).status is JobStatus.HELD
    return upload.job_id


def test_a_hold_that_nobody_was_told_of_is_not_told_after_its_release(world: World) -> None:
    world.simulator.set(batch_seconds=7200)
    job = make_job(world)
    world.job_table.hold(job, Hold("cost", "Too much."), world.clock.now())

    release_job(world.services("ServeApi"), job.job_id)
    world.clock.advance(200)
    world.poll()

    assert world.notices == []


@pytest.mark.parametrize("act", [release_job, cancel_job])
def test_a_job_that_was_held_for_longer_than_its_plan_is_kept_fails_and_says_so(world: World, act: Any) -> None:
    job_id = held_for_its_cost(world)
    expire_work_files(world)
    world.clock.advance(32 * DAY)

    act(world.services("ServeApi"), job_id)
    world.run_until_idle()

    assert world.job(job_id).status is JobStatus.FAILED
    assert [notice["event"] for notice in world.notices] == ["job.held", "job.failed"]
    assert "Drop the file again." in world.notices[1]["text"]
    assert world.dead == []


def test_a_job_that_was_held_for_weeks_goes_on(world: World) -> None:
    job_id = held_for_its_cost(world)
    world.clock.advance(26 * DAY)

    release_job(world.services("ServeApi"), job_id)
    world.run_until_idle()

    assert world.job(job_id).status is JobStatus.FINISHED


def expire_work_files(world: World) -> None:
    """Delete what the Outbox keeps for a month only, as its lifecycle does."""
    s3, outbox = boto3.client("s3"), world.resources.ids["Outbox"]
    for each in s3.list_objects_v2(Bucket=outbox, Prefix="work/")["Contents"]:
        s3.delete_object(Bucket=outbox, Key=each["Key"])


def test_what_is_pushed_in_vain_for_days_is_held_and_told_of_once(world: World) -> None:
    """A step that fails each time must not be begun for ever."""
    job_id, pushes = make_job(world, started=False).job_id, 0
    for _ in range(14 * 24):
        world.poll()
        pushes += len(world.queues.messages)
        world.queues.messages.clear()
        world.clock.advance(HOUR)

    assert pushes == MOST_RESENDS
    assert world.job(job_id).status is JobStatus.HELD
    assert [notice["event"] for notice in world.notices] == ["job.stuck", "job.late", "job.held"]
    release_job(world.services("ServeApi"), job_id)
    world.run_until_idle()
    assert world.job(job_id).status is JobStatus.FINISHED


def test_results_that_cannot_be_collected_are_not_begun_for_ever_either(world: World) -> None:
    job_id, pushes = submit_job(world), 0
    world.clock.advance(3 * HOUR)
    for _ in range(14 * 24):
        world.poll()
        pushes += len(world.queues.messages)
        world.queues.messages.clear()
        world.clock.advance(HOUR)

    assert pushes == 1 + MOST_RESENDS
    assert world.job(job_id).status is JobStatus.HELD
    release_job(world.services("ServeApi"), job_id)
    world.run_until_idle()
    assert world.job(job_id).status is JobStatus.FINISHED
