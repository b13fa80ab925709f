"""The path of a task from the call to its callback."""

from __future__ import annotations

from .door import TaskDoor
from .resources import CURRENT_SECRET


def test_a_task_is_answered_at_once_run_and_called_back_signed(stack: TaskDoor) -> None:
    created = stack.call(
        "POST",
        "/v1/tasks",
        {"prompt": "Why is the sky blue?", "callback_url": stack.receiver.url, "metadata": {"ticket": "A-1042"}},
    )
    assert created.status == 202
    assert created.body["status"] == "queued"
    assert created.body["status_url"] == created.headers["location"]
    assert not stack.simulator.requests("messages")

    stack.run()

    (call,) = stack.receiver.calls
    event = call.verify(CURRENT_SECRET)
    assert event["type"] == "task.succeeded"
    assert event["data"]["metadata"] == {"ticket": "A-1042"}
    task = stack.read(created.body["id"])
    assert task["status"] == "succeeded"
    assert task["callback"]["status"] == "delivered"
    assert task["text"] == event["data"]["text"] != ""
    assert task["message"]["stop_reason"] == "end_turn"
    assert task["usage"]["output_tokens"] > 0
    assert task["estimated_cost_usd"] > 0
    assert task["timings"]["total_seconds"] >= 0
    assert len(stack.simulator.requests("messages")) == 1


def test_a_task_goes_under_the_newest_version_that_takes_its_params_or_the_one_it_names(stack: TaskDoor) -> None:
    params = {"model": "claude-haiku-5-5", "max_tokens": 300, "messages": [{"role": "user", "content": "Why?"}]}
    for body, headers in (
        ({"params": params}, {}),
        ({"params": {**params, "temperature": 0}}, {}),
        ({"params": params}, {"anthropic-version": "2023-06-01"}),
    ):
        created = stack.call("POST", "/v1/tasks", body, headers=headers)
        stack.run()
        assert stack.read(created.body["id"])["status"] == "succeeded"

    sent = [call.headers["anthropic-version"] for call in stack.simulator.requests("messages")]
    assert sent == ["2026-10-21", "2023-06-01", "2023-06-01"]
