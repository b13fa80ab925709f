"""A client key binds the tasks that it queued until Claude is asked, and pays for all that Claude was asked."""

from __future__ import annotations

import time
from typing import Any

import jiter
import pytest

from simulator.client import Break, Match, Refuse, Reply
from sluice.access.store import KeyStore, KeyTerms
from sluice.access.usage import AnswerUsage, MonthlyUsage, add_usage, month_of, read_usage
from sluice.aws.dynamodb import Key, Update

from .door import TaskDoor


class Client:
    """Whoever holds a key."""

    def __init__(self, stack: TaskDoor, **terms: Any) -> None:
        self.stack = stack
        self.key = KeyStore(stack.table).create(KeyTerms("shop", **terms))

    def submit(self, **body: Any) -> str:
        body = {"prompt": "Why is the sky blue?", "callback_url": self.stack.receiver.url} | body
        body = {name: value for name, value in body.items() if value is not None}
        answer = self.stack.call("POST", "/v1/tasks", body, {"x-api-key": self.key.text})
        assert answer.status == 202, answer.body
        return str(answer.body["id"])

    def read(self, task_id: str) -> dict[str, Any]:
        return self.stack.call("GET", f"/v1/tasks/{task_id}", headers={"x-api-key": self.key.text}).body

    def revoke(self) -> None:
        KeyStore(self.stack.table).revoke(self.key.id)

    def spend(self, cost: float) -> None:
        add_usage(self.stack.table, self.key.id, AnswerUsage(succeeded=True, cost=cost), time.time())

    @property
    def used(self) -> MonthlyUsage:
        return read_usage(self.stack.table, self.key.id, month_of(time.time()))


