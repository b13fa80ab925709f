"""Jobs over HTTPS: listed, read, steered, each by whoever may; and their files by links."""

from __future__ import annotations

import time
from typing import Any

import boto3
import pytest

from simulator.client import Simulator
from sluice.jobs.model import JobStatus
from tests.integration.jobs.http_jobs import ADA, EVE, OPERATOR, Api, make_key, parse_link
from tests.integration.jobs.outputs import requests, run
from tests.integration.jobs.world import World, new_world


@pytest.fixture
def api(world: World) -> Api:
    return Api(world)


def test_jobs_are_listed_newest_first_page_by_page_ended_ones_too(world: World, api: Api) -> None:
    ids = []
    for number in range(5):
        ids.append(api.upload(requests(1), f"f{number}.jsonl"))
        world.clock.advance(3600)
    world.run_until_idle()

    pages, after = [], ""
    for _ in range(3):
        answer = api.call("GET", f"/v1/jobs?limit=2{after}").body
        pages += [job["id"] for job in answer["data"]]
        after = f"&after_id={answer['last_id'].replace('#', '%23')}" if answer["last_id"] else ""
    assert pages == ids[::-1]
    assert not answer["has_more"]


def test_an_operator_lists_all_jobs_back_over_the_months(world: World, api: Api) -> None:
    dropped = run(world, requests(1), "old.jsonl")
    world.clock.advance(70 * 86_400)
    owned = api.upload(requests(1), "new.jsonl")

    operator = api.as_(OPERATOR)
    assert operator.ids() == [owned, dropped]
    first = operator.call("GET", "/v1/jobs?limit=1").body
    assert operator.ids(f"?after_id={first['last_id'].replace('#', '%23')}") == [dropped]
    assert api.ids() == [owned]


def test_lists_are_filtered_by_status_folder_and_time(world: World, api: Api) -> None:
    old = api.upload(requests(1), "old.jsonl", folder="shop/eu")
    world.run_until_idle()
    world.clock.advance(2 * 86_400)
    new = api.announce(filename="new.jsonl", size=1, folder="shop").body["id"]
    other = api.announce(filename="other.jsonl", size=1, folder="shopping").body["id"]

    assert api.ids("?status=finished") == [old]
    assert api.ids("?status=awaiting_upload") == [other, new]
    assert api.ids("?folder=shop") == [new, old]
    assert api.ids("?folder=shop/eu") == [old]
    yesterday = time.strftime("%Y-%m-%d", time.gmtime(world.clock.now() - 86_400))
    for who in (ADA, OPERATOR):
        assert api.as_(who).ids(f"?since={yesterday}") == [other, new]
        assert api.as_(who).ids(f"?since={yesterday}T00:00:00Z&folder=shopping") == [other]
    for query in ("status=lost", "since=yesterday", "limit=0", "limit=101", "limit=x", "after_id=x"):
        assert api.call("GET", f"/v1/jobs?{query}").error == (400, "invalid_request_error")


