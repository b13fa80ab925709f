"""Jobs that an earlier release has left half done are finished by the present code, whatever state they were in."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from unittest.mock import patch

import boto3
import httpx2
import pytest

from simulator.client import Lose, Match, Refuse, Result, Simulator
from sluice.jobs.control import cancel_job, release_job
from sluice.jobs.model import JobStatus, Shard
from sluice.jobs.requests import batch_body, read_lines
from tests.integration.jobs import world as worlds
from tests.integration.jobs.outputs import ids, requests, river
from tests.integration.jobs.world import World, new_world
from tests.world.aws import STACK, client
from tests.world.queues import QueueMessage
from tests.world.releases import KeptMessage, State, dump_items, dump_objects, releases, restore_items, restore_objects

CREATE = Match(operation="batches.create")
HOUR = 3600.0
# Long enough that a batch is still running when the rest is made.
LONG = 1e6


class Scenes:
    """Brings jobs into their states, one by one, and keeps the messages that each leaves."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.kept: list[QueueMessage] = []
        self.jobs: dict[str, str] = {}

    def play(self, name: str, scene: Callable[[str], str]) -> None:
        self.world.simulator.heal()
        self.world.simulator.set(batch_seconds=LONG)
        self.jobs[name] = scene(name)
        self.kept += self.world.queues.messages
        self.world.queues.messages.clear()

    def drop(self, name: str, count: int = 4, data: bytes | None = None, key: str | None = None) -> str:
        """Drop a file of requests and let it be planned and submitted."""
        job_id = self.received(name, count, data, key)
        self.world.deliver_all()
        return job_id

    def received(self, name: str, count: int = 4, data: bytes | None = None, key: str | None = None) -> str:
        return self.world.upload(key or f"{name}.jsonl", requests(count) if data is None else data).job_id

    def ended(self, name: str) -> str:
        """A batch has ended, and its shard is to be collected."""
        self.world.simulator.set(batch_seconds=60)
        job_id = self.drop(name)
        self.world.clock.advance(90)
        self.world.poll()
        return job_id

    # The states

    def being_planned(self, name: str) -> str:
        """The first pass over the file has handed over to the next."""
        with patch.object(worlds, "_TIMEOUT_SECONDS", 50.0):
            job_id = self.received(name, 600)
            self.world.deliver(self.world.due()[0])
        return job_id

    def held_for_cost(self, name: str) -> str:
        self.world.upload(f"{name}/sluice.yaml", b"limits: {max_cost: 0.0000001}\n")
        return self.drop(name, key=f"{name}/file.jsonl")

    def held_for_settings(self, name: str) -> str:
        self.world.upload(f"{name}/sluice.yaml", b"modell: claude-haiku-5-5\n")
        return self.drop(name, key=f"{name}/file.jsonl")

    def held_for_bad_lines(self, name: str) -> str:
        return self.drop(name, data=requests(2) + b"{\n" * 3)

    def submitting(self, name: str) -> str:
        """Nobody knows whether there is a batch, and there is none."""
        self.world.simulator.fail(Refuse(status=500), CREATE)
        return self.drop(name)

    def adopting(self, name: str) -> str:
        """There is a batch that may be the shard's, and is."""
        self.world.simulator.fail(Lose(how="reset"), CREATE)
        job_id = self.drop(name)
        self.world.simulator.heal()
        self.world.clock.advance(200)
        self.world.poll()
        self.world.deliver_all()
        return job_id

    def waiting_for_its_next_wave(self, name: str) -> str:
        self.world.simulator.fail(Result(error_type="overloaded_error"), Match(prompt=river(1)), times=1)
        job_id = self.ended(name)
        self.world.deliver_all()
        return job_id

    def put_off_by_claude(self, name: str) -> str:
        self.world.simulator.fail(Refuse(status=429, headers={"retry-after": "3600"}), CREATE)
        return self.drop(name)

    def collected(self, name: str) -> str:
        """All shards are collected, and the job is to be finished."""
        job_id = self.ended(name)
        self.world.deliver(self.world.due()[0])
        return job_id

    def of_a_table(self, name: str) -> str:
        self.world.upload(f"{name}/sluice.yaml", b'prompt: "Sort {text}"\nmax_tokens: 500\n')
        return self.drop(name, data=b"id,text\n1,good\n2,bad\n", key=f"{name}/table.csv")

    def to_be_cancelled(self, name: str) -> str:
        job_id = self.drop(name)
        cancel_job(self.world.services("ServeApi"), job_id)
        return job_id

    def untold(self, name: str) -> str:
        """It has ended, and its notice is pending."""
        job_id = self.ended(name)
        with patch("sluice.jobs.finish.finish.announce"):
            self.world.deliver_all()
        return job_id

    def finished(self, name: str) -> str:
        job_id = self.ended(name)
        self.world.deliver_all()
        return job_id

    def failed(self, name: str) -> str:
        return self.drop(name, data=b"")

    def held_by_an_incident(self, name: str) -> str:
        self.world.simulator.fail(Refuse(status=401), CREATE)
        return self.drop(name)


