"""What a job will take, guessed before anything is spent. Pure.

Expected: a token of input for each four bytes of a line, which is near the truth for prose in the Latin alphabet, and
a quarter of ``max_tokens`` for an answer. What is more than text is priced one by one (``formats/appraise.py``).

At worst: a token for each byte, since no token is less than that, and every answer as long as its ``max_tokens``. Where
answers that were cut off are asked for again (``retry_max_tokens``), all of them are, and paid for twice, input and
output. A limit of cost is held against the worst case. What it cannot bound (what Claude's own tools bring into a
prompt, a file that is only referred to) counts as long as the model's context window, and is named.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from sluice.claude.events import BYTES_PER_TOKEN
from sluice.claude.prices import PriceList
from sluice.jobs.formats.appraise import EXPECTED_SHARE, Appraisal
from sluice.jobs.formats.check import Asked


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
    """What is asked of each model in plain text, and what all that is more than text costs.

    The models of ``appraised`` requests are among the others, without what is asked of them.
    """

    models: dict[str, ModelDemand] = field(default_factory=dict)
    appraised: Appraisal = field(default_factory=Appraisal)

    def add(
        self,
        asked: Mapping[str, Asked],
        line_bytes: int,
        retry_max_tokens: int = 0,
        appraisal: Appraisal | None = None,
    ) -> None:
        """Add requests; the bytes of their lines are shared out evenly.

        They are asked again with ``retry_max_tokens`` where that is more, all of them where it is for one.
        """
        if appraisal is not None:
            self.appraised += appraisal
            for model in asked:
                self.models.setdefault(model, ModelDemand())
            return
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
    """US dollars at the price of a batch. ``unpriced`` models are in neither cost; ``unbounded`` is as in Appraisal."""

    input_tokens: int
    expected_cost: float
    worst_cost: float
    unpriced: tuple[str, ...]
    unbounded: tuple[str, ...] = ()


def estimate_job(demand: Demand, prices: PriceList, retry_max_tokens: int = 0, *, of_limit: bool = False) -> Estimate:
    """Estimate a job from its demand. ``of_limit``: ``prices`` are those that a limit is held against."""
    appraised = demand.appraised
    tokens, expected = appraised.input_tokens, appraised.expected_cost
    worst = appraised.limit_cost if of_limit else appraised.worst_cost
    unpriced = set(appraised.unpriced)
    for model, asked in sorted(demand.models.items()):
        tokens += asked.line_bytes // BYTES_PER_TOKEN
        costs = _costs(model, asked, prices, retry_max_tokens)
        if costs is None:
            unpriced.add(model)
            continue
        expected += costs[0]
        worst += costs[1]
    return Estimate(tokens, expected, worst, tuple(sorted(unpriced)), tuple(sorted(appraised.unbounded)))


def _costs(model: str, asked: ModelDemand, prices: PriceList, retry_max_tokens: int) -> tuple[float, float] | None:
    """Return the expected and the worst cost; None for a model without a price."""
    requests, prompt = max(asked.requests, 1), asked.line_bytes // BYTES_PER_TOKEN // max(asked.requests, 1)

    def cost(input_tokens: int, output_tokens: int) -> float | None:
        return prices.estimate_cost(
            model, input_tokens=input_tokens, output_tokens=output_tokens, batch=True, prompt_tokens=prompt
        )

    again = asked.line_bytes * asked.repeatable // requests
    expected = cost(asked.line_bytes // BYTES_PER_TOKEN, round(asked.max_tokens * EXPECTED_SHARE))
    worst = cost(asked.line_bytes + again, asked.max_tokens + asked.repeatable * retry_max_tokens)
    return None if expected is None or worst is None else (expected, worst)
