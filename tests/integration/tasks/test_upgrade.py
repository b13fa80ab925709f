"""Tasks that an earlier release has left half done are finished by the present code, whatever state they were in."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import boto3
import pytest

from simulator.client import Match, Refuse
from tests.world.queues import QueueMessage
from tests.world.releases import KeptMessage, State, dump_items, dump_objects, releases, restore_items, restore_objects

from .door import TaskDoor

MESSAGES = Match(operation="messages")
BODY = {"prompt": "Why is the sky blue?"}


class Scenes:
    """Brings tasks into their states, one by one, and keeps the messages that each leaves."""

    def __init__(self, stack: TaskDoor) -> None:
        self.stack = stack
        self.kept: list[QueueMessage] = []
        self.tasks: dict[str, str] = {}

    def play(self, name: str, scene: Callable[[], str]) -> None:
        self.stack.simulator.heal()
        self.stack.receiver.statuses = [200]
        self.tasks[name] = scene()
        self.kept += self.stack.queues.messages
        self.stack.queues.messages.clear()

    def queued(self) -> str:
        return self.stack.submit()

    def put_off(self) -> str:
        return self.stack.submit(delay_seconds=7200)

    def idempotent(self) -> str:
        answer = self.stack.call("POST", "/v1/tasks", BODY, {"idempotency-key": "of the release"})
        return str(answer.body["id"])

    def cancelled(self) -> str:
        task_id = self.stack.submit()
        self.stack.call("DELETE", f"/v1/tasks/{task_id}")
        return task_id

    def running(self) -> str:
        """A worker has it, and dies in the upgrade."""
        task_id = self.stack.submit()
        now = time.time() + 1
        self.stack.tasks.claim(task_id, now, now + 300)
        return task_id

    def retried(self) -> str:
        self.stack.simulator.fail(Refuse(status=529), MESSAGES)
        return self._asked(self.stack.submit())

    def failed(self) -> str:
        self.stack.simulator.fail(Refuse(status=400), MESSAGES)
        return self._called_back(self._asked(self.stack.submit()))

    def answered(self) -> str:
        """It is to be called back."""
        return self._asked(self.stack.submit())

    def large(self) -> str:
        """Its request and its answer are too large for the table."""
        return self._asked(self.stack.submit(prompt="blue " * 10_000))

    def called_back_in_vain(self) -> str:
        self.stack.receiver.statuses = [500]
        return self._called_back(self._asked(self.stack.submit()))

    def undelivered(self) -> str:
        self.stack.receiver.statuses = [410]
        return self._called_back(self._asked(self.stack.submit()))

    def delivered(self) -> str:
        return self._called_back(self._asked(self.stack.submit()))

    def held_by_an_incident(self) -> str:
        self.stack.simulator.fail(Refuse(status=401), MESSAGES)
        return self._asked(self.stack.submit())

    def _asked(self, task_id: str) -> str:
        self.stack.turn("TASK")
        return task_id

    def _called_back(self, task_id: str) -> str:
        self.stack.turn("CALLBACK")
        return task_id


# What each comes to: its status, and how often it is called back by the present code.
SCENES: dict[str, tuple[str, int]] = {
    "queued": ("succeeded", 1),
    "put_off": ("succeeded", 1),
    "idempotent": ("succeeded", 0),
    "cancelled": ("cancelled", 0),
    "running": ("succeeded", 1),
    "retried": ("succeeded", 1),
    "failed": ("failed", 0),
    "answered": ("succeeded", 1),
    "large": ("succeeded", 1),
    "called_back_in_vain": ("succeeded", 1),
    "undelivered": ("succeeded", 0),
    "delivered": ("succeeded", 0),
    "held_by_an_incident": ("succeeded", 1),
}


def record_tasks(stack: TaskDoor) -> None:
    """A stack with a task in every state; the last one opens an incident."""
    scenes = Scenes(stack)
    for name in SCENES:
        scenes.play(name, getattr(scenes, name))
    now = time.time()
    State(
        now,
        dump_items(stack.dynamodb, stack.table.name),
        dump_objects(boto3.client("s3"), stack.outbox),
        [KeptMessage(each.queue, each.body, max(each.due - now, 0.0)) for each in scenes.kept],
        {"tasks": scenes.tasks, "receiver": stack.receiver.url},
    ).save("tasks")


@pytest.fixture(params=releases())
def left(request: pytest.FixtureRequest, stack: TaskDoor) -> State:
    """What the release has left, now, with callbacks that go to the receiver of this test."""
    state = State.load(request.param, "tasks")
    return state.replace({state.expected["receiver"]: stack.receiver.url}).moved(time.time() - state.at)


@pytest.fixture
def upgraded(left: State, stack: TaskDoor) -> TaskDoor:
    """The present code, on what the release has left."""
    restore_objects(boto3.client("s3"), left)
    restore_items(stack.dynamodb, stack.table.name, left)
    for message in left.messages:
        stack.queues.send(message.queue, message.body, message.delay)
    return stack


def status_of(task: dict[str, Any]) -> str:
    assert task["status"] == "succeeded" or "text" not in task
    return str(task["status"])


def test_the_tasks_of_a_release_come_to_their_ends(upgraded: TaskDoor, left: State) -> None:
    tasks: dict[str, str] = left.expected["tasks"]
    (incident,) = upgraded.call("GET", "/v1/incidents").body["data"]
    assert upgraded.read(tasks["delivered"])["text"]
    assert upgraded.read(tasks["large"])["status"] == "succeeded"
    assert upgraded.call("POST", f"/v1/incidents/{incident['kind']}/release").status == 200
    upgraded.run()

    called = [task_id for _, task_id in upgraded.receiver.events]
    found = {name: (status_of(upgraded.read(task_id)), called.count(task_id)) for name, task_id in tasks.items()}
    assert found == {name: SCENES[name] for name in tasks}
    assert upgraded.queues.messages == []


def test_a_call_that_the_release_has_taken_is_not_taken_again(upgraded: TaskDoor, left: State) -> None:
    again = upgraded.call("POST", "/v1/tasks", BODY, {"idempotency-key": "of the release"})
    assert (again.status, again.body["id"]) == (202, left.expected["tasks"]["idempotent"])


def test_a_callback_of_the_release_is_sent_again(upgraded: TaskDoor, left: State) -> None:
    for name in ("undelivered", "delivered"):
        task_id = left.expected["tasks"][name]
        assert upgraded.call("POST", f"/v1/tasks/{task_id}/redeliver").status == 202
    upgraded.run()
    assert upgraded.read(left.expected["tasks"]["undelivered"])["callback"]["status"] == "delivered"
    assert {event for event, _ in upgraded.receiver.events} == {"task.succeeded"}
