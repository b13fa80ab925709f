"""The life of tasks as a state machine: messages twice, late, out of order, workers that die, callers that cancel."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from random import Random
from typing import Any

import boto3
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from moto import mock_aws

from sluice.access.guard import Caller, Guard
from sluice.access.store import KeyStore
from sluice.aws.dynamodb import Table
from sluice.callbacks.addresses import AddressPolicy, Endpoint
from sluice.callbacks.circuit_breaker import CircuitBreakers
from sluice.callbacks.client import Reply
from sluice.callbacks.courier import Courier
from sluice.callbacks.signatures import WebhookSecrets
from sluice.deadline import Deadline
from sluice.errors import Conflict, PermanentError, TransientError
from sluice.incidents import Incidents
from sluice.settings import TaskSettings
from sluice.tasks.answer import Answer
from sluice.tasks.callbacks import TaskCallbacks
from sluice.tasks.operations import TaskService
from sluice.tasks.table import TaskTable
from sluice.tasks.task import TASK_TRANSITIONS, Task
from sluice.tasks.worker import Worker
from tests.world.aws import STACK, create_table, template

ADA = Caller("iam:ada")


def states_after(status: str) -> set[str]:
    """Return what a task may be after one transition or none."""
    return {status} | {to for each in TASK_TRANSITIONS.values() for found, to in each.edges if found == status}


class Death(BaseException):
    """The process of a worker or courier ends here."""


class World:
    """Time, queues, Claude and a receiver, all in memory and all to be bent."""

    def __init__(self) -> None:
        self.now = 1_800_000_000.0
        self.messages: dict[str, list[tuple[float, str]]] = {"task": [], "callback": []}
        self.asked: list[str] = []
        self.answers: list[str] = []
        self.calls: list[tuple[str, str]] = []
        self.kind = "well"

    def clock(self) -> float:
        return self.now

    # Queues

    def send(self, queue_url: str, message: Mapping[str, object], delay_seconds: float = 0) -> None:
        self.messages[queue_url].append((self.now + delay_seconds, str(message["task_id"])))

    # Claude

    def ask(self, params: Mapping[str, Any], _headers: Mapping[str, str], _seconds: float) -> Answer:
        prompt = params["messages"][0]["content"]
        self.asked.append(prompt)
        if self.kind == "dies before":
            raise Death
        if self.kind == "transient":
            raise TransientError("overloaded", error_type="overloaded_error")
        if self.kind == "permanent":
            raise PermanentError("no", error_type="invalid_request_error")
        self.answers.append(prompt)
        if self.kind == "dies after":
            raise Death
        return Answer.of_message({"model": "claude-haiku-5-5", "content": [{"type": "text", "text": prompt}]}, None)

    # The receiver

    def post(self, _endpoint: Endpoint, headers: Mapping[str, str], body: bytes) -> Reply:
        if self.kind == "dies before":
            raise Death
        if self.kind in ("transient", "permanent"):
            return Reply(500, None)
        self.calls.append((headers["webhook-id"], json.loads(body)["data"]["status"]))
        if self.kind == "dies after":
            raise Death
        return Reply(200, None)


FATES = st.sampled_from(["well", "well", "well", "transient", "permanent", "dies before", "dies after"])


class Tasks(RuleBasedStateMachine):
    @initialize(seed=st.integers(0, 2**16))
    def deploy(self, seed: int) -> None:
        self.world = world = World()
        table = fresh_table()
        settings = TaskSettings(
            table="sluice",
            task_queue_url="task",
            callback_queue_url="callback",
            default_model="claude-haiku-5-5",
        )
        anything: Any = world
        self.table = TaskTable(table)
        self.ids: list[str] = []
        self.statuses: dict[str, str] = {}
        self.deaths = self.callback_deaths = 0
        random, incidents = Random(seed), Incidents(table, world.clock)
        secrets = WebhookSecrets.parse('{"current": "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"}')
        payloads: Any = InMemory()
        guard = Guard("iam", KeyStore(table), world.clock)
        self.door = TaskService(settings, self.table, payloads, anything, guard, AddressPolicy(), world.clock)
        self.worker = Worker(
            settings, self.table, payloads, anything, anything, incidents, anything, world.clock, random
        )
        self.courier = Courier(
            TaskCallbacks(self.table, payloads, anything), anything, "callback", settings.callback_max_hours,
            CircuitBreakers(table, world.clock, random), anything, AddressPolicy(), lambda: secrets, world.clock,
            random,
        )  # fmt: skip

    @rule()
    @precondition(lambda self: len(self.ids) < 4)
    def submit(self) -> None:
        body = json.dumps({"prompt": f"prompt {len(self.ids)}", "callback_url": "https://hooks.example.com/"}).encode()
        self.ids.append(self.door.submit(ADA, body, {}, "https://api.example.com").id)

    @rule(seconds=st.sampled_from([1.0, 30.0, 100.0, 1000.0]))
    def wait(self, seconds: float) -> None:
        self.world.now += seconds

    @rule(queue=st.sampled_from(["task", "callback"]), number=st.integers(0, 9), kind=FATES, twice=st.booleans())
    def deliver(self, queue: str, number: int, kind: str, twice: bool) -> None:
        """Deliver one of the messages that are due; one whose worker dies, or that comes twice, stays."""
        due = [message for message in self.world.messages[queue] if message[0] <= self.world.now]
        if not due:
            return
        message = due[number % len(due)]
        self.world.kind = kind
        try:
            (self.worker.run if queue == "task" else self.courier.deliver)(message[1], Deadline.after(60.0))
        except Death:
            self.deaths += queue == "task"
            self.callback_deaths += queue == "callback"
            return
        if not twice:
            self.world.messages[queue].remove(message)

    @rule(number=st.integers(0, 9))
    @precondition(lambda self: self.ids)
    def cancel(self, number: int) -> None:
        try:
            assert self.door.cancel(ADA, self.ids[number % len(self.ids)]).status == "cancelled"
        except Conflict:
            return

    @invariant()
    def states_move_as_they_may(self) -> None:
        for task in map(self.find, getattr(self, "ids", [])):
            before = self.statuses.get(task.id, "queued")
            # Two steps may lie between two looks: a delivery both claims a task and ends it.
            assert task.status in {then for step in states_after(before) for then in states_after(step)}
            self.statuses[task.id] = task.status

    @invariant()
    def claude_answers_once_for_each_task_and_death(self) -> None:
        if hasattr(self, "world"):
            assert len(self.world.answers) <= len(self.ids) + self.deaths
            assert len(self.world.calls) <= len(self.ids) + self.callback_deaths

    def teardown(self) -> None:
        """From any state, everything comes to its end without anybody's help."""
        if not hasattr(self, "world"):
            return
        for _ in range(60):
            self.world.now += 1000.0
            for queue in ("task", "callback"):
                for _ in range(len(self.world.messages[queue])):
                    self.deliver(queue, 0, "well", twice=False)
        for task in map(self.find, self.ids):
            assert task.status in ("succeeded", "failed", "cancelled")
            assert task.callback == (None if task.status == "cancelled" else "delivered")
            told = {status for webhook_id, status in self.world.calls if task.id in webhook_id}
            assert told == (set() if task.status == "cancelled" else {task.status})
        assert self.world.messages == {"task": [], "callback": []}

    def find(self, task_id: str) -> Task:
        task = self.table.find(task_id)
        assert task
        return task


class InMemory:
    """Documents without a bucket."""

    def store(self, _name: str, body: bytes) -> dict[str, object]:
        return {"document": body.decode()}

    def load(self, item: Mapping[str, Any]) -> bytes:
        return str(item["document"]).encode()


def fresh_table() -> Table:
    client: Any = boto3.client("dynamodb")
    if STACK in client.list_tables()["TableNames"]:
        client.delete_table(TableName=STACK)
    return create_table(template(), client)


@pytest.fixture
def aws() -> Iterator[None]:
    with mock_aws():
        yield


def test_tasks_settle_whatever_happens_on_the_way(aws: None) -> None:
    profile = settings(max_examples=15, stateful_step_count=25)
    run_state_machine_as_test(Tasks, settings=profile)
