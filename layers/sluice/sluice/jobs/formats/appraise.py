"""What requests may cost that are more than text: images, PDFs, tools, a cache, a place for inference. Pure.

Plain text is priced by its bytes, for a whole file at once (``plan/estimate.py``). Of a request that has more, each is
looked at: base64 is no text, a web search has a price of its own, and what a request only refers to can be as long as
the model's context window.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from sluice.claude.events import BYTES_PER_TOKEN
from sluice.claude.prices import PriceList
from sluice.claude.versions import needs_older
from sluice.claude.worst_case import RequestBound, bound_request, most_cost

# Of what an answer may have at most, and of the uses of a tool.
EXPECTED_SHARE = 0.25


@dataclass(frozen=True, slots=True)
class Appraisal:
    """What requests cost, in US dollars at the price of a batch. ``unbounded`` names what no limit can be held against.

    ``limit_cost`` is the worst cost by the prices that a limit is held against. Requests that name ``unpriced`` models
    are in none. ``older``: among them are such as only the older version of the API takes.
    """

    input_tokens: int = 0
    expected_cost: float = 0.0
    worst_cost: float = 0.0
    limit_cost: float = 0.0
    unbounded: frozenset[str] = frozenset()
    unpriced: frozenset[str] = frozenset()
    older: bool = False

    def __add__(self, other: Appraisal) -> Appraisal:
        return Appraisal(
            self.input_tokens + other.input_tokens,
            self.expected_cost + other.expected_cost,
            self.worst_cost + other.worst_cost,
            self.limit_cost + other.limit_cost,
            self.unbounded | other.unbounded,
            self.unpriced | other.unpriced,
            self.older or other.older,
        )


@dataclass(frozen=True, slots=True)
class Appraiser:
    """Prices of a job: those of its estimate, and those of its limit. ``retry_max_tokens`` as the settings have it."""

    prices: PriceList
    limit_prices: PriceList
    retry_max_tokens: int = 0
    #: Up to how many bytes a line of text has one price for each token; None: any number.
    plain_bytes: int | None = field(init=False)

    def __post_init__(self) -> None:
        limits = [
            price.long_prompt_tokens
            for each in (self.prices, self.limit_prices)
            for price in each.models.values()
            if price.long_prompt_tokens is not None
        ]
        object.__setattr__(self, "plain_bytes", min(limits, default=None))

    def appraise(self, params: Mapping[str, Any], request_bytes: int, model: str, max_tokens: int) -> Appraisal:
        """Price one request, whose params have ``request_bytes``."""
        appraisal = self.price(bound_request(params), request_bytes, model, max_tokens)
        return replace(appraisal, older=True) if needs_older(params) else appraisal

    def price(self, bound: RequestBound, request_bytes: int, model: str, max_tokens: int) -> Appraisal:
        """Price one request that has that bound."""
        text_tokens = max(request_bytes - bound.media_bytes, 0) // BYTES_PER_TOKEN
        tokens = text_tokens + bound.media_tokens
        return Appraisal(
            tokens,
            self._expected(bound, tokens, model, max_tokens),
            self._worst(bound, request_bytes, max_tokens, self.prices),
            self._worst(bound, request_bytes, max_tokens, self.limit_prices),
            bound.unknown,
            frozenset(each for each in bound.models if self.limit_prices.find(each) is None),
        )

    def _expected(self, bound: RequestBound, tokens: int, model: str, max_tokens: int) -> float:
        cost = self.prices.estimate_cost(
            model, input_tokens=tokens, output_tokens=round(max_tokens * EXPECTED_SHARE), batch=True
        )
        fees = self.prices.fees
        used = bound.searches * fees.web_search * EXPECTED_SHARE
        used += bound.containers * fees.container_hour * fees.container_hours
        return (cost or 0.0) * self.prices.geo_factor(bound.inference_geo) + used

    def _worst(self, bound: RequestBound, request_bytes: int, max_tokens: int, prices: PriceList) -> float:
        worst = most_cost(bound, request_bytes, max_tokens, prices, batch=True) or 0.0
        if max_tokens < self.retry_max_tokens:
            worst += most_cost(bound, request_bytes, self.retry_max_tokens, prices, batch=True) or 0.0
        return worst
