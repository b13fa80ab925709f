"""Jobs over HTTPS on the deployed stack, by a key: sent in a body, by a link, by parts; read, called back, deleted."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import httpx2
import pytest

from tests.e2e.doors import Doors, jsonl, request_line, wait_until
from tests.integration.tasks.receiver import Receiver, running_receiver

pytestmark = pytest.mark.usefixtures("simulator")

CSV = b"product,review\n" + b"".join(b"cup %d,fine\n" % number for number in range(300))


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with running_receiver() as receiver:
        yield receiver


@pytest.fixture
def api(doors: Doors) -> Iterator[httpx2.Client]:
    """The API with a key that is nobody's but this test's, and no operator's."""
    headers = {"x-api-key": doors.make_key("a shop").text}
    with httpx2.Client(base_url=doors.stack.facts.api_url, headers=headers, timeout=60, trust_env=False) as client:
        yield client


def until(api: httpx2.Client, job_id: str, status: str) -> dict[str, Any]:
    def look() -> dict[str, Any] | None:
        job: dict[str, Any] = api.get(f"/v1/jobs/{job_id}").json()
        return job if job["status"] == status else None

    return wait_until(look, f"job {job_id} to be {status}")


def test_a_file_in_a_body_becomes_a_job_whose_files_are_led_to(doors: Doors, api: httpx2.Client) -> None:
    body = jsonl(*(request_line(f"r-{number}", max_tokens=500) for number in range(3)))
    headers = {"content-type": "application/octet-stream"}
    made = api.post("/v1/jobs?filename=rivers.jsonl&folder=http", content=body, headers=headers)
    assert made.status_code == 201, made.text
    job_id = made.json()["id"]
    job = until(api, job_id, "finished")
    led = api.get(f"/v1/jobs/{job_id}/files/results.jsonl")
    assert led.status_code == 302
    results = httpx2.get(led.headers["location"], trust_env=False)
    assert (results.status_code, len(results.content.splitlines())) == (200, 3)
    assert "report.html" in job["files"]
    assert [each["id"] for each in api.get("/v1/jobs?status=finished").json()["data"]] == [job_id]
    stranger = {"x-api-key": doors.make_key("another shop").text}
    assert api.get(f"/v1/jobs/{job_id}", headers=stranger).status_code == 404


def test_an_announced_table_waits_is_released_read_by_rows_told_of_and_deleted(
    api: httpx2.Client, doors: Doors, receiver: Receiver
) -> None:
    settings = {"prompt": "Review: {review}", "max_tokens": 500}
    wishes = {"hold": True, "settings": settings, "callback_url": receiver.url}
    made = api.post("/v1/jobs", json={"filename": "reviews.csv", "size": len(CSV), **wishes})
    assert made.status_code == 201, made.text
    job_id, upload = made.json()["id"], made.json()["upload"]
    sent = httpx2.put(upload["url"], content=CSV, trust_env=False)
    assert sent.status_code == 200, sent.text
    held = until(api, job_id, "held")
    assert (held["hold"]["kind"], held["plan"]["requests"]) == ("requested", 300)
    wait_until(lambda: receiver.calls, "the callback of the hold")
    assert api.post(f"/v1/jobs/{job_id}/release").status_code == 200
    until(api, job_id, "finished")
    page = api.get(f"/v1/jobs/{job_id}/rows?after=298").json()
    assert [row["columns"]["product"] for row in page["data"]] == ["cup 298", "cup 299"]
    assert all(row["answer"] for row in page["data"])
    wait_until(lambda: len(receiver.calls) == 2, "two callbacks")
    told = [call.verify(doors.stack.facts.webhook_secret)["type"] for call in receiver.calls]
    assert told == ["job.held", "job.finished"]
    assert api.delete(f"/v1/jobs/{job_id}").status_code == 202
    until(api, job_id, "deleted")
    assert not doors.has_output(job_id)


def test_a_large_file_comes_by_parts(api: httpx2.Client) -> None:
    line = request_line("r-1", max_tokens=500)
    size = (100 << 20) + 1000
    made = api.post(
        "/v1/jobs", json={"filename": "rivers.jsonl", "size": size, "settings": {"limits": {"max_bad_share": 100}}}
    )
    upload, job_id = made.json()["upload"], made.json()["id"]
    assert upload["parts"] == 2
    for link in upload["links"]:
        # White space before the line: sparse, as far as a file of requests can be.
        data = b" " * link["size"] if link["part"] == 1 else b"\n".rjust(link["size"] - len(line) - 1) + line + b"\n"
        assert httpx2.put(link["url"], content=data, timeout=120, trust_env=False).status_code == 200
    done = httpx2.post(upload["complete_url"], headers=api.headers, timeout=60, trust_env=False)
    assert done.status_code == 200, done.text
    job = until(api, job_id, "finished_with_errors")
    assert job["tally"]["succeeded"] == 1
