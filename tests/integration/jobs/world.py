"""The batch door on this machine: the functions as they are deployed, AWS in process, Claude's simulator over HTTP.

Time is the test's: it passes only where the test advances it, and nothing happens meanwhile but what was due. Messages
are delivered here, so that a test can repeat, reorder and delay them.
"""

from __future__ import annotations

import functools
import json
import os
import random
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
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
from sluice.tasks.services import TaskServices
from tests.world.aws import STACK, Resources, client, create_resources
from tests.world.calls import Crash, WatchedCalls, watched
from tests.world.clock import Clock
from tests.world.lambdas import Context, load_handler
from tests.world.queues import QueueMessage, Queues
from tests.world.rights import Rights

_STEPS = {
    "PlanQueue": "plan_job",
    "SubmitQueue": "submit_shard",
    "CollectQueue": "collect_shard",
    "FinishQueue": "finish_job",
    "CallbackQueue": "deliver_callback",
    "DeleteQueue": "delete_job",
}
POLL = "poll_batches"
_FIRST_PAUSE, _LONGEST_PAUSE = 60.0, 3600.0
_TIMEOUT_SECONDS = 300.0


@dataclass
class World:
    resources: Resources
    simulator: Simulator
    clock: Clock
    calls: WatchedCalls
    queues: Queues
    rights: Rights
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
        return Services.from_env(self.resources.environment(function))

    def job(self, job_id: str) -> Job:
        job = self.job_table.find(job_id)
        assert job is not None
        return job

    def shards(self, job_id: str) -> list[Shard]:
        return list(self.shard_table.of_job(job_id))

    def is_open(self) -> bool:
        return any(True for _ in self.job_table.open())

    def read(self, bucket: str, key: str) -> bytes:
        answer: bytes = boto3.client("s3").get_object(Bucket=self.resources.ids[bucket], Key=key)["Body"].read()
        return answer

    def paid_batches(self) -> list[BatchRecord]:
        return self.simulator.batches()

    # What can happen

    def upload(self, key: str, data: bytes, *, notify: bool = True) -> Upload:
        """Put a file in the Inbox; S3 tells the plan queue of it."""
        bucket = self.resources.ids["Inbox"]
        put = boto3.client("s3").put_object(Bucket=bucket, Key=key, Body=data)
        upload = Upload(bucket, key, put.get("VersionId"), put["ETag"].strip('"'), len(data))
        if notify:
            self.queues.send("PlanQueue", notification(upload))
        return upload

    def send(self, queue: str, message: Mapping[str, object], delay: float = 0.0) -> None:
        self.queues.send(queue, json.dumps(message), delay)

    def due(self) -> list[QueueMessage]:
        return self.queues.due()

    def deliver(self, queue_message: QueueMessage, *, keep: bool = False) -> bool:
        """Hand a message to its function, and delete it where that succeeded; with ``keep``, it comes again."""
        properties = self.resources.template.resources[queue_message.queue]["Properties"]
        queue_message.count += 1
        if queue_message.count > properties["RedrivePolicy"]["maxReceiveCount"]:
            self.queues.messages.remove(queue_message)
            self.dead.append(queue_message)
            return False
        queue_message.due = self.clock.now() + properties["VisibilityTimeout"]
        answer = self.invoke(_STEPS[queue_message.queue], {"Records": [queue_message.record()]})
        done = answer is not None and not answer["batchItemFailures"]
        if done and not keep:
            self.queues.messages.remove(queue_message)
        return done

    def poll(self) -> dict[str, Any] | None:
        report = self.invoke(POLL, json.loads(self.resources.template.schedule_input("PollBatches")))
        if report:
            self.polls.append(report)
        return report

    def invoke(self, function: str, event: Mapping[str, Any]) -> dict[str, Any] | None:
        """Run a function's own handler; None where it crashed, or raised. The next time it starts cold then."""
        name = "".join(part.title() for part in function.split("_"))
        try:
            environment = patch.dict(os.environ, self.resources.environment(name))
            with environment, self.rights.of(function), self.calls.running(function):
                container = self._container(function)
                answer: dict[str, Any] = container.handler(event, Context(name, _TIMEOUT_SECONDS, self.clock.now))
                return answer
        except Crash:
            self._containers.pop(function, None)
            return None

    def run_until_idle(self, *, seed: int | None = None, advances: int = 60) -> None:
        """Deliver messages and poll until nothing is open and no message is left, letting time pass as it must.

        With a seed, messages come in any order, and some of them twice.
        """
        shuffle = None if seed is None else random.Random(seed)
        pause = _FIRST_PAUSE
        for _ in range(advances):
            moved = self.deliver_all(shuffle)
            self.poll()
            moved += self.deliver_all(shuffle)
            if not self.queues.messages and not self.is_open():
                return
            pause = _FIRST_PAUSE if moved else min(pause * 4, _LONGEST_PAUSE)
            self.clock.advance(pause)
        raise AssertionError(f"It does not come to rest: {[(each.queue, each.body) for each in self.queues.messages]}")

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

    def record_call(self, operation: str, params: dict[str, Any]) -> None:
        """Record what was sent to a queue, to the topic or to the event bus."""
        self.queues.record_call(operation, params)
        match operation:
            case "Publish":
                self.notices.append(json.loads(json.loads(params["Message"])["sqs"]))
            case "PutEvents":
                self.events += [json.loads(entry["Detail"]) for entry in params["Entries"]]

    def _container(self, function: str) -> ModuleType:
        if function not in self._containers:
            self._containers[function] = load_handler(function)
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


# Reading the certificates takes longer than a cold start without it; nothing here speaks TLS.
_ssl_context = functools.cache(httpx2.create_ssl_context)


@contextmanager
def new_world(simulator: Simulator, start: float | None = None, **parameters: str) -> Iterator[World]:
    """An empty AWS and an empty Claude, at the time ``start``. ``parameters`` are those of the template."""
    simulator.reset()
    clock = Clock(simulator, start)
    from_env = Services.from_env.__func__  # type: ignore[attr-defined]  # the function beneath a class method

    def with_clock(cls: type[Services], environ: Mapping[str, str]) -> Services:
        services: Services = replace(from_env(cls, environ), now=clock.now)
        closing.callback(services.claude.close)
        return services

    make_courier = TaskServices.courier

    def courier_with_clock(services: TaskServices, book: Any) -> Any:
        return replace(make_courier(services, book), now=clock.now)

    clients = patch("boto3.Session.client", lambda self, service, **_: client(service))
    sessions = patch("boto3.Session", functools.cache(boto3.Session))
    certificates = patch("httpx2._transports.default.create_ssl_context", _ssl_context)
    with (
        ExitStack() as closing,
        mock_aws(),
        clients,
        sessions,
        certificates,
        watched() as calls,
        patch.object(Services, "from_env", classmethod(with_clock)),
        patch.object(TaskServices, "courier", courier_with_clock),
    ):
        resources = create_resources({"ClaudeBaseUrl": simulator.base_url, "Operators": "tester", **parameters})
        rights = Rights(resources)
        world = World(resources, simulator, clock, calls, Queues(resources.queue_named, clock.now), rights)
        calls.listeners.append(world.record_call)
        calls.watchers.append(rights.watch)
        calls.instead["ChangeMessageVisibility"] = world.queues.change_visibility
        yield world
