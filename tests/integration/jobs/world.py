"""The batch door on this machine: the functions as they are deployed, AWS in process, Claude's simulator over HTTP.

Time is the test's: it passes only in leaps, in which nothing happens but what was due. Messages are delivered here,
so that a test can repeat, reorder and delay them.
"""

from __future__ import annotations

import functools
import importlib.util
import json
import os
import random
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import ModuleType
from typing import Any
from unittest.mock import patch
from urllib.parse import quote_plus

import boto3
import httpx2
from moto import mock_aws

from simulator.client import BatchRecord, Simulator
from sluice.aws.dynamodb import Table
from sluice.jobs.model import Job, Shard, Upload
from sluice.jobs.services import Services
from sluice.jobs.shard_table import ShardTable
from sluice.jobs.table import JobTable
from tests.world.aws import STACK, Stack, build_stack, client
from tests.world.calls import Crash, Outside, watched

FUNCTIONS = Path(__file__).resolve().parents[3] / "functions"
_STEPS = {
    "PlanQueue": "plan_job",
    "SubmitQueue": "submit_shard",
    "CollectQueue": "collect_shard",
    "FinishQueue": "finish_job",
}
POLL = "poll_batches"
_FIRST_LEAP, _LONGEST_LEAP = 60.0, 3600.0
_TIMEOUT_SECONDS = 300.0


@dataclass(eq=False)
class QueueMessage:
    """A message on its way: seen from ``due`` on, received ``count`` times until now."""

    queue: str
    body: str
    due: float
    count: int = 0


@dataclass
class Context:
    """What Lambda tells a function about its invocation."""

    clock: Clock
    function_name: str
    deadline: float = 0.0
    memory_limit_in_mb: int = 1769
    invoked_function_arn: str = "arn:aws:lambda:us-east-1:123456789012:function:test"
    aws_request_id: str = "00000000-0000-4000-8000-000000000000"

    def __post_init__(self) -> None:
        self.deadline = self.clock.now() + _TIMEOUT_SECONDS

    def get_remaining_time_in_millis(self) -> int:
        return max(round((self.deadline - self.clock.now()) * 1000), 0)


class Clock:
    """The time here and, in step with it, at Claude. Each look takes a millisecond, so that no two are the same."""

    def __init__(self, simulator: Simulator) -> None:
        self._simulator = simulator
        self._now = time.time()

    def now(self) -> float:
        self._now += 0.001
        return self._now

    def leap(self, seconds: float) -> None:
        self._now += seconds
        self._simulator.advance(seconds)


