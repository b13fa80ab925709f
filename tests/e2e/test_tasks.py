"""Tasks on the deployed stack: queued, answered, called back; refused, cancelled, repeated, paused."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import httpx2
import pytest

from simulator.client import Match, Refuse, Simulator
from tests.e2e.doors import Doors, wait_until
from tests.integration.tasks.receiver import Call, Receiver, running_receiver

pytestmark = pytest.mark.usefixtures("simulator")


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with running_receiver() as receiver:
        yield receiver


def make(doors: Doors, body: dict[str, Any], **headers: str) -> dict[str, Any]:
    answer = doors.api.post("/v1/tasks", json=body, headers={name.replace("_", "-"): headers[name] for name in headers})
    assert answer.status_code == 202, answer.text
    task: dict[str, Any] = answer.json()
    assert task["status_url"] == f"{doors.stack.facts.api_url}/v1/tasks/{task['id']}"
    return task


def read(doors: Doors, task_id: str) -> dict[str, Any]:
    answer = doors.api.get(f"/v1/tasks/{task_id}")
    assert answer.status_code == 200, answer.text
    task: dict[str, Any] = answer.json()
    return task


def until(doors: Doors, task_id: str, status: str) -> dict[str, Any]:
    wait_until(lambda: read(doors, task_id)["status"] == status, f"the task to have {status}")
    return read(doors, task_id)


def call_of(receiver: Receiver, number: int = 1) -> Call:
    wait_until(lambda: len(receiver.calls) >= number, f"callback number {number}")
    return receiver.calls[number - 1]


def test_a_task_is_answered_by_a_callback_that_any_receiver_can_verify(doors: Doors, receiver: Receiver) -> None:
    task = make(
        doors, {"prompt": "Why is the sky blue?", "callback_url": receiver.url, "metadata": {"order": "größe 7"}}
    )
    document = call_of(receiver).verify(doors.stack.facts.webhook_secret)
    assert document["type"] == "task.succeeded"
    told = document["data"]
    assert (told["id"], told["metadata"]) == (task["id"], {"order": "größe 7"})
    assert "sky" in told["text"]
    assert told["message"]["content"][0]["text"] == told["text"]
    assert told["usage"]["output_tokens"] > 0
    assert told["estimated_cost_usd"] > 0
    kept = wait_until(lambda: _delivered(doors, task["id"]), "the callback to be noted")
    assert (kept["status"], kept["text"]) == ("succeeded", told["text"])
    assert len(receiver.calls) == 1


def _delivered(doors: Doors, task_id: str) -> dict[str, Any] | None:
    task = read(doors, task_id)
    return task if task["callback"]["status"] == "delivered" else None


def test_a_repeated_call_is_the_same_task_and_another_body_a_conflict(doors: Doors, simulator: Simulator) -> None:
    after, body = simulator.requests()[-1].number, {"prompt": "Only once."}
    first = make(doors, body, idempotency_key="order-1")
    again = make(doors, body, idempotency_key="order-1")
    assert again["id"] == first["id"]
    until(doors, first["id"], "succeeded")
    assert make(doors, body, idempotency_key="order-1")["status"] == "succeeded"
    other = doors.api.post("/v1/tasks", json={"prompt": "Something else."}, headers={"idempotency-key": "order-1"})
    assert other.status_code == 409
    assert other.json()["error"]["message"] == "Idempotency-Key: it was used before, with another body."
    assert len(simulator.requests("messages", after=after)) == 1


def test_a_task_that_has_not_started_can_be_cancelled(doors: Doors, simulator: Simulator) -> None:
    after = simulator.requests()[-1].number
    task = make(doors, {"prompt": "Later.", "delay_seconds": 3})
    cancelled = doors.api.delete(f"/v1/tasks/{task['id']}")
    assert (cancelled.status_code, cancelled.json()["status"]) == (200, "cancelled")
    # A task queued behind it, and due after it, has run: so the cancelled one never will.
    until(doors, make(doors, {"prompt": "Afterwards.", "delay_seconds": 4})["id"], "succeeded")
    assert len(simulator.requests("messages", after=after)) == 1
    ended = make(doors, {"prompt": "At once."})
    until(doors, ended["id"], "succeeded")
    refused = doors.api.delete(f"/v1/tasks/{ended['id']}")
    assert refused.status_code == 409
    assert refused.json()["error"]["message"] == "The task is succeeded; only a queued one can be cancelled."


def test_a_callback_can_be_sent_again_and_is_known_by_its_id(doors: Doors, receiver: Receiver) -> None:
    task = make(doors, {"prompt": "Once more.", "callback_url": receiver.url})
    call_of(receiver)
    wait_until(lambda: _delivered(doors, task["id"]), "the callback to be noted")
    assert doors.api.post(f"/v1/tasks/{task['id']}/redeliver").status_code == 202
    first, second = call_of(receiver, 1), call_of(receiver, 2)
    assert second.verify(doors.stack.facts.webhook_secret)["data"]["id"] == task["id"]
    assert first.headers["webhook-id"] == second.headers["webhook-id"]


def test_a_receiver_that_fails_is_called_again(doors: Doors, receiver: Receiver) -> None:
    receiver.statuses = [500, 204]
    task = make(doors, {"prompt": "Try again.", "callback_url": receiver.url})
    call_of(receiver)
    waiting = wait_until(lambda: read(doors, task["id"])["callback"].get("error"), "what is noted of the failure")
    assert waiting == "The endpoint answered 500."
    call_of(receiver, 2)
    assert wait_until(lambda: _delivered(doors, task["id"]), "the delivery")["callback"]["attempts"] == 2


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("http://example.com/hook", "the scheme has to be https"),
        ("https://127.0.0.1/hook", "the address is not on the public internet"),
        ("https://169.254.169.254/latest/meta-data", "the address is not on the public internet"),
        ("https://[::1]/", "the address is not on the public internet"),
        ("https://10.1.2.3/", "the address is not on the public internet"),
        ("https://0x7f000001/", "neither a DNS name nor a plain IP address|not on the public internet"),
        ("https://localhost/hook", "not a name of the public internet"),
        ("https://user:secret@example.com/", "does not belong in it"),
        ("ftp://example.com/", "not a complete https URL"),
    ],
)
def test_an_address_inside_is_refused_before_anything_is_queued(doors: Doors, url: str, says: str) -> None:
    answer = doors.api.post("/v1/tasks", json={"prompt": "x", "callback_url": url})
    assert answer.status_code == 400
    message = answer.json()["error"]["message"]
    assert message.startswith("callback_url: ")
    assert any(each in message for each in says.split("|")), message
    assert "secret" not in message


def test_a_body_that_is_too_large_for_a_queue_travels_through_the_outbox(doors: Doors, receiver: Receiver) -> None:
    question = {"role": "user", "content": "blue " * 1_000_000}
    params = {"model": "claude-sonnet-5-5", "max_tokens": 50, "messages": [question]}
    task = make(doors, {"params": params, "callback_url": receiver.url})
    key = f"work/tasks/{task['id']}/request.json"
    assert doors.s3.head_object(Bucket=doors.stack.facts.outbox_bucket, Key=key)["ContentLength"] > 5_000_000
    document = call_of(receiver).verify(doors.stack.facts.webhook_secret)
    assert document["data"]["usage"]["input_tokens"] > 1_000_000
    assert document["data"]["message"]["model"] == "claude-sonnet-5-5"


def test_what_claude_refuses_for_good_fails_with_its_reason(
    doors: Doors, simulator: Simulator, receiver: Receiver
) -> None:
    refusal = Refuse(status=400, error_type="invalid_request_error", message="messages: roles must alternate")
    simulator.fail(refusal, Match(prompt="Bad."))
    task = make(doors, {"prompt": "Bad.", "callback_url": receiver.url})
    document = call_of(receiver).verify(doors.stack.facts.webhook_secret)
    assert document["type"] == "task.failed"
    error = {"type": "invalid_request_error", "message": "messages: roles must alternate"}
    assert document["data"]["error"] == error
    assert (read(doors, task["id"])["attempts"], read(doors, task["id"])["error"]) == (1, error)


def test_what_fails_in_passing_is_tried_again(doors: Doors, simulator: Simulator) -> None:
    simulator.fail(Refuse(status=529), Match(prompt="Busy?"), times=1)
    task = until(doors, make(doors, {"prompt": "Busy?"})["id"], "succeeded")
    assert task["attempts"] == 2


def test_a_task_may_be_told_of_through_the_topic(doors: Doors) -> None:
    task = make(doors, {"prompt": "For the topic.", "topic_attribute": "invoices"})
    notice = doors.notice(lambda each: each.body.get("task_id") == task["id"], "the task")
    assert notice.attributes["topic_attribute"] == "invoices"
    assert notice.subject == "Sluice: task succeeded - invoices"
    assert notice.body["data"]["text"]
    assert task["status_url"] in notice.text


def test_a_refused_key_pauses_the_tasks_with_one_notice_until_it_is_released(
    doors: Doors, simulator: Simulator
) -> None:
    refusal = Refuse(status=403, error_type="permission_error", message="This key may not use that model")
    simulator.fail(refusal, Match(model="claude-opus-5-5"))
    kind = "permission_error:claude-opus-5-5"
    params = {"model": "claude-opus-5-5", "max_tokens": 20, "messages": [{"role": "user", "content": "Mine?"}]}
    ids = [make(doors, {"params": params})["id"] for _ in range(3)]
    told = doors.notice(lambda each: each.body.get("kind") == kind, "the pause")
    assert told.event == "incident.opened"
    assert told.subject == "Stopped: The API key may not use the model claude-opus-5-5 (permission_error)"
    assert told.body["tasks"][0] in ids
    assert "This key may not use that model" in told.text
    assert f"POST /v1/incidents/{kind}/release" in told.text
    [incident] = [each for each in doors.api.get("/v1/incidents").json()["data"] if each["kind"] == kind]
    assert incident["message"] == "This key may not use that model"
    until(doors, make(doors, {"prompt": "Another model goes on."})["id"], "succeeded")
    assert {read(doors, task_id)["status"] for task_id in ids} == {"queued"}
    simulator.heal()
    assert doors.api.post(f"/v1/incidents/{kind}/release").status_code == 200
    for task_id in ids:
        until(doors, task_id, "succeeded")
    assert len([each for each in doors.notices if each.body.get("kind") == kind]) == 1
    assert doors.api.get("/v1/incidents").json()["data"] == []


def test_tasks_are_listed_newest_first_and_to_their_owner_alone(doors: Doors) -> None:
    mine, other = ({"x-api-key": doors.make_key(name).text} for name in ("mine", "other"))
    ids = []
    for number in range(3):
        ids.append(doors.api.post("/v1/tasks", json={"prompt": f"Task {number}."}, headers=mine).json()["id"])
        time.sleep(0.002)  # the ids sort by their millisecond
    page = doors.api.get("/v1/tasks?limit=2", headers=mine).json()
    assert ([task["id"] for task in page["data"]], page["has_more"]) == (ids[:0:-1], True)
    rest = doors.api.get(f"/v1/tasks?limit=2&after_id={page['last_id']}", headers=mine).json()
    assert ([task["id"] for task in rest["data"]], rest["has_more"]) == (ids[:1], False)
    assert doors.api.get("/v1/tasks", headers=other).json()["data"] == []
    assert doors.api.get(f"/v1/tasks/{ids[0]}", headers=other).status_code == 404


@pytest.mark.parametrize(
    ("body", "status", "says"),
    [
        (b'{"prompt": ', 400, "The body is not valid JSON."),
        (b"{}", 400, "params: a task has either params, as for /v1/messages, or a prompt."),
        (b'{"prompt": "x", "callback": "y"}', 400, "callback: no such field. Known are callback_url"),
        (b'{"params": {"max_tokens": 5}}', 400, "params.messages: has to be a list"),
        (b'{"prompt": "x", "delay_seconds": -1}', 400, "delay_seconds: has to be a number from 0"),
        (b'{"prompt": "x", "metadata": "y"}', 400, "metadata: has to be an object."),
    ],
)
def test_a_task_that_cannot_be_is_explained(doors: Doors, body: bytes, status: int, says: str) -> None:
    answer = doors.api.post("/v1/tasks", content=body)
    assert answer.status_code == status
    assert answer.json()["error"]["message"].startswith(says)


def test_the_api_wants_a_key_and_names_what_it_has(doors: Doors) -> None:
    with httpx2.Client(trust_env=False) as client:
        refused = client.get(f"{doors.stack.facts.api_url}/v1/tasks")
    assert (refused.status_code, refused.json()["error"]["type"]) == (401, "authentication_error")
    lost = doors.api.get("/v1/nothing")
    assert (lost.status_code, lost.json()["type"]) == (404, "error")


def test_no_task_of_these_left_a_dead_letter(doors: Doors) -> None:
    assert doors.dead_letters() == {}
