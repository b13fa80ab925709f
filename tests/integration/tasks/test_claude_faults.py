"""What a task makes of everything that Claude, or the way to it, may do."""

from __future__ import annotations

import json

import boto3
import pytest

from simulator.client import Break, Match, Refuse, Reply
from simulator.faults import Action

from .door import TaskDoor

TRANSIENT: list[tuple[str, Action]] = [
    ("overloaded", Refuse(status=529)),
    ("server_error", Refuse(status=500)),
    ("timeout", Refuse(status=504)),
    ("rate_limited", Refuse(status=429)),
    ("html_from_a_proxy", Refuse(status=502, body="<html>Bad gateway</html>")),
    ("unknown_server_error", Refuse(status=599, error_type="new_error")),
    ("cut_before_the_headers", Break(how="reset")),
    ("closed_before_the_headers", Break(how="close")),
    ("reset_midway", Break(how="reset", after_events=5)),
    ("closed_midway", Break(how="close", after_events=5)),
    ("clean_early_end", Break(how="end", after_events=5)),
    ("clean_end_before_the_last_event", Break(how="end", after_events=-1)),
    ("error_event", Break(how="error_event", after_events=5)),
    ("broken_json", Break(how="bad_json", after_events=5)),
    ("cut_character", Break(how="cut_utf8", after_events=5)),
]


def events_of_an_answer(stack: TaskDoor) -> int:
    stack.submit(callback_url=None)
    stack.run()
    (answered,) = stack.simulator.requests("messages")
    stack.simulator.reset()
    return answered.events


@pytest.mark.parametrize(("name", "fault"), TRANSIENT, ids=[name for name, _ in TRANSIENT])
def test_a_passing_failure_is_retried_later_and_heals(stack: TaskDoor, name: str, fault: Action) -> None:
    if isinstance(fault, Break) and fault.after_events == -1:
        fault = Break(how=fault.how, after_events=events_of_an_answer(stack) - 1)
    stack.simulator.fail(fault, Match(operation="messages"), times=1)
    task_id = stack.submit()
    stack.turn("TASK")
    waiting = stack.read(task_id)
    assert waiting["status"] == "queued"
    assert waiting["error"]["type"]
    assert waiting["next_attempt_at"] > waiting["created_at"]
    stack.run()
    assert len(stack.simulator.requests("messages")) == 2
    done = stack.read(task_id)
    assert (done["status"], done["attempts"]) == ("succeeded", 2)
    assert "error" not in done
    assert stack.receiver.events == [("task.succeeded", task_id)]


@pytest.mark.parametrize(
    ("status", "error_type"), [(400, "invalid_request_error"), (413, "request_too_large"), (404, "not_found_error")]
)
def test_a_permanent_failure_is_not_retried(stack: TaskDoor, status: int, error_type: str) -> None:
    stack.simulator.fail(Refuse(status=status, message="no"), Match(operation="messages"))
    params = {"model": "claude-haiku-5-5", "max_tokens": 5, "messages": [{"role": "user", "content": "x"}]}
    answer = stack.call("POST", "/v1/tasks", {"params": params, "callback_url": stack.receiver.url})
    stack.run()
    assert len(stack.simulator.requests("messages")) == 1
    failed = stack.read(answer.body["id"])
    assert failed["status"] == "failed"
    assert failed["error"] == {"type": error_type, "message": "no"}
    assert stack.receiver.events == [("task.failed", answer.body["id"])]


