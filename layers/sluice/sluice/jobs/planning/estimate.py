"""What a job will take, guessed before anything is spent. Pure.

Input: a token for each four bytes of a line. That is near the truth for prose in the Latin alphabet, and too much for
other scripts, for escaped text and for images. Output: in the worst case every answer is as long as its ``max_tokens``;
a quarter of that is expected. A limit of cost is held against the worst case.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from sluice.claude.prices import PriceList
from sluice.jobs.inputs.lines import Asked

BYTES_PER_TOKEN = 4
EXPECTED_SHARE_OF_MAX_TOKENS = 0.25


@dataclass(slots=True)
class ModelDemand:
    """What is asked of one model: requests, the bytes of their lines, and the sum of their ``max_tokens``."""

    requests: int = 0
    line_bytes: int = 0
    max_tokens: int = 0


@dataclass(slots=True)
class Demand:
    """What is asked of each model."""

    models: dict[str, ModelDemand] = field(default_factory=dict)

    def add(self, asked: Mapping[str, Asked], line_bytes: int) -> None:
        """Add requests; the bytes of their lines are shared out evenly."""
        total = sum(each.requests for each in asked.values())
        for model, each in asked.items():
            of_model = self.models.setdefault(model, ModelDemand())
            of_model.requests += each.requests
            of_model.line_bytes += line_bytes * each.requests // total
            of_model.max_tokens += each.max_tokens


@dataclass(frozen=True, slots=True)
class Estimate:
    """US dollars at the price of a batch. ``unpriced`` models are in neither cost."""

    input_tokens: int
    expected_cost: float
    worst_cost: float
    unpriced: tuple[str, ...]


def estimate_job(demand: Demand, prices: PriceList) -> Estimate:
    """Estimate a job from its demand."""
    tokens, expected, worst = 0, 0.0, 0.0
    unpriced: list[str] = []
    for model, asked in sorted(demand.models.items()):
        input_tokens = asked.line_bytes // BYTES_PER_TOKEN
        tokens += input_tokens
        prompt = input_tokens // max(asked.requests, 1)
        low, high = (
            prices.estimate_cost(
                model, input_tokens=input_tokens, output_tokens=output, batch=True, prompt_tokens=prompt
            )
            for output in (round(asked.max_tokens * EXPECTED_SHARE_OF_MAX_TOKENS), asked.max_tokens)
        )
        if low is None or high is None:
            unpriced.append(model)
            continue
        expected += low
        worst += high
    return Estimate(tokens, expected, worst, tuple(unpriced))
