"""The three handlers of the task door, unmodified, invoked as Lambda invokes them, and what a test asks of them."""

from __future__ import annotations

import copy
import importlib.util
import json
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

import boto3

from simulator.client import Simulator
from sluice.aws.dynamodb import Key, Table, Update
from sluice.incidents import Incidents
from sluice.table_keys import open_at
from sluice.tasks.table import TaskTable
from sluice.tasks.task import Task

from .aws_calls import AwsCalls
from .receiver import Receiver

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_sqs import SQSClient

ROOT = Path(__file__).resolve().parents[3]
FUNCTIONS = ("serve_api", "run_task", "deliver_callback")
HANDED_OVER = {"TASK": "run_task", "CALLBACK": "deliver_callback"}


class Context:
    """A Lambda context with ``seconds`` left."""

    function_name = "sluice"
    memory_limit_in_mb = 512
    invoked_function_arn = "arn:aws:lambda:us-east-1:123456789012:function:sluice"
    aws_request_id = "7d0e1f3c-1111-4222-8333-444455556666"

    def __init__(self, seconds: float = 60.0) -> None:
        self.seconds = seconds

    def get_remaining_time_in_millis(self) -> int:
        return int(self.seconds * 1000)


def load_handler(name: str) -> ModuleType:
    """Import a function's handler afresh, as a cold start does."""
    path = ROOT / "functions" / name / "handler.py"
    spec = importlib.util.spec_from_file_location(f"handler_of_{name}", path)
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def sample(name: str) -> dict[str, Any]:
    """Read a sample event."""
    event: dict[str, Any] = json.loads((ROOT / "events" / f"{name}.json").read_text())
    return event


def load_handlers() -> dict[str, Any]:
    return {name: load_handler(name).handler for name in FUNCTIONS}


@dataclass(frozen=True)
class Deployment:
    environment: dict[str, str]
    handlers: dict[str, Any]
    calls: AwsCalls


@dataclass(frozen=True)
class Answer:
    status: int
    headers: dict[str, str]
    body: dict[str, Any]


@dataclass
class Stack:
    """A deployed task door, and those at its ends."""

    simulator: Simulator
    receiver: Receiver
    environment: dict[str, str]
    calls: AwsCalls
    handlers: dict[str, Any]

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
        """Take what is in a queue, as Lambda would, in the shape of its events."""
        url = self.environment[f"SLUICE_{queue}_QUEUE_URL"]
        found = self.sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10).get("Messages", [])
        return [
            {**sample("run_task_messages")["Records"][0], "messageId": each["MessageId"], "body": each["Body"]}
            | {"receiptHandle": each["ReceiptHandle"]}
            for each in found
        ]

    def deliver(self, queue: str, records: list[dict[str, Any]], seconds: float = 60.0) -> list[str]:
        """Invoke a queue's function as Lambda does, delete what it handled, and return the ids of what failed."""
        answer = self.handlers[HANDED_OVER[queue]]({"Records": records}, Context(seconds))
        failed = [each["itemIdentifier"] for each in answer["batchItemFailures"]]
        for record in records:
            if record["messageId"] not in failed:
                self.delete(queue, record)
        return failed

    def delete(self, queue: str, record: dict[str, Any]) -> None:
        url = self.environment[f"SLUICE_{queue}_QUEUE_URL"]
        self.sqs.delete_message(QueueUrl=url, ReceiptHandle=record["receiptHandle"])

    def turn(self, queue: str) -> int:
        """Deliver one batch of a queue; return how many messages it had."""
        records = self.receive(queue)
        if records:
            self.deliver(queue, records)
        return len(records)

    def run(self, *, turns: int = 50) -> None:
        """Work until both queues are empty, letting the time pass that messages wait for."""
        for _ in range(turns):
            if not (self.turn("TASK") + self.turn("CALLBACK")):
                return
            self.let_time_pass()
        raise AssertionError(f"There are still messages after {turns} turns.")

    def let_time_pass(self) -> None:
        """Make everything due: tasks, callbacks, leases of workers that died, probes, breakers."""
        for task in list(self.tasks.overdue(10**10)):
            self.table.update(Update(Key(f"TASK#{task.id}", "TASK"), set={"due_at": 1.0, "open_at": open_at(1.0)}))
        for incident in self.incidents.list_open():
            self.table.update(Update(Key(f"INCIDENT#{incident.kind}", "INCIDENT"), set={"probe_at": 1.0}))

    def delays(self, queue: str) -> list[int]:
        return [delay for name, _, delay in self.calls.sent if name == queue]

    def published(self) -> list[dict[str, Any]]:
        """Read what the completion topic has sent since the last look."""
        url = self.environment["NOTIFICATIONS"]
        found = self.sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10).get("Messages", [])
        for each in found:
            self.sqs.delete_message(QueueUrl=url, ReceiptHandle=each["ReceiptHandle"])
        return [json.loads(each["Body"]) for each in found]

    def clear(self) -> None:
        """Leave nothing behind for the next test."""
        self.calls.clear()
        for item in self.dynamodb.scan(TableName=self.table.name)["Items"]:
            self.table.delete(Key(item["pk"]["S"], item["sk"]["S"]))
        for name in ("SLUICE_TASK_QUEUE_URL", "SLUICE_CALLBACK_QUEUE_URL", "NOTIFICATIONS"):
            # SQS takes a purge once a minute only.
            self.sqs.delete_queue(QueueUrl=self.environment[name])
            self.sqs.create_queue(QueueName=self.environment[name].rsplit("/", 1)[1])
        s3 = boto3.client("s3")
        for stored in s3.list_objects_v2(Bucket="outbox").get("Contents", []):
            s3.delete_object(Bucket="outbox", Key=stored["Key"])
