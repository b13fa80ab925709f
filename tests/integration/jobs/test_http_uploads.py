"""Jobs made over HTTPS: announced, uploaded whole or by parts, taken or not."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import boto3
import pytest

from simulator.client import Simulator
from sluice.aws import s3_links
from sluice.jobs.model import JobStatus
from sluice.jobs.serve import uploads
from sluice.jobs.tickets import OPEN_SECONDS
from tests.integration.jobs.http_jobs import (
    ADA,
    EVE,
    OPERATOR,
    Api,
    make_key,
    parse_link,
    send_by_link,
    send_part,
    tell_of,
)
from tests.integration.jobs.outputs import requests
from tests.integration.jobs.world import World, new_world

CSV = b"product,review\ncup,fine\nplate,broken\n"
SETTINGS = {"model": "claude-haiku-5-5", "prompt": "Review: {review}", "max_tokens": 500}


@pytest.fixture
def api(world: World) -> Api:
    return Api(world)


@pytest.fixture
def keys(one_simulator: Simulator) -> Iterator[World]:
    """A world whose callers show keys."""
    with new_world(one_simulator, AuthMode="keys") as world:
        yield world


def test_a_file_in_the_body_runs_as_a_job_of_its_caller(world: World, api: Api) -> None:
    answer = api.call("POST", "/v1/jobs?filename=rivers.jsonl&folder=shop/eu", requests(2))

    assert (answer.status, answer.body["status"]) == (201, "received")
    job_id = answer.body["id"]
    assert answer.headers["location"].endswith(f"/v1/jobs/{job_id}")
    (stored,) = boto3.client("s3").list_objects_v2(Bucket=world.resources.ids["Inbox"])["Contents"]
    assert stored["Key"] == f"shop/eu/{job_id}/rivers.jsonl"
    tell(world, stored["Key"])
    world.run_until_idle()
    shown = api.job(job_id)
    assert (shown["status"], shown["owner"], shown["folder"]) == (
        "finished",
        f"iam:arn:aws:iam::123456789012:{ADA}",
        "shop/eu",
    )
    assert (shown["filename"], shown["tally"]["succeeded"]) == ("rivers.jsonl", 2)
    assert len(world.paid_batches()) == 1


def tell(world: World, key: str) -> None:
    """Let S3 tell of an object that a function has stored."""
    found = boto3.client("s3").head_object(Bucket=world.resources.ids["Inbox"], Key=key)
    tell_of(world, key, found, found["ContentLength"])


def test_an_announced_file_finds_its_ticket_with_its_settings(world: World, api: Api) -> None:
    world.upload("shop/sluice.yaml", b'prompt: "About {product}"\nmodel: claude-sonnet-5-5\nlimits: {max_waves: 2}\n')
    world.deliver_all()
    answer = api.announce(filename="reviews.csv", folder="shop", size=len(CSV), settings=SETTINGS, metadata={"a": 1})

    assert (answer.body["status"], answer.body["upload"]["method"]) == ("awaiting_upload", "PUT")
    send_by_link(world, answer.body["upload"]["url"], CSV)
    world.run_until_idle()

    shown = api.job(answer.body["id"])
    assert (shown["status"], shown["metadata"]) == ("finished", {"a": 1})
    assert shown["plan"]["models"] == ["claude-haiku-5-5"]
    (asked,) = world.paid_batches()
    assert asked.count == 2


def test_a_link_is_bound_to_its_object_its_size_and_an_hour(world: World, api: Api) -> None:
    answer = api.announce(filename="reviews.csv", folder="shop", size=37)

    link = parse_link(answer.body["upload"]["url"])
    assert (link.bucket, link.key) == (world.resources.ids["Inbox"], f"shop/{answer.body['id']}/reviews.csv")
    assert link.seconds == 3600
    assert link.signed_headers == "content-length;host"
    assert answer.body["upload"]["headers"] == {"content-length": "37"}


def test_a_link_does_not_outlive_its_ticket(world: World, api: Api) -> None:
    job_id = api.announce(filename="rivers.jsonl", size=10).body["id"]
    world.clock.advance(OPEN_SECONDS - 600)

    renewed = api.call("GET", f"/v1/jobs/{job_id}/upload").body
    assert 500 < parse_link(renewed["url"]).seconds <= 600
    world.clock.advance(601)
    assert api.call("GET", f"/v1/jobs/{job_id}/upload").error == (409, "conflict_error")


def test_a_ticket_that_is_not_used_expires_and_is_listed_so(world: World, api: Api) -> None:
    answer = api.announce(filename="rivers.jsonl", size=len(requests(1)))
    job_id = answer.body["id"]
    world.clock.advance(OPEN_SECONDS + 3601)
    world.poll()

    assert api.job(job_id)["status"] == "expired"
    assert api.ids("?status=expired") == [job_id]
    assert not world.is_open()
    assert world.notices == []

    send_by_link(world, answer.body["upload"]["url"], requests(1))
    world.run_until_idle()
    assert api.job(job_id)["status"] == "expired"
    assert world.paid_batches() == []


def test_a_file_that_comes_right_at_the_end_is_taken(world: World, api: Api) -> None:
    answer = api.announce(filename="rivers.jsonl", size=len(requests(1)))
    world.clock.advance(OPEN_SECONDS + 3000)
    world.poll()
    send_by_link(world, answer.body["upload"]["url"], requests(1))
    world.run_until_idle()

    assert api.job(answer.body["id"])["status"] == "finished"


def test_a_ticket_that_was_withdrawn_runs_nothing(world: World, api: Api) -> None:
    answer = api.announce(filename="rivers.jsonl", size=len(requests(1)))
    assert api.call("POST", f"/v1/jobs/{answer.body['id']}/cancel").body["status"] == "cancelled"

    send_by_link(world, answer.body["upload"]["url"], requests(1))
    world.run_until_idle()
    assert api.job(answer.body["id"])["status"] == "cancelled"
    assert world.paid_batches() == []
    assert api.call("GET", f"/v1/jobs/{answer.body['id']}/upload").status == 409


def test_an_upload_of_another_size_than_announced_fails_and_runs_nothing(world: World, api: Api) -> None:
    data = requests(2)
    answer = api.announce(filename="rivers.jsonl", size=len(data) + 1)
    send_by_link(world, answer.body["upload"]["url"], data)
    world.run_until_idle()

    shown = api.job(answer.body["id"])
    assert shown["status"] == "failed"
    assert f"has {len(data)} bytes, and {len(data) + 1} were announced" in shown["failure"]
    assert world.paid_batches() == []


def test_of_two_uploads_under_one_ticket_the_first_is_the_job(world: World, api: Api) -> None:
    data, other = requests(2), requests(3)[: len(requests(2)) - 1] + b"\n"
    answer = api.announce(filename="rivers.jsonl", size=len(data))
    for each in (data, other):
        send_by_link(world, answer.body["upload"]["url"], each)
    world.run_until_idle()

    assert api.job(answer.body["id"])["tally"]["succeeded"] == 2
    assert len(world.paid_batches()) == 1
    assert len(api.ids()) == 1


def test_a_file_of_no_bytes_is_taken_and_told_to_be_empty(world: World, api: Api) -> None:
    by_link = api.upload(b"")
    world.run_until_idle()
    assert (api.job(by_link)["status"], api.job(by_link)["failure"]) == ("failed", "The file is empty.")

    answer = api.call("POST", "/v1/jobs?filename=rivers.jsonl", b"")
    assert (answer.status, answer.body["status"]) == (201, "received")
    tell(world, answer.body["key"])
    world.run_until_idle()
    assert api.job(answer.body["id"])["failure"] == "The file is empty."


def test_a_file_above_what_lambda_carries_is_refused_in_the_body_and_taken_by_a_link(world: World, api: Api) -> None:
    large = b"x" * (6 * 1024 * 1024 + 1)
    assert api.call("POST", "/v1/jobs?filename=a.txt", large).error == (413, "request_too_large")
    answer = api.announce(filename="a.txt", size=len(large))
    assert answer.body["upload"]["method"] == "PUT"


def test_a_large_file_comes_by_parts_that_can_be_sent_in_any_order_and_again(
    world: World, api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    five = 5 << 20
    monkeypatch.setattr(s3_links, "_PART_BYTES", five)
    monkeypatch.setattr(uploads, "ONE_PUT_BYTES", five)
    data = requests(1).ljust(2 * five + 100, b" ") + b"\n"
    answer = api.announce(filename="rivers.jsonl", size=len(data))
    job_id, upload = answer.body["id"], answer.body["upload"]
    assert (upload["parts"], upload["part_size"]) == (3, five)
    pieces = {link["part"]: data[(link["part"] - 1) * five :][: link["size"]] for link in upload["links"]}
    links = {link["part"]: link["url"] for link in upload["links"]}
    send_part(links[3], pieces[3])
    send_part(links[1], pieces[1])

    early = api.call("POST", f"/v1/jobs/{job_id}/upload/complete")
    assert early.error == (409, "conflict_error")
    assert "1 have not come: 2" in early.body["error"]["message"]
    again = api.call("GET", f"/v1/jobs/{job_id}/upload").body
    assert ([link["part"] for link in again["links"]], again["parts_uploaded"]) == ([2], 2)
    send_part(again["links"][0]["url"], pieces[2])
    done = api.call("POST", f"/v1/jobs/{job_id}/upload/complete")
    assert (done.status, done.body["status"]) == (200, "received")
    assert api.call("POST", f"/v1/jobs/{job_id}/upload/complete").body["id"] == job_id

    tell(world, done.body["key"])
    world.run_until_idle()
    assert api.job(job_id)["tally"]["succeeded"] == 1
    assert len(world.paid_batches()) == 1


def test_parts_of_the_wrong_size_are_asked_for_again(world: World, api: Api) -> None:
    answer = api.announce(filename="rivers.jsonl", size=101 << 20)
    (first, last) = answer.body["upload"]["links"]
    send_part(first["url"], b"short")
    send_part(last["url"], b"x" * last["size"])

    refused = api.call("POST", f"/v1/jobs/{answer.body['id']}/upload/complete")
    assert "Part 1 has 5 bytes, and 67108864 were announced" in refused.body["error"]["message"]
    again = api.call("GET", f"/v1/jobs/{answer.body['id']}/upload").body
    assert [link["part"] for link in again["links"]] == [1]


def test_links_for_five_terabytes_come_a_hundred_at_a_time(world: World, api: Api) -> None:
    size = 5 << 40
    answer = api.announce(filename="rivers.jsonl", size=size)
    upload, sizes = answer.body["upload"], []
    assert upload["parts"] <= 10_000
    sizes += [link["size"] for link in upload["links"]]
    assert len(sizes) == 100
    assert len(json.dumps(upload)) < 300_000
    assert upload["next_url"].endswith("/upload?after=100")
    last = api.call("GET", f"/v1/jobs/{answer.body['id']}/upload?after={upload['parts'] - 1}").body
    assert upload["part_size"] * (upload["parts"] - 1) + last["links"][0]["size"] == size
    assert last["next_url"] is None
    refused = api.call("POST", "/v1/jobs", {"filename": "a.jsonl", "size": size + 1})
    assert refused.error == (400, "invalid_request_error")


def test_a_crash_after_the_parts_were_joined_is_made_up_for(
    world: World, api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(uploads, "ONE_PUT_BYTES", 10)
    data = requests(1)
    answer = api.announce(filename="rivers.jsonl", size=len(data))
    (link,) = answer.body["upload"]["links"]
    send_part(link["url"], data)
    upload_id, inbox = parse_link(link["url"]).query["uploadId"], world.resources.ids["Inbox"]
    target: dict[str, Any] = {"Bucket": inbox, "Key": answer.body["key"], "UploadId": upload_id}
    parts = boto3.client("s3").list_parts(**target)["Parts"]
    named: list[Any] = [{"PartNumber": each["PartNumber"], "ETag": each["ETag"]} for each in parts]
    boto3.client("s3").complete_multipart_upload(**target, MultipartUpload={"Parts": named})

    assert api.call("POST", f"/v1/jobs/{answer.body['id']}/upload/complete").status == 200
    tell(world, answer.body["key"])
    world.run_until_idle()
    assert api.job(answer.body["id"])["status"] == "finished"


def test_a_hold_that_was_asked_for_waits_for_its_owner(world: World, api: Api) -> None:
    job_id = api.upload(requests(2), hold=True)
    world.deliver_all()

    shown = api.job(job_id)
    assert (shown["status"], shown["hold"]["kind"], shown["hold"]["needs_operator"]) == ("held", "requested", False)
    assert shown["plan"]["requests"] == 2
    assert shown["costs"]["estimated_usd"] > 0
    assert world.paid_batches() == []
    assert world.notices == []
    assert api.call("POST", f"/v1/jobs/{job_id}/release").status == 200
    world.run_until_idle()
    assert api.job(job_id)["status"] == "finished"


def test_what_passes_the_stacks_limit_is_an_operators_to_release(one_simulator: Simulator) -> None:
    with new_world(one_simulator, MaxJobCost="0.0000001") as world:
        api = Api(world)
        job_id = api.upload(requests(2), hold=True)
        world.deliver_all()
        assert api.job(job_id)["hold"]["kind"] == "cost"
        assert api.call("POST", f"/v1/jobs/{job_id}/release").error == (403, "permission_error")
        assert api.as_(OPERATOR).call("POST", f"/v1/jobs/{job_id}/release").status == 200


def test_what_passes_its_own_limit_is_its_owners_to_release(world: World, api: Api) -> None:
    job_id = api.upload(requests(2), settings={"limits": {"max_cost": 0.0000001}})
    world.deliver_all()
    assert api.job(job_id)["hold"]["kind"] == "cost"
    assert api.call("POST", f"/v1/jobs/{job_id}/release").status == 200


def test_a_repeated_call_finds_the_first_job_and_another_body_is_a_conflict(world: World, api: Api) -> None:
    key = {"idempotency-key": "monday"}
    body = {"filename": "rivers.jsonl", "size": 5}
    first = api.call("POST", "/v1/jobs", body, key)
    again = api.call("POST", "/v1/jobs", body, key)
    assert (again.status, again.body["id"]) == (201, first.body["id"])
    assert parse_link(again.body["upload"]["url"]).key == parse_link(first.body["upload"]["url"]).key
    assert api.call("POST", "/v1/jobs", {**body, "size": 6}, key).error == (409, "conflict_error")
    assert api.as_(EVE).call("POST", "/v1/jobs", body, key).body["id"] != first.body["id"]
    assert len(api.ids()) == 1

    by_body = [api.call("POST", "/v1/jobs?filename=rivers.jsonl", requests(1), {"idempotency-key": "b"}) for _ in "ab"]
    assert by_body[0].body["id"] == by_body[1].body["id"]
    other = api.call("POST", "/v1/jobs?filename=rivers.jsonl", requests(2), {"idempotency-key": "b"})
    assert other.error == (409, "conflict_error")


def test_what_is_dropped_by_hand_beside_a_ticket_is_a_job_of_its_own(world: World, api: Api) -> None:
    job_id = api.announce(filename="rivers.jsonl", size=5).body["id"]
    dropped = world.upload(f"{job_id}/lakes.jsonl", requests(1)).job_id
    unknown = world.upload("rivers-0123456789abcdef01234567/rivers.jsonl", requests(1)).job_id
    world.deliver_all()

    assert api.job(job_id)["status"] == "awaiting_upload"
    assert world.job(dropped).status is world.job(unknown).status is JobStatus.RUNNING


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "filename"),
        ({"filename": "a.jsonl"}, "size"),
        ({"filename": "a.jsonl", "size": -1}, "size"),
        ({"filename": "a.jsonl", "size": True}, "size"),
        ({"filename": "a/b.jsonl", "size": 1}, "filename"),
        ({"filename": ".a.jsonl", "size": 1}, "filename"),
        ({"filename": "a.exe", "size": 1}, "filename"),
        ({"filename": "prices.json", "size": 1}, "filename"),
        ({"filename": "sluice.yaml.txt", "size": 1}, "filename"),
        ({"filename": "rivers-0123456789ab.release", "size": 1}, "filename"),
        ({"filename": "rivers-0123456789ab.release.txt", "size": 1}, "filename"),
        ({"filename": "rivers-0123456789abcdef01234567.cancel.txt", "size": 1}, "filename"),
        ({"filename": "~$a.csv", "size": 1}, "filename"),
        ({"filename": "a.jsonl", "size": 1, "folder": "shop/__MACOSX"}, "folder"),
        ({"filename": "a\n.jsonl", "size": 1}, "filename"),
        ({"filename": "a.jsonl", "size": 1, "folder": "../other"}, "folder"),
        ({"filename": "a.jsonl", "size": 1, "folder": "a//b"}, "folder"),
        ({"filename": "a.jsonl", "size": 1, "folder": "x" * 1000}, "folder"),
        ({"filename": "a.jsonl", "size": 1, "settings": {"promt": "x"}}, "settings"),
        ({"filename": "a.jsonl", "size": 1, "settings": "x"}, "settings"),
        ({"filename": "a.jsonl", "size": 1, "callback_url": "https://169.254.169.254/"}, "callback_url"),
        ({"filename": "a.jsonl", "size": 1, "metadata": []}, "metadata"),
        ({"filename": "a.jsonl", "size": 1, "hold": "yes"}, "hold"),
        ({"filename": "a.jsonl", "size": 1, "colour": "red"}, "colour"),
    ],
)
def test_what_cannot_be_is_refused_by_the_name_of_the_field(api: Api, body: dict[str, Any], field: str) -> None:
    answer = api.call("POST", "/v1/jobs", body)
    assert answer.error == (400, "invalid_request_error")
    assert answer.body["error"]["message"].startswith(field), answer.body
    assert api.ids() == []


def test_text_that_lambda_has_garbled_is_refused(world: World, api: Api) -> None:
    answer = api.call("POST", "/v1/jobs?filename=a.csv", "prompt\nf\ufffdr\n")
    assert answer.error == (400, "invalid_request_error")
    assert "application/octet-stream" in answer.body["error"]["message"]


def test_a_key_with_a_list_of_models_runs_no_other(keys: World) -> None:
    api = Api(keys, make_key(keys, "small", models=("claude-haiku-*",)))
    good, bad = requests(1), requests(2).splitlines()[1].replace(b"claude-haiku-5-5", b"claude-opus-5-5")
    fallbacks = b'"fallbacks": [{"model": "claude-opus-5-5"}], "max_tokens"'
    sly = requests(3).splitlines()[2].replace(b'"max_tokens"', fallbacks)
    job_id = api.upload(b"\n".join((good.strip(), bad, sly)) + b"\n", settings={"limits": {"max_bad_share": 90}})
    keys.run_until_idle()

    shown = api.job(job_id)
    assert (shown["tally"]["succeeded"], shown["tally"]["rejected"]) == (1, 2)
    table = api.upload(CSV, "a.csv", settings={**SETTINGS, "model": "claude-opus-5-5"})
    keys.deliver_all()
    assert "may not use the model" in api.job(table)["hold"]["reason"]


def test_a_key_with_a_budget_starts_no_job(keys: World) -> None:
    api = Api(keys, make_key(keys, "poor", budget=5.0))
    assert api.call("POST", "/v1/jobs", {"filename": "a.jsonl", "size": 1}).error == (403, "permission_error")


def test_a_key_keeps_to_its_rate_when_it_makes_jobs(keys: World) -> None:
    api = Api(keys, make_key(keys, "slow", rate=1))
    api.announce(filename="a.jsonl", size=1)
    assert api.call("POST", "/v1/jobs", {"filename": "a.jsonl", "size": 1}).error == (429, "rate_limit_error")
