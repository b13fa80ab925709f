"""What answers used is added up by model and kind, and priced."""

from __future__ import annotations

from dataclasses import astuple, replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sluice.claude.prices import Fees, parse_prices
from sluice.jobs.collect.retry_policy import ResultKind
from sluice.jobs.collect.usage import LengthHistograms, UsageMeter
from sluice.jobs.model import Tokens
from sluice.jobs.results import CacheCreation, Message, Result, ResultLine, ServerToolUse, Usage

PRICES = parse_prices(
    b'{"date": "2026-01-01", "batch_discount": 0.5, "models": {"n": {"input": 1, "output": 1}, "m": {"input": 2,'
    b' "output": 10, "long_prompt_tokens": 100, "long_prompt": {"input": 4, "output": 20}}}}'
)


def answer(model: str, usage: Usage | None, stop_reason: str = "end_turn") -> ResultLine:
    return ResultLine("id", Result("succeeded", Message(model, stop_reason, usage)))


def booked(*lines: ResultLine) -> tuple[UsageMeter, list[ResultKind]]:
    usage_meter, kinds = UsageMeter(PRICES), bytearray([ResultKind.SUCCEEDED]) * len(lines)
    usage_meter.add(lines, range(len(lines)), kinds)
    return usage_meter, [ResultKind(kind) for kind in kinds]


def test_tokens_are_added_up_by_model() -> None:
    usage_meter, _ = booked(answer("m", Usage(10, 5)), answer("n", Usage(1, 2)), answer("m", Usage(20, 7)))
    tokens = usage_meter.tokens()
    assert (tokens["m"].input, tokens["m"].output) == (30, 12)
    assert (tokens["n"].input, tokens["n"].output) == (1, 2)
    assert tokens["m"].cost == pytest.approx((30 * 2 + 12 * 10) / 1e6 / 2)


def test_the_cache_is_counted_by_kind_and_priced_by_its_life() -> None:
    usage = Usage(1, 0, 30, 40, CacheCreation(20))
    tokens = booked(answer("n", usage))[0].tokens()["n"]
    assert astuple(tokens) == pytest.approx((1, 0, 30, 40, (1 + 10 * 1.25 + 20 * 2 + 40 * 0.1) / 1e6 / 2))


def test_a_long_prompt_has_its_own_price() -> None:
    usage_meter, _ = booked(answer("m", Usage(101, 1)), answer("m", Usage(100, 1)), answer("m", Usage(1, 1, 0, 100)))
    tokens = usage_meter.tokens()["m"]
    expected = (101 * 4 + 20) + (100 * 2 + 10) + (1 * 4 + 20 + 100 * 0.4)
    assert astuple(tokens) == pytest.approx((202, 3, 0, 100, expected / 1e6 / 2))


def test_searches_a_place_a_container_and_iterations_are_paid_for() -> None:
    prices = replace(PRICES, fees=Fees(us_inference=1.5, web_search=0.01, container_hour=0.6, container_hours=0.1))
    advisor = {"type": "advisor_message", "model": "n", "input_tokens": 100, "output_tokens": 10}
    messages = [
        Message("m", "end_turn", Usage(10, 5, server_tool_use=ServerToolUse(3))),
        Message("m", "end_turn", Usage(10, 5, inference_geo="us")),
        Message("m", "end_turn", Usage(10, 5, inference_geo="not_available")),
        Message("m", "end_turn", Usage(10, 5), container={"id": "c"}),
        Message("m", "end_turn", Usage(10, 5, iterations=[advisor])),
    ]
    meter = UsageMeter(prices)
    meter.add([ResultLine("id", Result("succeeded", each)) for each in messages], range(5), bytearray(5))
    tokens, one = meter.tokens()["m"], (10 * 2 + 5 * 10) / 1e6 / 2
    assert (tokens.input, tokens.output) == (50, 25)
    assert tokens.cost == pytest.approx(5.5 * one + 3 * 0.01 + 0.06 + 110 / 1e6 / 2)
    assert meter.lengths == LengthHistograms({4: 5}, {3: 5})


def test_a_model_without_a_price_costs_nothing_that_is_known() -> None:
    assert booked(answer("unheard-of", Usage(5, 5)))[0].tokens()["unheard-of"] == Tokens(5, 5)


def test_counts_that_are_null_or_missing_are_none() -> None:
    usage_meter, kinds = booked(answer("m", Usage(None, None, None, None)), answer("m", None))
    assert usage_meter.tokens()["m"] == Tokens()
    assert kinds == [ResultKind.SUCCEEDED, ResultKind.SUCCEEDED]


def test_fates_are_noted_at_their_places() -> None:
    usage_meter, kinds = UsageMeter(PRICES), bytearray([ResultKind.SUCCEEDED]) * 4
    lines = [ResultLine("a", Result("expired")), answer("m", Usage(1, 1), "max_tokens"), answer("m", Usage(1, 1))]
    usage_meter.add(lines, [3, 0, 2], kinds)
    assert [ResultKind(kind) for kind in kinds] == [
        ResultKind.CUT_OFF,
        ResultKind.SUCCEEDED,
        ResultKind.SUCCEEDED,
        ResultKind.EXPIRED,
    ]


def test_lengths_are_counted_by_powers_of_two() -> None:
    usage_meter, _ = booked(answer("m", Usage(0, 1)), answer("m", Usage(3, 2)), answer("m", Usage(4, 3)))
    assert usage_meter.lengths == LengthHistograms({0: 1, 2: 1, 3: 1}, {1: 1, 2: 2})
    assert usage_meter.lengths + LengthHistograms({0: 2}, {9: 1}) == LengthHistograms(
        {0: 3, 2: 1, 3: 1}, {1: 1, 2: 2, 9: 1}
    )


counts = st.one_of(st.none(), st.integers(0, 300))
usages = st.builds(Usage, counts, counts, counts, counts)


@settings(max_examples=60)
@given(st.lists(st.tuples(st.sampled_from(["m", "n"]), usages), max_size=12), st.integers(1, 5))
def test_how_lines_come_in_blocks_makes_no_difference(lines: list[tuple[str, Usage]], size: int) -> None:
    answers = [answer(model, usage) for model, usage in lines]
    apart = UsageMeter(PRICES)
    for start in range(0, len(answers), size):
        block = answers[start : start + size]
        apart.add(block, range(len(block)), bytearray(size))
    together, alone = booked(*answers)[0].tokens(), apart.tokens()
    assert together.keys() == alone.keys()
    for model, tokens in together.items():
        assert astuple(alone[model]) == pytest.approx(astuple(tokens))
        assert tokens.output == sum(usage.output_tokens or 0 for name, usage in lines if name == model)
