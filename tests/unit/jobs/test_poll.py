"""Ten thousand open batches in one run: what it costs in calls and in memory."""

from __future__ import annotations

import json
import tracemalloc
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

import httpx2
import pytest

from sluice.aws.dynamodb import Table
from sluice.aws.dynamodb_json import to_item
from sluice.aws.sqs import Sqs
from sluice.claude.batches import ClaudeApi
from sluice.deadline import Deadline
from sluice.jobs.model import ShardStatus
from sluice.jobs.poll.poll import poll
from sluice.jobs.services import Services
from sluice.jobs.table_items import job_item, shard_item
from sluice.settings import JobSettings
from tests.unit.jobs.samples import NOW, a_job, a_shard

BATCHES = 10_000
# PollBatches has 512 MB, of which Python and its modules take some 120 MB.
MEMORY_BYTES = 150_000_000


@dataclass
class Dynamo:
    """A table that answers with pages of open items, as large as DynamoDB's, and takes any change."""

    items: list[dict[str, Any]]
    calls: Counter[str] = field(default_factory=Counter)

    def query(self, **request: Any) -> dict[str, Any]:
        if {"S": "INCIDENT"} in request["ExpressionAttributeValues"].values():
            return {"Items": []}
        self.calls["query"] += 1
        start = int(request.get("ExclusiveStartKey", {}).get("n", 0))
        page = {"Items": self.items[start : start + 1000]}
        more = start + 1000 < len(self.items)
        return {**page, "LastEvaluatedKey": {"n": start + 1000}} if more else page

    def update_item(self, **request: Any) -> dict[str, Any]:
        self.calls["update"] += 1
        return {"Attributes": self.items[1]}

    def get_item(self, **_: Any) -> dict[str, Any]:
        self.calls["get"] += 1
        return {}


@dataclass
class CountingSqs:
    messages: int = 0

    def send_message_batch(self, **request: Any) -> dict[str, Any]:
        assert len(request["Entries"]) <= 10
        self.messages += len(request["Entries"])
        return {}


@dataclass
class ListOfBatches:
    """Claude's list of batches, newest first."""

    status: str
    calls: Counter[str] = field(default_factory=Counter)

    def handle(self, request: httpx2.Request) -> httpx2.Response:
        self.calls[request.url.path] += 1
        limit = int(request.url.params["limit"])
        after = request.url.params.get("after_id")
        newest = int(after.split("_")[1]) - 1 if after else BATCHES - 1
        numbers = range(newest, max(newest - limit, -1), -1)
        data = [self.batch(number) for number in numbers]
        page = {"data": data, "has_more": numbers[-1] > 0, "first_id": data[0]["id"], "last_id": data[-1]["id"]}
        return httpx2.Response(200, content=json.dumps(page))

    def batch(self, number: int) -> dict[str, Any]:
        counts = {"processing": 10, "succeeded": 0, "errored": 0, "canceled": 0, "expired": 0}
        return {
            "id": f"msgbatch_{number}",
            "type": "message_batch",
            "processing_status": self.status,
            "request_counts": counts,
            "created_at": "2026-11-22T10:00:00Z",
            "expires_at": "2026-11-23T10:00:00Z",
        }


@pytest.mark.parametrize(("status", "ended"), [("in_progress", 0), ("ended", BATCHES)])
def test_ten_thousand_batches_are_polled_in_one_run(status: str, ended: int) -> None:
    dynamo, sqs, batches = Dynamo(running_shards(BATCHES)), CountingSqs(), ListOfBatches(status)

    report = poll(services(dynamo, sqs, batches), Deadline(200.0, lambda: 0.0))

    assert (report.in_progress, report.ended, report.failure) == (BATCHES, ended, None)
    assert batches.calls == {"/v1/messages/batches": BATCHES // 1000}
    assert dynamo.calls["query"] == BATCHES // 1000 + 1
    assert dynamo.calls["update"] == ended + (1 if ended else 0)
    assert sqs.messages == ended


def test_ten_thousand_batches_fit_into_the_memory_of_the_function() -> None:
    dynamo = Dynamo(running_shards(BATCHES))
    tracemalloc.start()
    report = poll(services(dynamo, CountingSqs(), ListOfBatches("in_progress")), Deadline(200.0, lambda: 0.0))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert report.in_progress == BATCHES
    assert peak < MEMORY_BYTES


def test_a_run_ends_before_its_time_is_up_and_leaves_the_rest_to_the_next() -> None:
    dynamo, sqs = Dynamo(running_shards(100)), CountingSqs()

    report = poll(services(dynamo, sqs, ListOfBatches("ended")), Deadline(12.0, lambda: 0.0))

    assert report.ended == sqs.messages == 10


def running_shards(count: int) -> list[dict[str, Any]]:
    """Return the items of a job and its shards, a batch of each on its way."""
    shards = (
        a_shard(ShardStatus.IN_PROGRESS, number, batch_id=f"msgbatch_{number}", intent_at=NOW, submitted_at=NOW)
        for number in range(count)
    )
    return [to_item(job_item(a_job())), *(to_item(shard_item(shard)) for shard in shards)]


def services(dynamo: Any, sqs: Any, batches: ListOfBatches) -> Services:
    unused: Any = None
    claude = ClaudeApi("http://claude", lambda: "key", transport=httpx2.MockTransport(batches.handle))
    table = Table(dynamo, "table")
    return Services(JobSettings("table"), table, unused, Sqs(sqs), unused, claude, lambda: NOW + 60)