def test_retries_have_an_end(stack: TaskDoor, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SLUICE_TASK_MAX_ATTEMPTS", "3")
    stack.cold_start()
    stack.simulator.fail(Refuse(status=529), Match(operation="messages"))
    task_id = stack.submit()
    stack.run()
    assert len(stack.simulator.requests("messages")) == 3
    failed = stack.read(task_id)
    assert (failed["status"], failed["error"]["type"]) == ("failed", "overloaded_error")
    assert stack.receiver.events == [("task.failed", task_id)]


@pytest.mark.parametrize(("retry_after", "shortest", "longest"), [("7", 7, 10), ("120", 120, 151), ("700", 700, 876)])
def test_retry_after_puts_the_message_back_for_that_long(
    stack: TaskDoor, retry_after: str, shortest: int, longest: int
) -> None:
    stack.simulator.fail(Refuse(status=429, headers={"retry-after": retry_after}), times=1)
    task_id = stack.submit()
    before = stack.task(task_id).created_at
    stack.turn("TASK")
    assert shortest <= stack.delays("TASK")[-1] <= longest
    assert stack.task(task_id).due_at >= before + float(retry_after)


def test_a_longer_wait_than_sqs_knows_takes_one_message_from_the_schedule(stack: TaskDoor) -> None:
    stack.simulator.fail(Refuse(status=429, headers={"retry-after": "20000"}), times=1)
    task_id = stack.submit()
    for _ in range(4):
        stack.turn("TASK")
        stack.look()
    assert stack.delays("TASK") == [0]
    assert len(stack.simulator.requests("messages")) == 1
    stack.run()
    assert stack.read(task_id)["status"] == "succeeded"


def test_silence_is_a_cut(stack: TaskDoor, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SLUICE_PING_TIMEOUT_SECONDS", "0.2")
    stack.cold_start()
    stack.simulator.fail(Break(how="stall", after_events=4, seconds=None), times=1)
    task_id = stack.submit()
    stack.run()
    assert stack.read(task_id)["attempts"] == 2


def test_pings_without_content_are_a_cut(stack: TaskDoor, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SLUICE_CONTENT_TIMEOUT_SECONDS", "0.3")
    stack.cold_start()
    stack.simulator.fail(Break(how="stall", after_events=4, seconds=None, ping_seconds=0.05), times=1)
    task_id = stack.submit()
    stack.turn("TASK")
    assert stack.read(task_id)["error"]["type"] == "timeout_error"


OUTLASTING: list[tuple[str, Break]] = [
    ("pings", Break(how="stall", after_events=4, seconds=None, ping_seconds=0.05)),
    ("silence_midway", Break(how="stall", after_events=4, seconds=None)),
    ("silence_before_the_headers", Break(how="stall", seconds=None)),
]


@pytest.mark.parametrize(("name", "fault"), OUTLASTING, ids=[name for name, _ in OUTLASTING])
def test_an_answer_that_outlasts_the_function_is_not_asked_for_again(stack: TaskDoor, name: str, fault: Break) -> None:
    # The clocks for pings and content run for a minute and more: it is the function's own time that ends the call, and
    # that is short here. A first task spares it the import of the SDK.
    stack.submit(callback_url=None)
    stack.run()
    stack.simulator.fail(fault)
    task_id = stack.submit()
    records = stack.receive("TASK")
    assert stack.deliver("TASK", records, seconds=16.0) == []
    failed = stack.read(task_id)
    assert (failed["status"], failed["error"]["type"]) == ("failed", "timeout_error")
    assert "fewer max_tokens" in failed["error"]["message"]
    stack.run()
    assert len(stack.simulator.requests("messages")) == 2
    assert stack.receiver.events == [("task.failed", task_id)]


def test_an_answer_may_think_use_tools_and_be_large(stack: TaskDoor) -> None:
    stack.simulator.answer(Reply(text="word " * 9_000, thinking="first ...", pings=10, unknown_events=True))
    params = {"max_tokens": 20_000, "messages": [{"role": "user", "content": "Write at length."}]}
    answer = stack.call("POST", "/v1/tasks", {"params": params, "callback_url": stack.receiver.url})
    task_id = answer.body["id"]
    stack.run()
    done = stack.read(task_id)
    assert done["text"].split() == ["word"] * 9_000
    assert [block["type"] for block in done["message"]["content"]] == ["thinking", "text"]
    keys = [each["Key"] for each in boto3.client("s3").list_objects_v2(Bucket=stack.outbox)["Contents"]]
    assert keys == [f"work/tasks/{task_id}/answer-1.json"]
    (call,) = stack.receiver.calls
    assert b"word word" in call.body


def test_what_the_caller_sends_reaches_claude_as_it_is(stack: TaskDoor) -> None:
    params = {
        "model": "claude-opus-5-5",
        "max_tokens": 77,
        "system": "Answer in one word.",
        "stop_sequences": ["."],
        "metadata": {"user_id": "u-1"},
        "messages": [{"role": "user", "content": [{"type": "text", "text": "Why — «ünïcode» 🌊?"}]}],
    }
    stack.call("POST", "/v1/tasks", {"params": params}, {"anthropic-beta": "a-beta-of-tomorrow"})
    stack.run()
    (asked,) = stack.simulator.requests("messages")
    assert json.loads(asked.body or "") == params | {"stream": True}
    assert asked.headers["anthropic-beta"] == "a-beta-of-tomorrow"
