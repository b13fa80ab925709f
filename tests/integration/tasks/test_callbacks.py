"""How callbacks are sent, refused, waited with, given up and sent again."""

from __future__ import annotations

import json
import time

import boto3
import pytest

from simulator.client import Reply
from sluice.aws.dynamodb import Key, Update
from sluice.backoff import CALLBACK
from sluice.callbacks.circuit_breaker import THRESHOLD
from sluice.errors import ConditionFailed
from sluice.notify.notice import Notice
from sluice.table_keys import endpoint_key

from .door import TaskDoor
from .resources import CURRENT_SECRET, NEXT_SECRET


def test_a_refused_callback_is_tried_again_over_hours_and_delivered(stack: TaskDoor) -> None:
    stack.receiver.statuses = [500, 503, 404, 302, 204]
    task_id = stack.submit()
    stack.run()
    assert len(stack.receiver.calls) == 5
    first, *later = stack.delays("CALLBACK")
    assert first == 0
    assert later == sorted(later)
    assert later[-1] > 300
    assert len({call.headers["webhook-id"] for call in stack.receiver.calls}) == 1
    callback = stack.read(task_id)["callback"]
    assert (callback["status"], callback["attempts"]) == ("delivered", 5)
    assert "error" not in callback
    for call in stack.receiver.calls:
        assert call.verify(CURRENT_SECRET)["data"]["id"] == task_id


def test_a_redirect_is_not_followed(stack: TaskDoor) -> None:
    stack.receiver.statuses = [302]
    stack.receiver.headers = {"location": "/inside"}
    task_id = stack.submit()
    stack.turn("TASK")
    stack.turn("CALLBACK")
    assert [call.path for call in stack.receiver.calls] == ["/hook"]
    assert "redirects" in stack.read(task_id)["callback"]["error"]


def test_a_receiver_may_ask_for_time(stack: TaskDoor) -> None:
    stack.receiver.statuses = [429]
    stack.receiver.headers = {"retry-after": "600"}
    stack.submit()
    stack.turn("TASK")
    stack.turn("CALLBACK")
    assert 598 <= stack.delays("CALLBACK")[-1] <= 600 * (1 + CALLBACK.jitter) + 1


def test_what_cannot_be_delivered_is_visible_and_can_be_sent_again(stack: TaskDoor) -> None:
    stack.receiver.statuses = [500]
    task_id = stack.submit()
    stack.turn("TASK")
    stack.table.update(Update(Key(f"TASK#{task_id}", "TASK"), set={"callback_since": 1.0}))
    stack.turn("CALLBACK")
    callback = stack.read(task_id)["callback"]
    assert callback["status"] == "undelivered"
    assert "500" in callback["error"]
    assert stack.receive("CALLBACK") == []

    stack.receiver.statuses = [200]
    assert stack.call("POST", f"/v1/tasks/{task_id}/redeliver").body["callback"]["status"] == "pending"
    stack.run()
    assert stack.read(task_id)["callback"]["status"] == "delivered"
    assert len({call.headers["webhook-id"] for call in stack.receiver.calls}) == 1


def test_gone_means_gone(stack: TaskDoor) -> None:
    stack.receiver.statuses = [410]
    task_id = stack.submit()
    stack.run()
    assert len(stack.receiver.calls) == 1
    assert stack.read(task_id)["callback"]["status"] == "undelivered"


def test_a_delivered_callback_can_be_sent_again_and_one_that_never_was_cannot(stack: TaskDoor) -> None:
    task_id, silent = stack.submit(), stack.submit(callback_url=None)
    assert stack.call("POST", f"/v1/tasks/{task_id}/redeliver").status == 409
    stack.run()
    assert stack.call("POST", f"/v1/tasks/{task_id}/redeliver").status == 202
    assert stack.call("POST", f"/v1/tasks/{silent}/redeliver").status == 409
    stack.run()
    assert stack.receiver.events == [("task.succeeded", task_id)] * 2