@pytest.fixture(autouse=True)
def keys(stack: TaskDoor, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SLUICE_AUTH_MODE", "keys")
    stack.cold_start()


def asked(stack: TaskDoor) -> int:
    return len(stack.simulator.requests("messages"))


def test_what_a_key_queued_is_not_asked_after_its_revocation(stack: TaskDoor) -> None:
    client, other = Client(stack), Client(stack)
    tasks = [client.submit(delay_seconds=600) for _ in range(3)]
    theirs = other.submit()
    client.revoke()
    stack.run()
    assert asked(stack) == 1
    for task_id in tasks:
        task = stack.task(task_id)
        assert (task.status, task.error_type, task.attempts) == ("failed", "permission_error", 1)
        assert "revoked" in (task.error_message or "")
    assert sorted(stack.receiver.events) == sorted(
        [*(("task.failed", each) for each in tasks), ("task.succeeded", theirs)]
    )


def test_what_a_key_queued_is_not_asked_once_its_budget_is_spent(stack: TaskDoor) -> None:
    client = Client(stack, budget=1.0)
    task_id = client.submit()
    client.spend(1.0)
    stack.run()
    assert asked(stack) == 0
    task = client.read(task_id)
    assert (task["status"], task["error"]["type"]) == ("failed", "billing_error")
    assert "budget" in task["error"]["message"]
    assert stack.receiver.events == [("task.failed", task_id)]
    assert stack.published() == []


def test_tasks_themselves_spend_the_budget_that_stops_the_next(stack: TaskDoor) -> None:
    # 4096 tokens of the default model, and a prompt of some hundred bytes.
    client = Client(stack, budget=0.002_07)
    tasks = [client.submit() for _ in range(3)]
    for record in stack.receive("TASK"):
        stack.deliver("TASK", [record])
    assert asked(stack) == 1
    assert sorted(client.read(each)["status"] for each in tasks) == ["failed", "failed", "succeeded"]


def test_a_task_takes_one_turn_of_its_keys_rate(stack: TaskDoor) -> None:
    client = Client(stack, rate=1)
    task_id = client.submit()
    stack.run()
    assert client.read(task_id)["status"] == "succeeded"


def test_sending_a_callback_again_takes_a_turn_of_its_keys_rate(stack: TaskDoor) -> None:
    client = Client(stack, rate=2)
    if time.time() % 60 > 50:
        time.sleep(61 - time.time() % 60)  # The window is the minute of the clock.
    task_id = client.submit()
    stack.run()
    path, headers = f"/v1/tasks/{task_id}/redeliver", {"x-api-key": client.key.text}
    assert stack.call("POST", path, headers=headers).status == 202
    stack.run()
    refused = stack.call("POST", path, headers=headers)
    assert (refused.status, refused.body["error"]["message"]) == (429, "The key 'shop' may make 2 requests a minute.")
    assert len(stack.receiver.calls) == 2


def test_a_default_model_that_the_key_may_not_use_is_not_asked(
    stack: TaskDoor, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = Client(stack, models=("claude-haiku-*",))
    task_id = client.submit()
    monkeypatch.setenv("SLUICE_DEFAULT_MODEL", "claude-opus-5-5")
    stack.cold_start()
    stack.run()
    assert asked(stack) == 0
    assert client.read(task_id)["error"]["type"] == "permission_error"


def test_a_barred_task_fails_during_an_incident_and_is_not_its_probe(stack: TaskDoor) -> None:
    rule = stack.simulator.fail(Refuse(status=401), Match(operation="messages"))
    client, barred = Client(stack), Client(stack)
    first = client.submit()
    stack.turn("TASK")
    task_id = barred.submit()
    barred.revoke()
    (incident,) = stack.incidents.list_open()
    stack.table.update(Update(Key(f"INCIDENT#{incident.kind}", "INCIDENT"), set={"probe_at": 1.0}))
    for record in stack.receive("TASK"):
        stack.deliver("TASK", [record])
    assert stack.task(task_id).error_type == "permission_error"
    (incident,) = stack.incidents.list_open()
    assert incident.probe_at == 1.0
    stack.simulator.heal(rule)
    stack.run()
    assert client.read(first)["status"] == "succeeded"


def test_an_answer_that_was_cut_is_paid_for_too(stack: TaskDoor) -> None:
    stack.simulator.fail(Break(how="reset", after_events=6), Match(operation="messages"), times=1)
    client = Client(stack)
    client.submit()
    stack.turn("TASK")
    cut = client.used
    assert (cut.succeeded, cut.failed) == (0, 1)
    assert cut.input_tokens > 0
    assert cut.output_tokens > 0
    assert cut.cost > 0
    stack.run()
    assert (client.used.succeeded, client.used.failed) == (1, 1)
    assert client.used.input_tokens == 2 * cut.input_tokens


def test_a_tool_input_that_is_no_json_is_asked_for_again_and_paid_for(
    stack: TaskDoor, monkeypatch: pytest.MonkeyPatch
) -> None:
    def from_json(*_: Any, **__: Any) -> None:
        raise ValueError("trailing characters")

    stack.simulator.answer(Reply(tool="weather", input={"city": "Riga"}))
    client = Client(stack)
    tools = [{"name": "weather", "input_schema": {"type": "object"}}]
    params = {"max_tokens": 50, "messages": [{"role": "user", "content": "Rain?"}], "tools": tools}
    task_id = client.submit(prompt=None, params=params)
    with monkeypatch.context() as patch:
        patch.setattr(jiter, "from_json", from_json)
        stack.turn("TASK")
    assert client.read(task_id)["error"] == {"type": "api_error", "message": "Claude's answer could not be read."}
    assert (client.used.succeeded, client.used.failed) == (0, 1)
    stack.run()
    assert client.read(task_id)["status"] == "succeeded"
    assert (client.used.succeeded, client.used.failed) == (1, 1)


def test_what_claude_refused_costs_nothing(stack: TaskDoor) -> None:
    stack.simulator.fail(Refuse(status=529), Match(operation="messages"), times=2)
    client = Client(stack)
    client.submit()
    stack.run()
    assert (client.used.succeeded, client.used.failed) == (1, 0)