# Those first in which a poll is made: it looks after all jobs.
SCENES = (
    "finished adopting waiting_for_its_next_wave collected ended untold failed being_planned held_for_cost "
    "held_for_settings held_for_bad_lines submitting of_a_table to_be_cancelled in_progress received "
    "held_by_an_incident put_off_by_claude"
).split()


def record_jobs(world: World) -> None:
    """A stack with a job in every state."""
    scenes = Scenes(world)
    for name in SCENES:
        scenes.play(name, scenes.drop if name == "in_progress" else getattr(scenes, name))
    s3, now = client("s3"), world.clock.now()
    queued = [KeptMessage(each.queue, each.body, max(each.due - now, 0.0)) for each in scenes.kept]
    State(
        now,
        dump_items(client("dynamodb"), STACK),
        dump_objects(s3, world.resources.ids["Inbox"], world.resources.ids["Outbox"]),
        queued,
        {"jobs": scenes.jobs},
    ).save("jobs")


# What is held waits for a person; the rest goes on by itself.
HELD = {"held_for_cost", "held_for_settings", "held_for_bad_lines", "held_by_an_incident"}
ENDS = {
    "failed": JobStatus.FAILED,
    "to_be_cancelled": JobStatus.CANCELLED,
    "held_for_bad_lines": JobStatus.FINISHED_WITH_ERRORS,
}


@pytest.fixture(params=releases())
def left(request: pytest.FixtureRequest) -> State:
    return State.load(request.param, "jobs")


@pytest.fixture
def upgraded(left: State, one_simulator: Simulator) -> Iterator[World]:
    """The present code, on what the release has left."""
    with new_world(one_simulator, left.at) as world:
        world.simulator.set(batch_seconds=60)
        restore_objects(client("s3"), left)
        restore_items(client("dynamodb"), STACK, left)
        restored = left.replace(dict(_make_batches_again(world, left.expected["jobs"].values())))
        restore_items(client("dynamodb"), STACK, restored)
        for message in restored.messages:
            world.queues.send(message.queue, message.body, message.delay)
        yield world


def _make_batches_again(world: World, job_ids: Iterable[str]) -> Iterator[tuple[str, str]]:
    """Make the batches that Claude was running; yield their ids, old and new."""
    for shard in (shard for job_id in job_ids for shard in world.shards(job_id)):
        for old in dict.fromkeys((*shard.candidates, *filter(None, [shard.batch_id]))):
            new = _make_batch(world, shard)
            if shard.ended_at:
                world.simulator.end_batch(new)
            yield old, new


def _make_batch(world: World, shard: Shard) -> str:
    services = world.services()
    body = b"".join(batch_body(read_lines(services.outbox, shard.source), shard.nonce))
    headers = {"x-api-key": "sk-ant-simulator", "anthropic-version": "2023-06-01", "content-type": "application/json"}
    url = f"{world.simulator.base_url}/v1/messages/batches"
    return str(httpx2.post(url, content=body, headers=headers).raise_for_status().json()["id"])


def test_the_jobs_of_a_release_come_to_their_ends(upgraded: World, left: State) -> None:
    jobs, world = left.expected["jobs"], upgraded
    assert set(jobs) <= set(SCENES), "a state that was recorded and is not looked at"
    found = {name: world.job_table.find(job_id) for name, job_id in jobs.items()}
    assert {name for name, job in found.items() if job and job.status is JobStatus.HELD} == HELD & set(jobs)

    boto3.client("s3").put_object(
        Bucket=world.resources.ids["Inbox"], Key="held_for_settings/sluice.yaml", Body=b"model: claude-haiku-5-5\n"
    )
    for name in HELD & set(jobs):
        release_job(world.services("ServeApi"), jobs[name])
    world.run_until_idle(advances=200)

    assert {name: world.job(job_id).status for name, job_id in jobs.items()} == {
        name: ENDS.get(name, JobStatus.FINISHED) for name in jobs
    }
    for name in jobs.keys() - {"failed", "to_be_cancelled"}:
        tally = world.job(jobs[name]).tally
        assert tally, name
        assert tally.balanced, name
        assert len(ids(world, jobs[name], "results")) == {"being_planned": 600, "held_for_bad_lines": 2}.get(
            name, 2 if name == "of_a_table" else 4
        ), name
    told = {notice["job_id"] for notice in world.notices if notice["event"].startswith("job.")}
    assert told == {jobs[name] for name in jobs.keys() - {"finished", "failed"}}
    assert world.dead == []