def test_a_callback_is_sent_again_no_more_often_than_it_is_tried(stack: TaskDoor) -> None:
    task_id = stack.submit()
    stack.run()
    path, since = f"/v1/tasks/{task_id}/redeliver", Key(f"TASK#{task_id}", "TASK")
    for again, seconds in enumerate((5, 30, 120, 600, 600), 1):
        assert stack.call("POST", path).status == 202
        refused = stack.call("POST", path)
        assert (refused.status, refused.body["error"]["type"]) == (429, "rate_limit_error")
        assert seconds - 2 <= int(refused.headers["retry-after"]) <= seconds
        stack.run()
        assert len(stack.receiver.calls) == 1 + again
        stack.table.update(Update(since, set={"callback_since": round(time.time() - seconds - 1, 3)}))


def test_of_two_who_have_a_callback_sent_again_at_once_one_is_told_to_wait(stack: TaskDoor) -> None:
    task_id = stack.submit()
    stack.run()
    seen = stack.task(task_id)
    stack.tasks.reopen_callback(seen, time.time())
    with pytest.raises(ConditionFailed):
        stack.tasks.reopen_callback(seen, time.time())


def test_both_secrets_sign_while_a_rotation_lasts(stack: TaskDoor) -> None:
    secrets = boto3.client("secretsmanager")
    rotated = json.dumps({"current": NEXT_SECRET, "previous": CURRENT_SECRET})
    before = secrets.get_secret_value(SecretId=stack.environment["SLUICE_WEBHOOK_SECRET"])["SecretString"]
    secrets.put_secret_value(SecretId=stack.environment["SLUICE_WEBHOOK_SECRET"], SecretString=rotated)
    stack.cold_start()
    try:
        task_id = stack.submit()
        stack.run()
    finally:
        secrets.put_secret_value(SecretId=stack.environment["SLUICE_WEBHOOK_SECRET"], SecretString=before)
    (call,) = stack.receiver.calls
    assert call.headers["webhook-signature"].count("v1,") == 2
    assert call.verify(CURRENT_SECRET)["data"]["id"] == call.verify(NEXT_SECRET)["data"]["id"] == task_id


def test_a_secret_that_cannot_sign_sends_nothing(stack: TaskDoor) -> None:
    secrets = boto3.client("secretsmanager")
    before = secrets.get_secret_value(SecretId=stack.environment["SLUICE_WEBHOOK_SECRET"])["SecretString"]
    secrets.put_secret_value(SecretId=stack.environment["SLUICE_WEBHOOK_SECRET"], SecretString="whsec_broken")
    stack.cold_start()
    try:
        task_id = stack.submit()
        stack.turn("TASK")
        stack.turn("CALLBACK")
    finally:
        secrets.put_secret_value(SecretId=stack.environment["SLUICE_WEBHOOK_SECRET"], SecretString=before)
    assert not stack.receiver.calls
    assert stack.read(task_id)["callback"]["status"] == "pending"
    assert "webhook secret" in stack.read(task_id)["callback"]["error"]


def test_an_endpoint_that_stays_down_is_left_alone_and_tried_by_one(stack: TaskDoor) -> None:
    stack.receiver.statuses = [500]
    ids = [stack.submit() for _ in range(THRESHOLD + 3)]
    while stack.turn("TASK"):
        pass
    for record in stack.receive("CALLBACK"):
        stack.deliver("CALLBACK", [record])
    assert len(stack.receiver.calls) == THRESHOLD
    # Tasks run at the same time, so that their callbacks may come in any order.
    tasks = [stack.task(each) for each in ids]
    assert sorted((each.callback, each.callback_attempts) for each in tasks) == [
        *[("pending", 0)] * 3,
        *[("pending", 1)] * THRESHOLD,
    ]

    stack.receiver.statuses = [500, 200]
    endpoint = stack.receiver.url.removeprefix("http://").removesuffix("/hook")
    breaker = endpoint_key(endpoint, stack.task(ids[0]).caller)
    stack.table.update(Update(breaker, set={"open_until": 1.0}))
    stack.let_time_pass()
    for record in stack.receive("CALLBACK"):
        stack.deliver("CALLBACK", [record])
    assert len(stack.receiver.calls) == THRESHOLD + 1

    for _ in range(3):
        stack.table.update(Update(breaker, set={"open_until": 1.0}))
        stack.let_time_pass()
        stack.run()
    assert {stack.task(each).callback for each in ids} == {"delivered"}
    assert (stack.table.get(breaker) or {})["failures"] == 0


