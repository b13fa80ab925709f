"""What a job will take, guessed before anything is spent. Pure.

Input: a token for each four bytes of a line. That is near the truth for prose in the Latin alphabet. It is too much for
images and for text that is escaped (``\\u4e2d``), and can be too little for other scripts and for code: a Chinese or
Japanese character has three bytes in UTF-8 and is often a token of its own. So it is a guess, and no bound.

Output: in the worst case every answer is as long as its ``max_tokens``; a quarter of that is expected. Where answers
that were cut off are asked for again (``retry_max_tokens``), the worst case is that all of them are: their requests are
then paid for twice, input and output. A limit of cost is held against the worst case.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from sluice.claude.events import BYTES_PER_TOKEN
from sluice.claude.prices import PriceList
from sluice.jobs.formats.check import Asked

EXPECTED_SHARE_OF_MAX_TOKENS = 0.25


@dataclass(slots=True)
class ModelDemand:
    """What is asked of one model: requests, the bytes of their lines, and the sum of their ``max_tokens``.

    ``repeatable`` is how many of the requests may be asked again with a larger ``max_tokens``.
    """

    requests: int = 0
    line_bytes: int = 0
    max_tokens: int = 0
    repeatable: int = 0


@dataclass(slots=True)
class Demand:
    """What is asked of each model."""

    models: dict[str, ModelDemand] = field(default_factory=dict)

    def add(self, asked: Mapping[str, Asked], line_bytes: int, retry_max_tokens: int = 0) -> None:
        """Add requests; the bytes of their lines are shared out evenly.

        They are asked again with ``retry_max_tokens`` where that is more, all of them where it is for one.
        """
        total = sum(each.requests for each in asked.values())
        for model, each in asked.items():
            of_model = self.models.setdefault(model, ModelDemand())
            of_model.requests += each.requests
            of_model.line_bytes += line_bytes * each.requests // total
            of_model.max_tokens += each.max_tokens
            if each.lowest < retry_max_tokens:
                of_model.repeatable += each.requests


@dataclass(frozen=True, slots=True)
class Estimate:
    """US dollars at the price of a batch. ``unpriced`` models are in neither cost."""

    input_tokens: int
    expected_cost: float
    worst_cost: float
    unpriced: tuple[str, ...]


def estimate_job(demand: Demand, prices: PriceList, retry_max_tokens: int = 0) -> Estimate:
    """Estimate a job from its demand."""
    tokens, expected, worst = 0, 0.0, 0.0
    unpriced: list[str] = []
    for model, asked in sorted(demand.models.items()):
        tokens += asked.line_bytes // BYTES_PER_TOKEN
        costs = _costs(model, asked, prices, retry_max_tokens)
        if costs is None:
            unpriced.append(model)
            continue
        expected += costs[0]
        worst += costs[1]
    return Estimate(tokens, expected, worst, tuple(unpriced))


def _costs(model: str, asked: ModelDemand, prices: PriceList, retry_max_tokens: int) -> tuple[float, float] | None:
    """Return the expected and the worst cost; None for a model without a price."""
    input_tokens, requests = asked.line_bytes // BYTES_PER_TOKEN, max(asked.requests, 1)

    def cost(input_tokens: int, output_tokens: int) -> float | None:
        return prices.estimate_cost(
            model, input_tokens=input_tokens, output_tokens=output_tokens, batch=True, prompt_tokens=prompt
        )

    prompt = input_tokens // requests
    again = input_tokens * asked.repeatable // requests
    expected = cost(input_tokens, round(asked.max_tokens * EXPECTED_SHARE_OF_MAX_TOKENS))
    worst = cost(input_tokens + again, asked.max_tokens + asked.repeatable * retry_max_tokens)
    return None if expected is None or worst is None else (expected, worst)
