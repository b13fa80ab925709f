"""Prices: what tokens cost, by the shipped list and by one's own."""

from __future__ import annotations

import json

import pytest

from sluice.claude.prices import at_least, estimate_cost, parse_prices, shipped_prices


def test_a_million_tokens_cost_what_the_list_says() -> None:
    assert estimate_cost("claude-sonnet-5-5", input_tokens=1_000_000, output_tokens=1_000_000) == pytest.approx(12.0)


def test_a_batch_costs_half() -> None:
    assert estimate_cost("claude-opus-5-5", output_tokens=1_000_000, batch=True) == pytest.approx(10.0)


def test_cached_tokens_are_priced_by_kind() -> None:
    assert estimate_cost("claude-sonnet-5", cache_write_tokens=1_000_000) == pytest.approx(2.5)
    assert estimate_cost("claude-sonnet-5", cache_write_1h_tokens=1_000_000) == pytest.approx(4.0)
    assert estimate_cost("claude-sonnet-5", cache_read_tokens=1_000_000) == pytest.approx(0.2)


def test_a_dated_model_is_priced_as_its_alias() -> None:
    assert estimate_cost("claude-haiku-4-5-20251001", input_tokens=1_000_000) == pytest.approx(1.0)


def test_a_long_prompt_has_its_own_price() -> None:
    assert estimate_cost("claude-haiku-5-5", input_tokens=100_000) == pytest.approx(0.01)
    assert estimate_cost("claude-haiku-5-5", input_tokens=200_000) == pytest.approx(0.1)


def test_sums_over_many_short_prompts_are_not_taken_for_one_long_prompt() -> None:
    cost = shipped_prices().estimate_cost("claude-haiku-5-5", input_tokens=1_000_000, prompt_tokens=300)
    assert cost == pytest.approx(0.1)


def test_a_model_without_a_price_has_no_estimate() -> None:
    assert estimate_cost("claude-of-tomorrow", input_tokens=1) is None


def test_a_list_of_ones_own_replaces_the_models_that_it_names() -> None:
    own = json.dumps({"date": "2027-01-01", "models": {"claude-opus-5": {"input": 1, "output": 2}}}).encode()
    prices = parse_prices(own, shipped_prices())
    assert prices.date == "2027-01-01"
    assert prices.estimate_cost("claude-opus-5", input_tokens=1_000_000) == pytest.approx(1.0)
    assert prices.estimate_cost("claude-sonnet-5", input_tokens=1_000_000) == pytest.approx(2.0)


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"{", "not JSON"),
        (b"[]", '"models"'),
        (b'{"models": {"m": 3}}', "price of m has to be an object"),
        (b'{"models": {"m": {"input": 1}}}', '"input" and "output"'),
        (b'{"models": {"m": {"input": "x", "output": 1}}}', 'm has to have US dollars as "input"'),
        (b'{"models": {"m": {"input": NaN, "output": 1}}}', 'm has to have US dollars as "input"'),
        (b'{"models": {"m": {"input": 1, "output": 1e999}}}', 'm has to have US dollars as "output"'),
        (b'{"models": {"m": {"input": 1, "output": "inf"}}}', 'm has to have US dollars as "output"'),
        (b'{"models": {"m": {"input": -1, "output": 1}}}', 'm has to have US dollars as "input"'),
        (b'{"models": {"m": {"input": 1, "output": 1, "cache_read": null}}}', 'US dollars as "cache_read"'),
        (b'{"models": {"m": {"input": 1%s, "output": 1}}}' % (b"0" * 400), 'm has to have US dollars as "input"'),
        (b'{"models": {"\\ud800": {"input": 1, "output": 1}}}', "a name or a date that is no text"),
        (b'{"models": {}, "date": "\\ud800"}', "a name or a date that is no text"),
        (b'{"models": ' + b"[" * 100_000, "not JSON"),
        (b'{"models": {}, "batch_discount": NaN}', "batch_discount"),
        (b'{"models": {}, "batch_discount": 2}', "batch_discount"),
        (b'{"models": {"m": {"input": 1, "output": 1, "long_prompt_tokens": "x", "long_prompt": {}}}}', "long prompts"),
        (b'{"models": {"m": {"input": 1, "output": 1, "long_prompt_tokens": -1, "long_prompt": {}}}}', "long prompts"),
    ],
)
def test_a_list_that_cannot_be_read_says_why(data: bytes, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        parse_prices(data)


def test_a_list_of_ones_own_makes_no_limit_wider() -> None:
    free = '{"input": 0, "output": 0}'
    own = f'{{"batch_discount": 1, "models": {{"claude-opus-5-5": {free}, "m": {free}}}}}'.encode()
    bound = at_least(parse_prices(own, shipped_prices()), shipped_prices())

    assert bound.estimate_cost("claude-opus-5-5", output_tokens=1_000_000, batch=True) == pytest.approx(10.0)
    assert bound.estimate_cost("m", output_tokens=1_000_000, batch=True) == pytest.approx(25.0)
    assert bound.estimate_cost("claude-haiku-5-5", input_tokens=200_000) == pytest.approx(0.1)


def test_a_list_of_ones_own_can_make_a_limit_narrower() -> None:
    own = b'{"models": {"claude-opus-5-5": {"input": 100, "output": 100}}}'
    bound = at_least(parse_prices(own, shipped_prices()), shipped_prices())

    assert bound.estimate_cost("claude-opus-5-5", output_tokens=1_000_000) == pytest.approx(100.0)