def test_a_refusal_of_one_task_does_not_count_against_the_endpoint(stack: TaskDoor) -> None:
    stack.receiver.statuses = [400] * (THRESHOLD + 3) + [200]
    for _ in range(THRESHOLD + 3):
        stack.submit()
    while stack.turn("TASK"):
        pass
    for record in stack.receive("CALLBACK"):
        stack.deliver("CALLBACK", [record])
    assert len(stack.receiver.calls) == THRESHOLD + 3


def test_a_task_may_be_told_of_on_the_topic(stack: TaskDoor) -> None:
    task_id = stack.submit(callback_url=None, topic_attribute="billing", metadata={"ticket": "A-1042"})
    stack.run()
    (notice,) = stack.published()
    attributes = {name: each["Value"] for name, each in notice["MessageAttributes"].items()}
    assert attributes == {
        "event": "task.succeeded",
        "outcome": "succeeded",
        "task_id": task_id,
        "topic_attribute": "billing",
    }
    message = json.loads(notice["Message"])
    assert message["data"]["metadata"] == {"ticket": "A-1042"}
    assert message["data"]["text"] == stack.read(task_id)["text"]
    assert stack.read(task_id)["callback"] == {
        "topic_attribute": "billing",
        "status": "delivered",
        "attempts": 1,
        "delivered_at": stack.read(task_id)["callback"]["delivered_at"],
    }


@pytest.mark.parametrize(("queue_messages", "left_out"), [("я" * 4500, False), ("я" * 60_000, True)])
def test_the_topic_takes_an_answer_of_any_letters_and_length(
    stack: TaskDoor, queue_messages: str, left_out: bool
) -> None:
    stack.simulator.answer(Reply(text=queue_messages))
    params = {"max_tokens": 60_000, "messages": [{"role": "user", "content": "Расскажи"}]}
    answer = stack.call("POST", "/v1/tasks", {"params": params, "topic_attribute": "news"})
    stack.turn("TASK")
    stack.turn("CALLBACK")
    task = stack.read(answer.body["id"])
    assert (task["text"], task["callback"]["status"]) == (queue_messages, "delivered")
    (notice,) = stack.published()
    data = json.loads(notice["Message"])["data"]
    assert data.get("answer_left_out", False) == left_out
    assert data.get("text") == (None if left_out else queue_messages)


def test_what_the_topic_will_never_take_is_undelivered_at_once(
    stack: TaskDoor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Notice, "message", lambda _: json.dumps({"default": "x" * 300_000}))
    task_id = stack.submit(callback_url=None, topic_attribute="billing")
    stack.turn("TASK")
    stack.turn("CALLBACK")
    callback = stack.read(task_id)["callback"]
    assert (callback["status"], callback["attempts"]) == ("undelivered", 1)
    assert "SNS refused" in callback["error"]


def test_a_topic_that_cannot_be_reached_is_tried_again(stack: TaskDoor, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        patch.setenv("SLUICE_TOPIC_ARN", "arn:aws:sns:us-east-1:123456789012:missing")
        stack.cold_start()
        task_id = stack.submit(callback_url=None, topic_attribute="billing")
        stack.turn("TASK")
        stack.turn("CALLBACK")
    assert stack.read(task_id)["callback"]["status"] == "pending"
    stack.cold_start()
    stack.let_time_pass()
    stack.run()
    assert stack.read(task_id)["callback"]["status"] == "delivered"
    assert len(stack.published()) == 1


def test_a_host_that_is_no_longer_allowed_is_not_called(stack: TaskDoor, monkeypatch: pytest.MonkeyPatch) -> None:
    task_id = stack.submit()
    stack.turn("TASK")
    monkeypatch.setenv("SLUICE_CALLBACK_LOCAL", "")
    stack.cold_start()
    stack.turn("CALLBACK")
    assert not stack.receiver.calls
    assert stack.read(task_id)["callback"]["status"] == "undelivered"


def test_a_name_that_leads_inside_is_not_called(stack: TaskDoor, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("socket.getaddrinfo", lambda *_, **__: [(2, 1, 6, "", ("169.254.169.254", 443))])
    task_id = stack.submit(callback_url="https://169.254.169.254.hooks.example.com/")
    stack.turn("TASK")
    stack.turn("CALLBACK")
    callback = stack.read(task_id)["callback"]
    assert (callback["status"], callback["attempts"]) == ("pending", 1)
    assert "not on the public internet" in callback["error"]