@dataclass
class World:
    stack: Stack
    simulator: Simulator
    clock: Clock
    outside: Outside
    queue_messages: list[QueueMessage] = field(default_factory=list)
    dead: list[QueueMessage] = field(default_factory=list)
    notices: list[dict[str, Any]] = field(default_factory=list)
    events: list[dict[str, Any]] = field(default_factory=list)
    polls: list[dict[str, Any]] = field(default_factory=list)
    _containers: dict[str, ModuleType] = field(default_factory=dict)

    # What can be seen

    @property
    def dynamodb(self) -> Table:
        dynamodb: Any = boto3.client("dynamodb")
        return Table(dynamodb, STACK)

    @property
    def job_table(self) -> JobTable:
        return JobTable(self.dynamodb)

    @property
    def shard_table(self) -> ShardTable:
        return ShardTable(self.dynamodb)

    def services(self, function: str = "CollectShard") -> Services:
        """The services of a function, with its environment and the clock of this world."""
        return Services.from_env(self.stack.environment(function))

    def job(self, job_id: str) -> Job:
        job = self.job_table.find(job_id)
        assert job is not None
        return job

    def shards(self, job_id: str) -> list[Shard]:
        return list(self.shard_table.of_job(job_id))

    def is_open(self) -> bool:
        return any(True for _ in self.job_table.open())

    def read(self, bucket: str, key: str) -> bytes:
        answer: bytes = boto3.client("s3").get_object(Bucket=self.stack.ids[bucket], Key=key)["Body"].read()
        return answer

    def paid_batches(self) -> list[BatchRecord]:
        return self.simulator.batches()

    # What can happen

    def upload(self, key: str, data: bytes, *, notify: bool = True) -> Upload:
        """Put a file in the Inbox; S3 tells the plan queue of it."""
        bucket = self.stack.ids["Inbox"]
        put = boto3.client("s3").put_object(Bucket=bucket, Key=key, Body=data)
        upload = Upload(bucket, key, put.get("VersionId"), put["ETag"].strip('"'), len(data))
        if notify:
            self.queue_messages.append(QueueMessage("PlanQueue", notification(upload), self.clock.now()))
        return upload

    def send(self, queue: str, message: Mapping[str, object], delay: float = 0.0) -> None:
        self.queue_messages.append(QueueMessage(queue, json.dumps(message), self.clock.now() + delay))

    def due(self) -> list[QueueMessage]:
        now = self.clock.now()
        return sorted((each for each in self.queue_messages if each.due <= now), key=lambda each: each.due)

    def deliver(self, queue_message: QueueMessage, *, keep: bool = False) -> bool:
        """Hand a message to its function, and delete it where that succeeded; with ``keep``, it comes again."""
        properties = self.stack.template.resources[queue_message.queue]["Properties"]
        queue_message.count += 1
        if queue_message.count > properties["RedrivePolicy"]["maxReceiveCount"]:
            self.queue_messages.remove(queue_message)
            self.dead.append(queue_message)
            return False
        queue_message.due = self.clock.now() + properties["VisibilityTimeout"]
        answer = self.invoke(_STEPS[queue_message.queue], {"Records": [_record(queue_message)]})
        done = answer is not None and not answer["batchItemFailures"]
        if done and not keep:
            self.queue_messages.remove(queue_message)
        return done

    def poll(self) -> dict[str, Any] | None:
        report = self.invoke(POLL, json.loads(self.stack.template.schedule_input("PollBatches")))
        if report:
            self.polls.append(report)
        return report

    def invoke(self, function: str, event: Mapping[str, Any]) -> dict[str, Any] | None:
        """Run a function's own handler; None where it crashed, or raised. The next time it starts cold then."""
        name = "".join(part.title() for part in function.split("_"))
        try:
            with patch.dict(os.environ, self.stack.environment(name)), self.outside.running(function):
                container = self._container(function)
                answer: dict[str, Any] = container.handler(event, Context(self.clock, name))
                return answer
        except Crash:
            self._containers.pop(function, None)
            return None

    def drive(self, *, seed: int | None = None, leaps: int = 60) -> None:
        """Deliver messages and poll until nothing is open and no message is left, letting time pass as it must.

        With a seed, messages come in any order, and some of them twice.
        """
        shuffle = None if seed is None else random.Random(seed)
        leap = _FIRST_LEAP
        for _ in range(leaps):
            moved = self.deliver_all(shuffle)
            self.poll()
            moved += self.deliver_all(shuffle)
            if not self.queue_messages and not self.is_open():
                return
            leap = _FIRST_LEAP if moved else min(leap * 4, _LONGEST_LEAP)
            self.clock.leap(leap)
        raise AssertionError(f"It does not come to rest: {[(each.queue, each.body) for each in self.queue_messages]}")

    def deliver_all(self, shuffle: random.Random | None = None) -> int:
        """Deliver what is due, and what comes of that; return how many messages that were."""
        count = 0
        while due := self.due():
            queue_message = shuffle.choice(due) if shuffle else due[0]
            self.deliver(
                queue_message, keep=shuffle is not None and queue_message.count == 0 and shuffle.random() < 0.3
            )
            count += 1
        return count

    def hear(self, operation: str, params: dict[str, Any]) -> None:
        """Take note of what was sent to a queue, to the topic or to the event bus."""
        now = self.clock.now()
        match operation:
            case "SendMessage":
                self._post(params["QueueUrl"], params["MessageBody"], now + params.get("DelaySeconds", 0))
            case "SendMessageBatch":
                for entry in params["Entries"]:
                    self._post(params["QueueUrl"], entry["MessageBody"], now + entry.get("DelaySeconds", 0))
            case "Publish":
                self.notices.append(json.loads(json.loads(params["Message"])["sqs"]))
            case "PutEvents":
                self.events += [json.loads(entry["Detail"]) for entry in params["Entries"]]

    def put_off(self, params: dict[str, Any]) -> None:
        """Let a message that a function has in hand come again after the visibility timeout that it asks for."""
        queue_message = next(each for each in self.queue_messages if _handle(each) == params["ReceiptHandle"])
        assert self.stack.queue_named(params["QueueUrl"]) == queue_message.queue
        queue_message.due = self.clock.now() + params["VisibilityTimeout"]

    def _post(self, url: str, body: str, due: float) -> None:
        self.queue_messages.append(QueueMessage(self.stack.queue_named(url), body, due))

    def _container(self, function: str) -> ModuleType:
        if function not in self._containers:
            path = FUNCTIONS / function / "handler.py"
            spec = importlib.util.spec_from_file_location(f"{function}_handler", path)
            assert spec
            assert spec.loader
            module = importlib.util.module_from_spec(spec)
            spec.loader.exec_module(module)
            self._containers[function] = module
        return self._containers[function]


