"""What requests cost that are more than text, before they are sent."""

from __future__ import annotations

import base64
import json
import struct
from typing import Any

import pytest

from sluice.claude.prices import Fees, ModelPrice, Price, PriceList
from sluice.jobs.formats.appraise import Appraisal, Appraiser
from sluice.jobs.formats.check import LineBlock, LineRules, Run, check_block
from sluice.jobs.formats.request_line import Defaults
from sluice.jobs.plan.checkpoint import Counts
from sluice.jobs.plan.estimate import Estimate, estimate_job
from sluice.jobs.plan.hold_rules import unbounded_note

MODEL = "m"
# A dollar a token of input, ten a token of output, twice that of a long prompt; a batch costs half.
FEES = Fees(us_inference=1.5, web_search=7.0, container_hour=3.0, container_hours=0.1)
LONG = Price(2e6, 2e7, 0, 0, 0)
PRICES = PriceList("d", 0.5, {MODEL: ModelPrice(Price(1e6, 1e7, 0, 0, 0), 50_000, LONG, None, 100_000)}, FEES)
RULES = LineRules(Defaults(), 10_000_000, lambda model, max_tokens: None, appraiser=Appraiser(PRICES, PRICES))


def png(width: int, height: int, size: int = 30_000) -> str:
    head = b"\x89PNG\r\n\x1a\n" + struct.pack(">I4sII", 13, b"IHDR", width, height)
    return base64.b64encode(head + bytes(size)).decode()


def pdf(pages: int) -> str:
    return base64.b64encode(b"%PDF-1.4 " + b"<< /Type /Page >> " * pages + bytes(20_000)).decode()


def line(**params: Any) -> bytes:
    values = {"model": MODEL, "max_tokens": 100, "messages": [{"role": "user", "content": "Hi"}], **params}
    return json.dumps({"custom_id": "a", "params": values}).encode() + b"\n"


def run(data: bytes, rules: LineRules = RULES) -> Run:
    found = check_block(LineBlock(0, 1, data), rules)
    assert found is not None
    return found


def estimate(data: bytes, retry_max_tokens: int = 0) -> Estimate:
    rules = LineRules(
        Defaults(), 10_000_000, lambda model, max_tokens: None, appraiser=Appraiser(PRICES, PRICES, retry_max_tokens)
    )
    counts, found = Counts(), run(data, rules)
    counts.accept(found.asked, len(data), retry_max_tokens, found.appraisal)
    return estimate_job(counts.demand, PRICES, retry_max_tokens)


def media(kind: str, data: str) -> list[dict[str, Any]]:
    source = {"type": "base64", "media_type": "x/y", "data": data}
    return [{"role": "user", "content": [{"type": kind, "source": source}]}]


def test_plain_text_has_no_appraisal() -> None:
    assert run(line()).appraisal is None
    assert run(line(system="Be short.", stop_sequences=["x"], metadata={})).appraisal is None


def test_an_image_costs_what_its_size_says_and_not_its_base64() -> None:
    found = estimate(line(messages=media("image", png(750, 100))))
    assert 100 < found.input_tokens < 200
    assert found.worst_cost < 0.5 * (500 + 10 * 100)


def test_a_pdf_costs_by_its_pages() -> None:
    one, three = (estimate(line(messages=media("document", pdf(pages)))).input_tokens for pages in (1, 3))
    assert 1_500 < one < 5_000
    assert three - one == 2 * 4_600


def test_a_search_is_paid_for_as_often_as_it_may_be_made() -> None:
    def tools(uses: int) -> bytes:
        return line(tools=[{"type": "web_search_20250305", "name": "web_search", "max_uses": uses}])

    one, five = estimate(tools(1)), estimate(tools(5))
    # What searches bring into the prompt can fill the window, a long prompt; batches save nothing of a search.
    assert one.worst_cost == pytest.approx(0.5 * (100_000 * 2 + 100 * 20) + 7)
    assert five.worst_cost - one.worst_cost == pytest.approx(4 * 7)
    assert one.unbounded == ("tools that Claude runs",)
    assert "tools that Claude runs" in unbounded_note(one)
    assert one.expected_cost < one.worst_cost


def test_code_execution_is_paid_by_its_container() -> None:
    tool = [{"type": "code_execution_20250825", "name": "code_execution"}]
    assert estimate(line(tools=tool)).worst_cost == pytest.approx(0.5 * (100_000 * 2 + 100 * 20) + 3)


def test_inference_in_one_place_makes_all_tokens_dearer() -> None:
    plain, us = estimate(line()), estimate(line(inference_geo="us"))
    assert us.expected_cost > 1.4 * plain.expected_cost
    assert us.worst_cost > 1.4 * plain.worst_cost


def test_a_long_prompt_among_short_ones_has_the_price_of_a_long_one() -> None:
    long = line(messages=[{"role": "user", "content": "x" * 60_000}])
    found = estimate(line() + long)
    assert run(line() * 600).appraisal is None
    assert found.worst_cost > 0.5 * 60_000 * 2


def test_what_is_asked_again_is_paid_for_twice() -> None:
    us = line(inference_geo="us")
    once, again = estimate(us), estimate(us, retry_max_tokens=300)
    assert again.worst_cost == pytest.approx(2 * once.worst_cost + 0.5 * 1.5 * 200 * 10)
    assert again.expected_cost == once.expected_cost


def test_a_file_that_is_only_named_counts_as_long_as_the_window() -> None:
    content = [{"type": "document", "source": {"type": "file", "file_id": "file_1"}}]
    found = estimate(line(messages=[{"role": "user", "content": content}]))
    assert found.unbounded == ("files",)
    assert found.worst_cost == pytest.approx(0.5 * (100_000 * 2 + 100 * 20))


def test_a_cache_write_costs_more_than_input() -> None:
    def system(**control: str) -> bytes:
        block = {"type": "text", "text": "x" * 1000, "cache_control": {"type": "ephemeral", **control}}
        return line(system=[block], max_tokens=1)

    assert estimate(system(ttl="1h")).worst_cost > 1.5 * estimate(system()).worst_cost


def test_a_model_without_a_price_that_a_tool_runs_is_named() -> None:
    advisor = {"type": "advisor_20260101", "name": "advisor", "model": "unheard-of"}
    assert estimate(line(tools=[advisor])).unpriced == ("unheard-of",)


def test_a_limit_is_held_against_its_own_prices() -> None:
    dear = PriceList("d", 0.0, PRICES.models, FEES)
    rules = LineRules(Defaults(), 10_000, lambda model, max_tokens: None, appraiser=Appraiser(PRICES, dear))
    counts, found = Counts(), run(line(inference_geo="us"), rules)
    counts.accept(found.asked, 0, 0, found.appraisal)
    limit, own = estimate_job(counts.demand, dear, of_limit=True), estimate_job(counts.demand, PRICES)
    assert limit.worst_cost == pytest.approx(2 * own.worst_cost)


def test_appraisals_add_up() -> None:
    one = Appraisal(1, 2.0, 3.0, 4.0, frozenset({"a"}), frozenset({"m"}), older=True)
    assert one + Appraisal(10, 20.0, 30.0, 40.0, frozenset({"b"})) == Appraisal(
        11, 22.0, 33.0, 44.0, frozenset({"a", "b"}), frozenset({"m"}), older=True
    )
