"""The three handlers of the task door, unmodified, invoked as Lambda invokes them, and what a test asks of them."""

from __future__ import annotations

import copy
import json
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

import boto3

from simulator.client import Simulator
from sluice.aws.dynamodb import Key, Table, Update
from sluice.incidents import Incidents
from sluice.table_keys import open_at
from sluice.tasks.table import TaskTable
from sluice.tasks.task import Task
from tests.world.aws import Resources
from tests.world.calls import WatchedCalls
from tests.world.lambdas import Context, load_handler, sample
from tests.world.queues import Queues
from tests.world.rights import Rights

from .receiver import Receiver

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_sqs import SQSClient

FUNCTIONS = ("serve_api", "run_task", "deliver_callback")
HANDED_OVER = {"TASK": "run_task", "CALLBACK": "deliver_callback"}
QUEUES = {"TASK": "TaskQueue", "CALLBACK": "CallbackQueue"}


def load_handlers() -> dict[str, Any]:
    return {name: load_handler(name).handler for name in FUNCTIONS}


@dataclass(frozen=True)
class Deployment:
    """The resources of the template, the variables that lead the functions to them, and the functions.

    ``notices_url`` is a queue that the completion topic sends to; ``events`` are the details that the bus was given.
    """

    resources: Resources
    environment: dict[str, str]
    notices_url: str
    handlers: dict[str, Any]
    calls: WatchedCalls
    queues: Queues
    rights: Rights
    events: list[dict[str, Any]] = field(default_factory=list)

    def record_event(self, operation: str, params: dict[str, Any]) -> None:
        if operation == "PutEvents":
            self.events.extend(json.loads(entry["Detail"]) for entry in params["Entries"])


@dataclass(frozen=True)
class Answer:
    status: int
    headers: dict[str, str]
    body: dict[str, Any]


