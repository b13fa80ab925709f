"""What the answers of one wave used: tokens by model and kind, their estimated cost, and how long they were."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from operator import attrgetter

import msgspec

from sluice.claude.prices import PriceList
from sluice.jobs.collect.retry_policy import KIND_OF_STOP_REASON, result_kind
from sluice.jobs.model import Tokens
from sluice.jobs.results import ERRORED, SUCCEEDED, Message, ResultLine, Usage

_NO_LIMIT = 1 << 62
_TOOL_USE, _ITERATIONS, _GEO = map(attrgetter, ("server_tool_use", "iterations", "inference_geo"))
_CONTAINER = attrgetter("container")
# Values of "inference_geo" that cost nothing (Claude API: Data residency).
_ANYWHERE = frozenset({None, "", "global", "not_available"})


class LengthHistograms(msgspec.Struct):
    """Histograms with a bucket for each power of two: bucket b counts the answers with 2**(b-1) to 2**b - 1 tokens."""

    input: dict[int, int] = {}
    output: dict[int, int] = {}

    def __add__(self, other: LengthHistograms) -> LengthHistograms:
        return LengthHistograms(_sum(self.input, other.input), _sum(self.output, other.output))


def _sum(left: Mapping[int, int], right: Mapping[int, int]) -> dict[int, int]:
    return dict(Counter(left) + Counter(right))


class _Used:
    """Tokens of a model; those of requests with long prompts, which have another price, apart."""

    __slots__ = ("cache_read", "cache_write", "cache_write_1h", "input", "limit", "output")

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.input = self.output = self.cache_read = self.cache_write = self.cache_write_1h = 0

    def add_cache(self, usage: Usage) -> None:
        write, detail = usage.cache_creation_input_tokens or 0, usage.cache_creation
        hour = (detail.ephemeral_1h_input_tokens or 0) if detail else 0
        self.cache_read += usage.cache_read_input_tokens or 0
        self.cache_write_1h += hour
        self.cache_write += max(write - hour, 0)


def _are_plain(messages: Sequence[Message], usages: Sequence[Usage]) -> bool:
    """Return whether only tokens at their usual price are paid for: no search, no container, no place, no iteration."""
    return not (
        any(map(_TOOL_USE, usages))
        or any(map(_ITERATIONS, usages))
        or any(map(_CONTAINER, messages))
        or not _ANYWHERE.issuperset(map(_GEO, usages))
    )


class UsageMeter:
    """Adds up what answers used. ``prices`` estimate what it costs; a model without a price costs nothing there."""

    def __init__(self, prices: PriceList) -> None:
        self._prices = prices
        self._used: dict[str, _Used] = {}
        self._long: dict[str, _Used] = {}
        self._apart: dict[str, Tokens] = {}
        self._inputs: Counter[int] = Counter()
        self._outputs: Counter[int] = Counter()
        self._errors: set[tuple[str, str]] = set()

    @property
    def common_error(self) -> bool:
        """Whether all errors, of which there is at least one, have the same type and the same message."""
        return len(self._errors) == 1

    def add(self, lines: Iterable[ResultLine], places: Sequence[int], kinds: bytearray) -> None:
        """Note what the lines used, and at its place the kind of each result that is not plain success."""
        results = [line.result for line in lines]
        messages = [result.message for result in results if result.type == SUCCEEDED and result.message is not None]
        if len(messages) < len(results) or not KIND_OF_STOP_REASON.keys().isdisjoint(
            {message.stop_reason for message in messages}
        ):
            for place, result in zip(places, results, strict=True):
                kinds[place] = result_kind(result)
                if result.type == ERRORED and len(self._errors) < 2:
                    self._errors.add((result.inner_error.type, result.inner_error.message))
        for model in {message.model for message in messages}:
            own = [message for message in messages if message.model == model and message.usage is not None]
            usages = [message.usage for message in own if message.usage is not None]
            if usages and _are_plain(own, usages):
                self._add_usages(model, usages)
            else:
                for message, usage in zip(own, usages, strict=True):
                    self._add_one(model, message, usage)

    def _add_one(self, model: str, message: Message, usage: Usage) -> None:
        """Note the use of a request apart, where not only tokens at their usual price are paid for."""
        if _are_plain([message], [usage]):
            return self._add_usages(model, [usage])
        alone = UsageMeter(self._prices)
        alone._add_usages(model, [usage])
        self._inputs.update(alone._inputs)
        self._outputs.update(alone._outputs)
        values, container = msgspec.to_builtins(usage), message.container is not None
        cost = self._prices.estimate_usage(model, values, batch=True, container=container)
        tokens = replace(alone.tokens()[model], cost=cost or 0.0)
        self._apart[model] = self._apart.get(model, Tokens()) + tokens
        return None

    def _add_usages(self, model: str, usages: Sequence[Usage]) -> None:
        used = self._used.get(model) or self._open(model)
        inputs = [usage.input_tokens or 0 for usage in usages]
        outputs = [usage.output_tokens or 0 for usage in usages]
        self._inputs.update(map(int.bit_length, inputs))
        self._outputs.update(map(int.bit_length, outputs))
        used.input += sum(inputs)
        used.output += sum(outputs)
        cached = [usage.cache_creation_input_tokens or usage.cache_read_input_tokens for usage in usages]
        if any(cached) or max(inputs) > used.limit:
            for usage in usages:
                self._add_cached_or_long(model, used, usage)

    def _open(self, model: str) -> _Used:
        price = self._prices.find(model)
        limit = price.long_prompt_tokens if price and price.long_prompt_tokens else _NO_LIMIT
        return self._used.setdefault(model, _Used(limit))

    def _add_cached_or_long(self, model: str, used: _Used, usage: Usage) -> None:
        """Note what a request used of the cache, and move one with a long prompt to where those are."""
        cached = (usage.cache_creation_input_tokens or 0) + (usage.cache_read_input_tokens or 0)
        tokens, answer = usage.input_tokens or 0, usage.output_tokens or 0
        if tokens + cached > used.limit:
            used.input -= tokens
            used.output -= answer
            used = self._long.setdefault(model, _Used(used.limit))
            used.input += tokens
            used.output += answer
        used.add_cache(usage)

    @property
    def lengths(self) -> LengthHistograms:
        return LengthHistograms(dict(self._inputs), dict(self._outputs))

    def tokens(self) -> dict[str, Tokens]:
        """Return the tokens by model, with their estimated cost at the batch price."""
        totals = dict(self._apart)
        for used_by_model, is_long in ((self._used, False), (self._long, True)):
            for model, used in used_by_model.items():
                totals[model] = totals.get(model, Tokens()) + self._priced(model, used, is_long=is_long)
        return totals

    def _priced(self, model: str, used: _Used, *, is_long: bool) -> Tokens:
        cost = self._prices.estimate_cost(
            model,
            input_tokens=used.input,
            output_tokens=used.output,
            cache_write_tokens=used.cache_write,
            cache_write_1h_tokens=used.cache_write_1h,
            cache_read_tokens=used.cache_read,
            batch=True,
            prompt_tokens=used.limit + 1 if is_long else 0,
        )
        cache_write = used.cache_write + used.cache_write_1h
        return Tokens(used.input, used.output, cache_write, used.cache_read, cost or 0.0)
