"""A key with a budget or a list of models sends what Sluice can price, and nothing else."""

from __future__ import annotations

from typing import Any

import pytest

from sluice.access.guard import Caller, Guard
from sluice.access.store import KeyStore, KeyTerms
from sluice.aws.dynamodb import Table
from sluice.errors import Forbidden

HAIKU = "claude-haiku-5-5"
PARAMS = {"model": HAIKU, "max_tokens": 10, "messages": [{"role": "user", "content": "x"}]}
ADVISOR = {"type": "advisor_20260301", "name": "advisor", "model": "claude-opus-5-5"}
CLAUDE_CODE = "claude-code-20250219,interleaved-thinking-2025-05-14, context-management-2025-06-27"


def check(table: Table, params: dict[str, Any], betas: str = "", **terms: Any) -> None:
    caller = Caller("key:a", "a", KeyTerms("someone", **terms))
    Guard("keys", KeyStore(table)).check_known(caller, params, {"anthropic-beta": betas})


@pytest.mark.parametrize("terms", [{"budget": 1.0}, {"models": (HAIKU,)}])
@pytest.mark.parametrize(
    ("more", "betas", "named"),
    [
        ({"billing_policy": {"bill_to": "self"}}, "", "billing_policy"),
        ({"param_of_tomorrow": 1}, "", "param_of_tomorrow"),
        ({"tools": [{"type": "oracle_20270101", "name": "oracle"}]}, "", "oracle_20270101"),
        ({}, "dreaming-2026-04-21", "dreaming-2026-04-21"),
        ({}, f"{CLAUDE_CODE},beta-of-tomorrow-2027-01-01", "beta-of-tomorrow-2027-01-01"),
        ({"fallbacks": [{"model": "claude-of-tomorrow"}]}, "", "claude-of-tomorrow"),
    ],
)
def test_what_is_not_known_is_refused_by_name(
    table: Table, terms: dict[str, Any], more: dict[str, Any], betas: str, named: str
) -> None:
    with pytest.raises(Forbidden, match=named):
        check(table, PARAMS | more, betas, **terms)
    check(table, PARAMS | more, betas, rate=5)


@pytest.mark.parametrize("more", [{"tools": [ADVISOR]}, {"fallbacks": [{"model": "claude-opus-5-5"}]}])
def test_a_model_that_is_named_elsewhere_is_held_to_the_keys_list(table: Table, more: dict[str, Any]) -> None:
    with pytest.raises(Forbidden, match="may not use the model 'claude-opus-5-5'"):
        check(table, PARAMS | more, models=("claude-haiku-*",))
    check(table, PARAMS | more, budget=1.0)


def test_fast_mode_is_refused_where_its_price_is_not_known(table: Table) -> None:
    with pytest.raises(Forbidden, match="fast mode"):
        check(table, PARAMS | {"speed": "fast"}, budget=1.0)
    check(table, PARAMS | {"speed": "fast", "model": "claude-opus-5-5"}, budget=1.0)


def test_what_claude_code_and_the_sdks_send_is_known(table: Table) -> None:
    tools = [{"name": "Bash", "input_schema": {}}, {"type": "web_search_20260318", "name": "web_search"}]
    check(table, PARAMS | {"tools": tools, "thinking": {"type": "adaptive"}, "system": "x"}, CLAUDE_CODE, budget=1.0)
