"""What tasks cost a key is what Claude charges for, whatever is used, redelivered or cut."""

from __future__ import annotations

import time
from typing import Any

import pytest

from bench.streaming.soak import dollars
from simulator.client import Break, Match, Reply
from sluice.access.keys import KeyText
from sluice.access.store import KeyStore, KeyTerms
from sluice.access.usage import MonthlyUsage, month_of, read_usage

from .door import TaskDoor

MODEL = "claude-sonnet-5"
LONG = {"type": "text", "text": "Be brief. " * 600, "cache_control": {"type": "ephemeral", "ttl": "1h"}}
FEATURES: dict[str, dict[str, Any]] = {
    "plain": {},
    "written to the cache for an hour": {"system": [LONG]},
    "read from the cache": {"system": [LONG]},
    "fast": {"model": "claude-opus-5-5", "speed": "fast"},
    "with searches": {"tools": [{"type": "web_search_20250305", "name": "web_search", "max_uses": 2}]},
    "in one country": {"inference_geo": "us"},
}


@pytest.fixture
def key(stack: TaskDoor, monkeypatch: pytest.MonkeyPatch) -> KeyText:
    monkeypatch.setenv("SLUICE_AUTH_MODE", "keys")
    stack.cold_start()
    return KeyStore(stack.table).create(KeyTerms("shop", budget=1000.0))


def submit(stack: TaskDoor, key: KeyText, **params: Any) -> str:
    turns = [{"role": "user", "content": "Why is the sky blue?"}]
    body = {"params": {"model": MODEL, "max_tokens": 500, "messages": turns, **params}}
    answer = stack.call("POST", "/v1/tasks", body | {"callback_url": stack.receiver.url}, {"x-api-key": key.text})
    assert answer.status == 202, answer.body
    return str(answer.body["id"])


def used(stack: TaskDoor, key: KeyText) -> MonthlyUsage:
    return read_usage(stack.table, key.id, month_of(time.time()))


def charged(stack: TaskDoor) -> list[float]:
    return [dollars(each.usage, str(each.model)) for each in stack.simulator.requests("messages") if each.usage]


def test_all_that_is_charged_for_is_counted_once_though_messages_come_twice(stack: TaskDoor, key: KeyText) -> None:
    headers = {"x-api-key": key.text}
    for params in FEATURES.values():
        task_id = submit(stack, key, **params)
        (record,) = stack.receive("TASK")
        for copy in (record, {**record, "messageId": "again"}):
            stack.deliver("TASK", [copy])
        stack.run()
        assert stack.call("POST", f"/v1/tasks/{task_id}/redeliver", headers=headers).status == 202
        stack.run()
        cost = stack.call("GET", f"/v1/tasks/{task_id}", headers=headers).body["estimated_cost_usd"]
        assert cost == pytest.approx(charged(stack)[-1], abs=1e-9)

    assert len(charged(stack)) == len(FEATURES)
    assert used(stack, key).cost == pytest.approx(sum(charged(stack)), abs=1e-8)
    assert used(stack, key).committed == pytest.approx(used(stack, key).cost, abs=1e-8)
    assert len(stack.receiver.calls) == 2 * len(FEATURES)


def test_answers_that_are_cut_are_counted_as_far_as_they_came(stack: TaskDoor, key: KeyText) -> None:
    stack.simulator.answer(Reply(words=200))
    stack.simulator.fail(Break(how="close", after_events=60), Match(operation="messages"), times=2)
    submit(stack, key)
    stack.run()

    assert len(charged(stack)) == 3
    # How many tokens a text has that was cut, Claude has not said: it is counted by its length.
    assert used(stack, key).cost == pytest.approx(sum(charged(stack)), rel=0.3)
    assert used(stack, key).cost >= 0.999 * sum(charged(stack))
    assert used(stack, key).committed == pytest.approx(used(stack, key).cost, abs=1e-8)
