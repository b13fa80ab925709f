"""Rows of ended jobs, a page at a time, by byte ranges."""

from __future__ import annotations

import time
from array import array
from typing import Any

import boto3
import pytest

from simulator.client import Match, Result, Simulator
from sluice.jobs.rows import ANSWERED, ERRORED, RowDirectory, ShardRows, ShardTotals, encode_directory, rows_key
from tests.integration.jobs.http_jobs import Api
from tests.integration.jobs.job_maker import request_line
from tests.integration.jobs.outputs import lines, requests
from tests.integration.jobs.world import World, new_world

LOOSE = {"limits": {"max_bad_share": 90}}


@pytest.fixture
def api(world: World) -> Api:
    return Api(world)


def pages(api: Api, job_id: str, query: str = "limit=3") -> list[dict[str, Any]]:
    """Read all rows, page by page."""
    rows: list[dict[str, Any]] = []
    after = 0
    while True:
        page = api.call("GET", f"/v1/jobs/{job_id}/rows?after={after}&{query}")
        assert page.status == 200, page.body
        rows += page.body["data"]
        if not page.body["has_more"]:
            return rows
        after = page.body["last_row"]


def test_rows_come_in_the_order_of_the_file_across_shards_and_waves(one_simulator: Simulator) -> None:
    with new_world(one_simulator, MaxShardRequests="3") as world:
        overloaded, invalid = (Result(error_type=name) for name in ("overloaded_error", "invalid_request_error"))
        world.simulator.fail(overloaded, Match(prompt="passes"), times=2)
        world.simulator.fail(invalid, Match(prompt="hopeless"))
        file = [b"no request\n"]
        for number in range(8):
            word = "passes" if number % 3 == 1 else "hopeless" if number % 3 == 2 else "plain"
            file.append(request_line(f"r-{number}", f"This one is {word}, number {number}."))
            file += [b"\n"] if number == 4 else []
        api = Api(world)
        job_id = api.upload(b"".join(file), settings=LOOSE)
        world.run_until_idle()

        rows = pages(api, job_id)
        assert [row["row"] for row in rows] == list(range(1, 11))
        outcomes = "rejected succeeded succeeded errored succeeded succeeded rejected errored succeeded succeeded"
        assert [row["status"] for row in rows] == outcomes.split()
        answers = {line["custom_id"]: line["result"]["message"] for line in lines(world, job_id, "results")}
        for row in rows:
            if row["status"] == "succeeded":
                assert row["answer"] == answers[row["id"]]["content"][0]["text"]
        assert [row["id"] for row in rows if row["status"] == "errored"] == ["r-2", "r-5"]
        assert "invalid_request_error" in rows[3]["error"]
        assert rows[0]["text"] == "no request"

        for status in ("succeeded", "errored", "rejected"):
            found = pages(api, job_id, f"limit=2&status={status}")
            assert [row["row"] for row in found] == [row["row"] for row in rows if row["status"] == status]
        assert pages(api, job_id, "limit=200") == rows


def test_rows_of_a_table_have_their_columns(world: World, api: Api) -> None:
    count = 300
    table = "name;größe\n" + "".join(f'"n, {number}";{number}\n' for number in range(count))
    settings = {"prompt": "Name {name}", "model": "claude-haiku-5-5", "max_tokens": 500}
    job_id = api.upload(table.encode("latin-1"), "Wörter.csv", settings=settings)
    world.run_until_idle()

    page = api.call("GET", f"/v1/jobs/{job_id}/rows?after=254&limit=4").body
    assert page["columns"] == ["name", "größe"]
    assert page["rows"] == count
    assert [row["columns"] for row in page["data"]] == [
        {"name": f"n, {number}", "größe": str(number)} for number in range(254, 258)
    ]
    assert all(row["status"] == "succeeded" and f"n, {row['row'] - 1}" in row["answer"] for row in page["data"])
    assert api.call("GET", f"/v1/jobs/{job_id}/rows?after={count}").body["data"] == []


def test_an_answer_that_is_none_is_shown_by_its_status(world: World, api: Api) -> None:
    job_id = api.upload(b"Tell a very long story of a river.\n", "a.txt", settings={"max_tokens": 2})
    world.run_until_idle()
    (row,) = pages(api, job_id)
    assert (row["status"], row["stop_reason"]) == ("cut_off", "max_tokens")
    assert "max_tokens (2)" in row["error"]


def test_rows_are_there_once_the_job_has_ended(world: World, api: Api) -> None:
    job_id = api.upload(requests(2))
    world.deliver_all()
    assert api.call("GET", f"/v1/jobs/{job_id}/rows").error == (409, "conflict_error")
    world.run_until_idle()
    boto3.client("s3").delete_object(Bucket=world.resources.ids["Outbox"], Key=rows_key(job_id, "directory.json"))
    assert api.call("GET", f"/v1/jobs/{job_id}/rows").error == (409, "conflict_error")


@pytest.mark.parametrize("query", ["after=-1", "limit=0", "limit=201", "status=lost", "after=x"])
def test_a_page_that_cannot_be_is_refused(world: World, api: Api, query: str) -> None:
    job_id = api.upload(requests(1))
    world.run_until_idle()
    assert api.call("GET", f"/v1/jobs/{job_id}/rows?{query}").error == (400, "invalid_request_error")


def test_a_page_of_a_million_rows_takes_under_a_second_and_reads_little(world: World, api: Api) -> None:
    """The files are as a job of ten shards leaves them: nine of ten rows answered, a thousand rejected."""
    job_id = api.upload(requests(1))
    world.run_until_idle()
    shard_rows, s3, outbox = 100_000, boto3.client("s3"), world.resources.ids["Outbox"]
    line = world.read("Outbox", f"{job_id}/results.jsonl")
    statuses = bytearray(bytes([ANSWERED] * 9 + [ERRORED]) * (shard_rows // 10))
    lengths = array("I", [len(line)] * 9 + [60]) * (shard_rows // 10)
    error = b'{"custom_id":"e","result":{"type":"expired"}}'.ljust(59) + b"\n"
    answers, errors = 9 * shard_rows // 10, shard_rows // 10
    totals = ShardTotals(shard_rows, answers, answers * len(line), errors, errors * len(error))
    rejected = range(1000, 1_000_001, 1000)
    rejected_line = b'{"line":1,"reason":"It is bad.","text":""}\n'
    directory = RowDirectory(
        (totals,) * 10, tuple(rejected), tuple(len(rejected_line) * (number + 1) for number in range(1000))
    )
    for key, body in {
        rows_key(job_id, "places"): ShardRows(statuses, lengths).encode() * 10,
        rows_key(job_id, "directory.json"): encode_directory(directory),
        f"{job_id}/results.jsonl": line * 9_000,
        f"{job_id}/errors.jsonl": error * errors * 10,
        f"{job_id}/rejected.jsonl": rejected_line * 1000,
    }.items():
        s3.put_object(Bucket=outbox, Key=key, Body=body)

    for query in ("after=0", "after=7000", "status=rejected&after=900000", "status=errored&after=950000"):
        begun = time.process_time()
        page = api.call("GET", f"/v1/jobs/{job_id}/rows?limit=100&{query}")
        assert time.process_time() - begun < 1.0
        assert len(page.body["data"]) == 100
    assert page.body["data"][0]["status"] == "expired"
    assert page.body["rows"] == 1_001_000
