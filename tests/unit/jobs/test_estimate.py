"""What a job may cost where answers that are cut off are asked for again."""

from __future__ import annotations

import pytest

from sluice.claude.prices import ModelPrice, Price, PriceList
from sluice.jobs.formats.check import Asked
from sluice.jobs.plan.estimate import Demand, estimate_job

MODEL = "m"
# A dollar a token of input, ten a token of output; a batch costs half.
PRICES = PriceList("2026-11-23", 0.5, {MODEL: ModelPrice(Price(1e6, 1e7, 0, 0, 0))})


def worst(retry_max_tokens: int, *asked: Asked) -> float:
    demand = Demand()
    for each in asked:
        demand.add({MODEL: each}, 400 * each.requests, retry_max_tokens)
    return estimate_job(demand, PRICES, retry_max_tokens).worst_cost


def once(requests: int, output_tokens: int, tokens_of_a_line: int = 400) -> float:
    """A line has 400 bytes, each of which may be a token."""
    return 0.5 * (tokens_of_a_line * requests + 10 * output_tokens)


@pytest.mark.parametrize("retry_max_tokens", [0, 9, 50])
def test_what_cannot_be_asked_again_is_paid_for_once(retry_max_tokens: int) -> None:
    assert worst(retry_max_tokens, Asked(4, 200, 50, 50)) == pytest.approx(once(4, 200))


def test_what_can_be_asked_again_is_paid_for_twice() -> None:
    assert worst(60, Asked(4, 200, 50, 50)) == pytest.approx(once(4, 200) + once(4, 4 * 60))


def test_only_lines_beside_a_smaller_one_count_as_asked_again() -> None:
    small, large = Asked(1, 50, 50, 50), Asked(3, 300, 100, 100)
    assert worst(60, small, large) == pytest.approx(once(4, 350) + once(1, 60))


def test_the_expected_cost_is_that_of_answers_that_end() -> None:
    demand = Demand()
    demand.add({MODEL: Asked(4, 200, 50, 50)}, 1_600, 60)
    assert estimate_job(demand, PRICES, 60).expected_cost == pytest.approx(once(4, 50, 100))