def notification(upload: Upload) -> str:
    """What S3 writes of a new object, the key encoded as in a URL (S3: Event message structure)."""
    described: dict[str, Any] = {"key": quote_plus(upload.key, safe="/"), "size": upload.size, "eTag": upload.etag}
    if upload.version:
        described["versionId"] = upload.version
    record = {
        "eventVersion": "2.1",
        "eventSource": "aws:s3",
        "awsRegion": "us-east-1",
        "eventName": "ObjectCreated:Put",
        "s3": {"bucket": {"name": upload.bucket}, "object": described},
    }
    return json.dumps({"Records": [record]})


def _handle(queue_message: QueueMessage) -> str:
    return f"handle-{id(queue_message)}"


def _record(queue_message: QueueMessage) -> dict[str, Any]:
    return {
        "messageId": f"{id(queue_message):032x}",
        "receiptHandle": _handle(queue_message),
        "body": queue_message.body,
        "attributes": {"ApproximateReceiveCount": str(queue_message.count), "SentTimestamp": "0"},
        "messageAttributes": {},
        "eventSource": "aws:sqs",
        "eventSourceARN": f"arn:aws:sqs:us-east-1:123456789012:{queue_message.queue}",
        "awsRegion": "us-east-1",
    }


# Reading the certificates takes longer than a cold start without it; nothing here speaks TLS.
_ssl_context = functools.cache(httpx2.create_ssl_context)


@contextmanager
def new_world(simulator: Simulator, **parameters: str) -> Iterator[World]:
    """An empty AWS and an empty Claude. ``parameters`` are those of the template."""
    simulator.reset()
    clock = Clock(simulator)
    from_env = Services.from_env.__func__  # type: ignore[attr-defined]  # the function beneath a class method

    def with_clock(cls: type[Services], environ: Mapping[str, str]) -> Services:
        services: Services = replace(from_env(cls, environ), now=clock.now)
        closing.callback(services.claude.close)
        return services

    clients = patch("boto3.Session.client", lambda self, service, **_: client(service))
    sessions = patch("boto3.Session", functools.cache(boto3.Session))
    certificates = patch("httpx2._transports.default.create_ssl_context", _ssl_context)
    with (
        ExitStack() as closing,
        mock_aws(),
        clients,
        sessions,
        certificates,
        watched() as outside,
        patch.object(Services, "from_env", classmethod(with_clock)),
    ):
        stack = build_stack({"ClaudeBaseUrl": simulator.base_url, **parameters})
        world = World(stack, simulator, clock, outside)
        outside.heard.append(world.hear)
        outside.instead["ChangeMessageVisibility"] = world.put_off
        yield world
