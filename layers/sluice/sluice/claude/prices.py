"""What tokens cost: the list that ships with Sluice, laid over by a list of one's own. Everything here is an estimate.

Prices change and contracts differ, so they live in a data file with its date (``prices.json``). An object
``prices.json`` of the same form at the top of the Inbox replaces the models that it names, for jobs.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from functools import cache
from pathlib import Path
from typing import Any

from sluice.claude.usage import ChargedTokens, count_searches, parts_of_usage

_MILLION = 1_000_000
_MAX_LIMIT = 1_000_000_000
_MAX_DOLLARS = 1_000_000.0
# A dated model id is priced as the alias that it belongs to: claude-haiku-4-5-20251001.
_DATE = re.compile(r"-\d{8}$")


@dataclass(frozen=True, slots=True)
class Price:
    """US dollars per million tokens, at the ordinary price."""

    input: float
    output: float
    cache_write_5m: float
    cache_write_1h: float
    cache_read: float


@dataclass(frozen=True, slots=True)
class ModelPrice:
    """``long_prompt`` is the price of each token of a request whose prompt has more than ``long_prompt_tokens``.

    ``fast`` is how many times the price one pays in fast mode, None where the model is not known to have it;
    ``context_tokens`` is how long a prompt can be.
    """

    price: Price
    long_prompt_tokens: int | None = None
    long_prompt: Price | None = None
    fast: float | None = None
    context_tokens: int | None = None

    def of_prompt(self, prompt_tokens: int) -> Price:
        if self.long_prompt and self.long_prompt_tokens is not None and prompt_tokens > self.long_prompt_tokens:
            return self.long_prompt
        return self.price


@dataclass(frozen=True, slots=True)
class Fees:
    """What is paid besides tokens, and what makes them dearer.

    ``us_inference`` and ``unknown_fast`` multiply the price of all tokens, for inference in one country and for fast
    mode of a model without a price for it; ``web_search`` and ``container_hour`` are US dollars. ``container_hours`` is
    how long a container is taken to run for an answer, which no usage says: the least that is charged, five minutes.
    """

    us_inference: float = 1.0
    unknown_fast: float = 1.0
    web_search: float = 0.0
    container_hour: float = 0.0
    container_hours: float = 0.0


@dataclass(frozen=True, slots=True)
class PriceList:
    """``date`` is the day on which the prices were read; ``batch_discount`` the part of a price that a batch saves."""

    date: str
    batch_discount: float
    models: Mapping[str, ModelPrice]
    fees: Fees = Fees()

    def find(self, model: str) -> ModelPrice | None:
        """Find a model by its id, dated or not; None where the list does not have it."""
        return self.models.get(model) or self.models.get(_DATE.sub("", model))

    def estimate_cost(
        self,
        model: str,
        *,
        input_tokens: int = 0,
        output_tokens: int = 0,
        cache_write_tokens: int = 0,
        cache_write_1h_tokens: int = 0,
        cache_read_tokens: int = 0,
        batch: bool = False,
        prompt_tokens: int | None = None,
    ) -> float | None:
        """Estimate US dollars; None for a model without a price.

        The counts are those of the API's usage, of one request or, where ``prompt_tokens`` says how long the prompt
        of each was, of many. ``cache_write_tokens`` are those kept for five minutes.
        """
        found = self.find(model)
        if found is None:
            return None
        if prompt_tokens is None:
            prompt_tokens = input_tokens + cache_write_tokens + cache_write_1h_tokens + cache_read_tokens
        price = found.of_prompt(prompt_tokens)
        dollars = (
            input_tokens * price.input
            + output_tokens * price.output
            + cache_write_tokens * price.cache_write_5m
            + cache_write_1h_tokens * price.cache_write_1h
            + cache_read_tokens * price.cache_read
        ) / _MILLION
        return dollars * (1 - self.batch_discount) if batch else dollars

    def estimate_usage(
        self, model: str, usage: Mapping[str, Any], *, batch: bool = False, container: bool = False
    ) -> float | None:
        """Estimate what an answer costs, all that its ``usage`` reports, in US dollars; None without a price.

        ``container``: code was run for it.
        """
        costs = [self._estimate_parts(parts, batch=batch) for parts in parts_of_usage(model, usage)]
        known = [cost for cost in costs if cost is not None]
        if len(known) < len(costs):
            return None
        fees = count_searches(usage) * self.fees.web_search
        fees += self.fees.container_hour * self.fees.container_hours if container else 0.0
        return max(known) * self._factor(model, usage) + fees

    def _estimate_parts(self, parts: Sequence[tuple[str, ChargedTokens]], *, batch: bool) -> float | None:
        total = 0.0
        for model, tokens in parts:
            cost = self.estimate_cost(
                model,
                input_tokens=tokens.input,
                output_tokens=tokens.output,
                cache_write_tokens=tokens.cache_write,
                cache_write_1h_tokens=tokens.cache_write_1h,
                cache_read_tokens=tokens.cache_read,
                batch=batch,
            )
            if cost is None:
                return None
            total += cost
        return total

    def _factor(self, model: str, usage: Mapping[str, Any]) -> float:
        """Return what all tokens cost more for where and how fast they were made."""
        found = self.find(model)
        fast = (found and found.fast) or self.fees.unknown_fast
        return (fast if usage.get("speed") == "fast" else 1.0) * self.geo_factor(usage.get("inference_geo"))

    def geo_factor(self, inference_geo: object) -> float:
        """Return what inference in one place multiplies the price by (Claude API: Data residency)."""
        anywhere = inference_geo in (None, "", "global", "not_available")
        return 1.0 if anywhere else self.fees.us_inference


def at_least(own: PriceList, shipped: PriceList) -> PriceList:
    """Return the prices that a limit of cost is held against: no lower than those that ship with Sluice.

    A model that these do not have costs at least what the dearest of them does.
    """
    dearest = _dearest_price(each.price for each in shipped.models.values())
    models = {}
    for name, each in own.models.items():
        floor = shipped.find(name) or ModelPrice(dearest)
        long_prompt = _dearest_price(filter(None, (each.long_prompt or each.price, floor.long_prompt)))
        limit = min(filter(None, (each.long_prompt_tokens, floor.long_prompt_tokens)), default=None)
        price = _dearest_price((each.price, floor.price))
        context = floor.context_tokens or each.context_tokens
        models[name] = ModelPrice(price, limit, long_prompt if limit else None, floor.fast, context)
    discount = min(own.batch_discount, shipped.batch_discount)
    return PriceList(own.date, discount, {**shipped.models, **models}, shipped.fees)


def _dearest_price(prices: Iterable[Price]) -> Price:
    listed = list(prices)
    return Price(*(max(getattr(each, one.name) for each in listed) for one in fields(Price)))


@cache
def shipped_prices() -> PriceList:
    """Read the list that ships with Sluice, once."""
    return parse_prices((Path(__file__).with_name("prices.json")).read_bytes())


def estimate_usage(model: str, usage: Mapping[str, Any], *, container: bool = False) -> float | None:
    """Estimate by the shipped list what an answer costs, as ``PriceList.estimate_usage`` does."""
    return shipped_prices().estimate_usage(model, usage, container=container)


def estimate_cost(
    model: str,
    *,
    input_tokens: int = 0,
    output_tokens: int = 0,
    cache_write_tokens: int = 0,
    cache_write_1h_tokens: int = 0,
    cache_read_tokens: int = 0,
    batch: bool = False,
) -> float | None:
    """Estimate what one request costs by the shipped list, in US dollars; None for a model without a price."""
    return shipped_prices().estimate_cost(
        model,
        input_tokens=input_tokens,
        output_tokens=output_tokens,
        cache_write_tokens=cache_write_tokens,
        cache_write_1h_tokens=cache_write_1h_tokens,
        cache_read_tokens=cache_read_tokens,
        batch=batch,
    )


def parse_prices(data: bytes, over: PriceList | None = None) -> PriceList:
    """Read a list as ``prices.json`` has it, laid over another. Raises ValueError saying what is wrong with it."""
    try:
        values = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"The price list is not JSON: {error}.") from None
    if not isinstance(values, dict) or not isinstance(values.get("models"), dict):
        raise ValueError('The price list has to be an object with "date" and "models".')
    models = {str(name): _model_price(str(name), each) for name, each in values["models"].items()}
    discount = values.get("batch_discount", over.batch_discount if over else 0.5)
    if not isinstance(discount, int | float) or not 0 <= discount <= 1:
        raise ValueError('The price list\'s "batch_discount" has to be a number from 0 to 1.')
    date = str(values.get("date") or (over.date if over else "undated"))
    for text in (date, *models):
        if not text.isprintable():
            raise ValueError(f"The price list has a name or a date that is no text: {text[:100]!r}.")
    fees = over.fees if over else _fees(values.get("fees", {}))
    return PriceList(date, float(discount), {**(over.models if over else {}), **models}, fees)


def _fees(values: Any) -> Fees:
    if not isinstance(values, dict):
        raise ValueError('The price list\'s "fees" have to be an object.')
    return Fees(**{each.name: _dollars("fees", values, each.name, getattr(Fees(), each.name)) for each in fields(Fees)})


def _model_price(name: str, values: Any) -> ModelPrice:
    if not isinstance(values, dict):
        raise ValueError(f"The price of {name} has to be an object.")
    limit, long_prompt = values.get("long_prompt_tokens"), values.get("long_prompt")
    fast = _dollars(name, values, "fast", 0.0) or None
    context = values.get("context")
    if context is not None and (not isinstance(context, int) or not 0 < context <= _MAX_LIMIT):
        raise ValueError(f'The price of {name} has to have a number of tokens as "context".')
    if limit is None or long_prompt is None:
        return ModelPrice(_price(name, values), fast=fast, context_tokens=context)
    if not isinstance(limit, int) or not 0 <= limit <= _MAX_LIMIT or not isinstance(long_prompt, dict):
        raise ValueError(f"The price of long prompts of {name} has to be an object, with a number of tokens beside it.")
    return ModelPrice(_price(name, values), limit, _price(name, long_prompt), fast, context)


def _price(name: str, values: Mapping[str, Any]) -> Price:
    """Read dollars per million tokens; what a list leaves out about the cache follows from the input's price."""
    if "input" not in values or "output" not in values:
        raise ValueError(f'The price of {name} needs "input" and "output" as numbers.')
    base = _dollars(name, values, "input", 0.0)
    # Claude API: Pricing. A cache write costs 1.25 (five minutes) or 2 times the input, a read a tenth of it.
    return Price(
        base,
        _dollars(name, values, "output", 0.0),
        _dollars(name, values, "cache_write_5m", base * 1.25),
        _dollars(name, values, "cache_write_1h", base * 2),
        _dollars(name, values, "cache_read", base / 10),
    )


def _dollars(name: str, values: Mapping[str, Any], field: str, default: float) -> float:
    try:
        dollars = float(values.get(field, default))
    except (TypeError, ValueError, OverflowError):
        dollars = math.nan
    # Python reads NaN, Infinity and 1e999 as JSON, though they are none: sums of them could not be written again.
    if not 0 <= dollars <= _MAX_DOLLARS:
        raise ValueError(f'The price of {name} has to have US dollars as "{field}", from 0 to {_MAX_DOLLARS:g}.')
    return dollars


def _model_values(model: ModelPrice) -> dict[str, object]:
    values: dict[str, object] = {each.name: getattr(model.price, each.name) for each in fields(Price)}
    values |= {"fast": model.fast} if model.fast else {}
    values |= {"context": model.context_tokens} if model.context_tokens else {}
    if model.long_prompt:
        long_prompt = {each.name: getattr(model.long_prompt, each.name) for each in fields(Price)}
        values |= {"long_prompt_tokens": model.long_prompt_tokens, "long_prompt": long_prompt}
    return values
