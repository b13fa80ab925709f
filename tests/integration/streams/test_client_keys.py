"""Client keys at the door: refused, held to their terms, accounted."""

from __future__ import annotations

import json
import time

import pytest

from simulator.client import API_KEY
from sluice.access.store import KeyTerms
from sluice.access.usage import MonthlyUsage, month_of, read_usage
from sluice.claude.prices import shipped_prices
from sluice.claude.worst_case import worst_cost
from tests.integration.streams.door import PARAMS, StreamDoor, wait_for

STREAM = {**PARAMS, "stream": True}


def usage_of(stack: StreamDoor, key: str) -> MonthlyUsage:
    return read_usage(stack.aws.table, key.removeprefix("sk-sluice-")[:8], month_of(time.time()))


@pytest.mark.parametrize("key", ["", "sk-ant-something", "sk-sluice-abcdefgh-" + "A" * 43])
def test_a_key_that_nobody_made_is_refused(stack: StreamDoor, key: str) -> None:
    response = stack.post(PARAMS, {"x-api-key": key})

    assert response.status_code in (401, 429)
    assert response.json()["error"]["type"] in ("authentication_error", "rate_limit_error")
    assert not stack.simulator.requests()


def test_a_key_is_held_to_its_models(stack: StreamDoor) -> None:
    key = stack.new_key(KeyTerms("haiku only", models=("claude-haiku-*",)))

    refused = stack.post(PARAMS, {"x-api-key": key})
    doubled = stack.request(
        "POST", "/v1/messages", {"x-api-key": key}, content='{"model":"claude-haiku-4-5","model":"claude-opus-5"}'
    )
    allowed = stack.post({**PARAMS, "model": "claude-haiku-4-5"}, {"x-api-key": key})

    assert (refused.status_code, refused.json()["error"]["type"]) == (403, "permission_error")
    assert doubled.status_code == 400
    assert allowed.status_code == 200


def test_a_key_is_held_to_its_rate(stack: StreamDoor) -> None:
    key = stack.new_key(KeyTerms("two a minute", rate=2))
    if time.time() % 60 > 50:
        time.sleep(61 - time.time() % 60)  # The window is the minute of the clock.

    answers = [stack.post(PARAMS, {"x-api-key": key}) for _ in range(3)]

    assert [answer.status_code for answer in answers] == [200, 200, 429]
    assert 1 <= int(answers[-1].headers["retry-after"]) <= 60


def test_a_key_is_held_to_its_budget(stack: StreamDoor) -> None:
    worst = worst_cost(PARAMS, len(json.dumps(PARAMS)), shipped_prices())
    assert worst is not None
    key = stack.new_key(KeyTerms("one call at worst", budget=worst * 1.01))

    first = stack.post(PARAMS, {"x-api-key": key})
    stack.log_line(first)
    wait_for(lambda: usage_of(stack, key).cost > 0)
    answers = [stack.post(PARAMS, {"x-api-key": key}) for _ in range(8)]

    assert first.status_code == 200
    assert usage_of(stack, key).cost <= worst
    assert 402 in {answer.status_code for answer in answers}


def test_what_a_key_uses_is_accounted(stack: StreamDoor) -> None:
    key = stack.new_key(KeyTerms("accounted"))

    for params in (PARAMS, STREAM):
        stack.log_line(stack.post(params, {"x-api-key": key}))

    usage = usage_of(stack, key)
    assert (usage.succeeded, usage.failed) == (2, 0)
    assert usage.input_tokens > 0
    assert usage.output_tokens > 0
    assert usage.cost > 0


def test_no_secret_stands_in_the_log(stack: StreamDoor) -> None:
    stack.log_line(stack.post({**PARAMS, "metadata": {"user_id": "a-secret-user"}}))

    text = "".join(path.read_text() for path in stack.log_dir.rglob("*") if path.is_file())
    assert stack.key not in text
    assert API_KEY not in text
    assert "quick brown fox" not in text
    assert "a-secret-user" not in text