def test_a_list_of_a_rare_status_says_where_to_go_on(world: World, api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sluice.jobs.serve.lists._MOST_LOOKED_AT", 2)
    rare = api.announce(filename="a.jsonl", size=1).body["id"]
    api.call("POST", f"/v1/jobs/{rare}/cancel")
    for _ in range(3):
        api.announce(filename="b.jsonl", size=1)
    found: list[dict[str, Any]] = []
    after, pages = "", 0
    while not found:
        page = api.call("GET", f"/v1/jobs?status=cancelled{after}").body
        found, after = page["data"], f"&after_id={(page['last_id'] or '').replace('#', '%23')}"
        pages += 1
    assert (found[0]["id"], pages) == (rare, 2)


def test_a_job_shows_its_plan_progress_costs_and_files(world: World, api: Api) -> None:
    job_id = api.upload(requests(3) + b"no request\n", settings={"limits": {"max_bad_share": 50}})
    world.run_until_idle()

    shown = api.job(job_id)
    assert shown["status"] == "finished_with_errors"
    assert (shown["plan"]["requests"], shown["plan"]["rejected"]) == (3, 1)
    assert (shown["progress"]["succeeded"], shown["tally"]["succeeded"]) == (3, 3)
    assert 0 < shown["costs"]["spent_usd"] <= shown["costs"]["worst_usd"]
    assert shown["costs"]["estimated_usd"] > 0
    assert "results.jsonl" in shown["files"]
    assert shown["files"]["report.html"] == f"{shown['status_url']}/files/report.html"


def test_a_file_is_led_to_by_a_link_that_lives_for_minutes(world: World, api: Api) -> None:
    job_id = api.upload(requests(2))
    world.run_until_idle()

    answer = api.call("GET", f"/v1/jobs/{job_id}/files/results.jsonl")
    link = parse_link(answer.headers["location"])
    assert (answer.status, answer.body["url"]) == (302, answer.headers["location"])
    assert (link.bucket, link.key) == (world.resources.ids["Outbox"], f"{job_id}/results.jsonl")
    assert 0 < link.seconds <= 300
    assert link.query["response-content-disposition"] == 'attachment; filename="results.jsonl"'
    stored = boto3.client("s3").get_object(Bucket=link.bucket, Key=link.key)["Body"].read()
    assert len(stored.splitlines()) == 2


@pytest.mark.parametrize("name", ["nothing.jsonl", "..%2Fother%2Fresults.jsonl", "work", "%2e%2e", "a%00b"])
def test_a_file_that_is_not_the_jobs_is_not_found(world: World, api: Api, name: str) -> None:
    job_id = api.upload(requests(1))
    world.run_until_idle()
    assert api.call("GET", f"/v1/jobs/{job_id}/files/{name}").error == (404, "not_found_error")


ROUTES = [
    ("GET", ""),
    ("GET", "/upload"),
    ("POST", "/upload/complete"),
    ("GET", "/files/results.jsonl"),
    ("GET", "/rows"),
    ("POST", "/release"),
    ("POST", "/cancel"),
    ("POST", "/retry"),
    ("DELETE", ""),
]


@pytest.mark.parametrize(("method", "path"), ROUTES)
def test_a_job_of_another_user_or_role_is_not_found(world: World, method: str, path: str) -> None:
    ada = Api(world, "assumed-role/ada/session-1")
    job_id = ada.announce(filename="a.jsonl", size=200 << 20, hold=True).body["id"]
    dropped = run(world, requests(1))
    before = world.job(job_id)
    for who in (EVE, "assumed-role/eve/session-1", "assumed-role/adam/session-1"):
        eve = Api(world, who)
        for each in (job_id, dropped):
            assert eve.call(method, f"/v1/jobs/{each}{path}").error == (404, "not_found_error")
        assert eve.ids() == []
    assert world.job(job_id) == before
    assert world.job(dropped).status is JobStatus.FINISHED
    assert Api(world, "assumed-role/ada/session-2").ids() == [job_id]


@pytest.mark.parametrize(("method", "path"), ROUTES)
def test_a_job_of_another_key_is_not_found(one_simulator: Simulator, method: str, path: str) -> None:
    with new_world(one_simulator, AuthMode="keys") as world:
        ada, eve = (Api(world, make_key(world, name)) for name in ("ada", "eve"))
        operator = Api(world, make_key(world, "boss", operator=True))
        job_id = ada.upload(requests(1))
        world.run_until_idle()
        before = world.job(job_id)

        assert eve.call(method, f"/v1/jobs/{job_id}{path}").error == (404, "not_found_error")
        assert eve.ids() == []
        assert world.job(job_id) == before
        assert operator.ids() == ada.ids() == [job_id]
        assert operator.call(method, f"/v1/jobs/{job_id}{path}").status != 404


def test_a_revoked_key_reads_nothing_more(one_simulator: Simulator) -> None:
    with new_world(one_simulator, AuthMode="keys") as world:
        assert Api(world, "sk-sluice-nonsense").call("GET", "/v1/jobs").error == (401, "authentication_error")