@dataclass
class TaskDoor:
    """A deployed task door, and those at its ends."""

    simulator: Simulator
    receiver: Receiver
    deployment: Deployment
    handlers: dict[str, Any] = field(init=False)

    def __post_init__(self) -> None:
        self.handlers = self.deployment.handlers

    @property
    def environment(self) -> dict[str, str]:
        return self.deployment.environment

    @property
    def calls(self) -> WatchedCalls:
        return self.deployment.calls

    @property
    def queues(self) -> Queues:
        return self.deployment.queues

    @property
    def events(self) -> list[dict[str, Any]]:
        return self.deployment.events

    @property
    def outbox(self) -> str:
        return self.deployment.resources.ids["Outbox"]

    def cold_start(self) -> None:
        """Load the functions afresh, for instance with another environment."""
        self.handlers = load_handlers()

    @cached_property
    def table(self) -> Table:
        client: Any = self.dynamodb
        return Table(client, self.environment["SLUICE_TABLE"])

    @cached_property
    def dynamodb(self) -> DynamoDBClient:
        return boto3.client("dynamodb")

    @cached_property
    def sqs(self) -> SQSClient:
        return boto3.client("sqs")

    @property
    def tasks(self) -> TaskTable:
        return TaskTable(self.table)

    @property
    def incidents(self) -> Incidents:
        return Incidents(self.table)

    # The API

    def call(self, method: str, path: str, body: object = None, headers: dict[str, str] | None = None) -> Answer:
        path, _, query = path.partition("?")
        event = copy.deepcopy(sample("serve_api_create_task"))
        event["requestContext"]["http"] |= {"method": method, "path": path}
        event |= {"rawPath": path, "rawQueryString": query}
        event["queryStringParameters"] = dict(each.split("=") for each in query.split("&")) if query else {}
        event["body"] = body if isinstance(body, str) else json.dumps(body) if body is not None else ""
        del event["headers"]["idempotency-key"]
        event["headers"] |= headers or {}
        return self.invoke_api(event)

    def invoke_api(self, event: dict[str, Any]) -> Answer:
        with self.deployment.rights.of("serve_api"):
            answer = self.handlers["serve_api"](event, Context())
        headers = {name.lower(): value for name, value in answer.get("headers", {}).items()}
        return Answer(answer["statusCode"], headers, json.loads(answer["body"]) if answer.get("body") else {})

    def submit(self, **body: Any) -> str:
        """Queue a task with a callback to the receiver, unless told otherwise; return its id."""
        answer = self.call(
            "POST", "/v1/tasks", {"prompt": "Why is the sky blue?", "callback_url": self.receiver.url} | body
        )
        assert answer.status == 202, answer.body
        return str(answer.body["id"])

    def read(self, task_id: str) -> dict[str, Any]:
        return self.call("GET", f"/v1/tasks/{task_id}").body

    def task(self, task_id: str) -> Task:
        task = self.tasks.find(task_id)
        assert task
        return task

    # The queues

    def receive(self, queue: str) -> list[dict[str, Any]]:
        """Take what is in a queue, due or not, as Lambda would; it is gone then, but for the records."""
        found = [each for each in self.queues.messages if each.queue == QUEUES[queue]][:10]
        for message in found:
            self.queues.messages.remove(message)
        return [message.record() for message in found]

    def deliver(self, queue: str, records: list[dict[str, Any]], seconds: float = 60.0) -> list[str]:
        """Invoke a queue's function as Lambda does, and return the ids of what failed."""
        function = HANDED_OVER[queue]
        with self.deployment.rights.of(function):
            answer = self.handlers[function]({"Records": records}, Context(seconds=seconds))
        return [each["itemIdentifier"] for each in answer["batchItemFailures"]]

    def turn(self, queue: str) -> int:
        """Deliver one batch of a queue; return how many messages it had."""
        records = self.receive(queue)
        if records:
            self.deliver(queue, records)
        return len(records)

    def run(self, *, turns: int = 50) -> None:
        """Work until no message is left, and the schedule finds none to send, letting the time of waits pass."""
        for _ in range(turns):
            if not (self.turn("TASK") + self.turn("CALLBACK")):
                self.let_time_pass()
                self.look()
                if not self.queues.messages:
                    return
            self.let_time_pass()
        raise AssertionError(f"There are still messages after {turns} turns.")

    def look(self) -> None:
        """Let the schedule look for tasks that need a message."""
        with self.deployment.rights.of("run_task"):
            assert self.handlers["run_task"](sample("run_task_schedule"), Context()) == {}

    def let_time_pass(self) -> None:
        """Make everything due: tasks, callbacks, leases of workers that died, probes, breakers."""
        for task in list(self.tasks.to_look_at(9e9)):
            self.table.update(Update(Key(f"TASK#{task.id}", "TASK"), set={"due_at": 1.0, "open_at": open_at(1.0)}))
        for incident in self.incidents.list_open():
            self.table.update(Update(Key(f"INCIDENT#{incident.kind}", "INCIDENT"), set={"probe_at": 1.0}))

    def delays(self, queue: str) -> list[float]:
        """Return the delays of all messages that a queue was sent."""
        return [each.delay for each in self.queues.sent if each.queue == QUEUES[queue]]

    def published(self) -> list[dict[str, Any]]:
        """Read what the completion topic has sent since the last look."""
        url = self.deployment.notices_url
        found = self.sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10).get("Messages", [])
        for each in found:
            self.sqs.delete_message(QueueUrl=url, ReceiptHandle=each["ReceiptHandle"])
        return [json.loads(each["Body"]) for each in found]

    def clear(self) -> None:
        """Leave nothing behind for the next test."""
        self.queues.clear()
        self.deployment.events.clear()
        for item in self.dynamodb.scan(TableName=self.table.name)["Items"]:
            self.table.delete(Key(item["pk"]["S"], item["sk"]["S"]))
        # SQS takes a purge once a minute only.
        self.sqs.delete_queue(QueueUrl=self.deployment.notices_url)
        self.sqs.create_queue(QueueName=self.deployment.notices_url.rsplit("/", 1)[1])
        s3 = boto3.client("s3")
        for stored in s3.list_objects_v2(Bucket=self.outbox).get("Contents", []):
            s3.delete_object(Bucket=self.outbox, Key=stored["Key"])
