"""What an answer costs: all that its usage reports."""

from __future__ import annotations

from typing import Any

import pytest

from sluice.claude.prices import shipped_prices

M = 1_000_000
OPUS, HAIKU = "claude-opus-5-5", "claude-haiku-5-5"
HOUR = {"cache_creation_input_tokens": M, "cache_creation": {"ephemeral_1h_input_tokens": M}}
ADVISOR = {"type": "advisor_message", "model": OPUS, "input_tokens": M, "output_tokens": 100_000}
COMPACTION = {"type": "compaction", "input_tokens": M, "output_tokens": 4000}
SAMPLING = {"type": "message", "input_tokens": M, "output_tokens": 0}
FALLBACK = {"type": "fallback_message", "model": OPUS, "input_tokens": M, "output_tokens": 0}


@pytest.mark.parametrize(
    ("model", "usage", "dollars"),
    [
        (OPUS, {"input_tokens": M}, 4.0),
        (OPUS, HOUR, 8.0),
        (OPUS, {"cache_creation_input_tokens": M}, 5.0),
        (OPUS, {"output_tokens": M, "speed": "fast"}, 40.0),
        (OPUS, {"output_tokens": M, "speed": "standard", "service_tier": "priority"}, 20.0),
        ("claude-sonnet-5", {"output_tokens": M, "speed": "fast"}, 60.0),
        (OPUS, {"server_tool_use": {"web_search_requests": 1000}}, 10.0),
        (OPUS, {"server_tool_use": {"web_fetch_requests": 1000}}, 0.0),
        (OPUS, {"input_tokens": M, "inference_geo": "us"}, 4.4),
        (OPUS, {"input_tokens": M, "inference_geo": "global"}, 4.0),
        (HAIKU, {"iterations": [ADVISOR]}, 6.0),
        (OPUS, {"iterations": [COMPACTION]}, 4.08),
        (OPUS, {"input_tokens": M, "iterations": [SAMPLING]}, 4.0),
        (HAIKU, {"input_tokens": M, "iterations": [FALLBACK]}, 4.0),
        (OPUS, {"input_tokens": "many", "iterations": ["x"], "server_tool_use": 5, "cache_creation": []}, 0.0),
        (HAIKU, {"iterations": [{"type": "advisor_message", "model": "claude-of-tomorrow"}]}, None),
    ],
)
def test_all_that_a_usage_reports_is_counted(model: str, usage: dict[str, Any], dollars: float | None) -> None:
    cost = shipped_prices().estimate_usage(model, usage)

    assert cost == (None if dollars is None else pytest.approx(dollars))


def test_a_container_is_counted_for_five_minutes_and_a_batch_saves_nothing_of_fees() -> None:
    usage = {"input_tokens": M, "server_tool_use": {"web_search_requests": 100}}

    cost = shipped_prices().estimate_usage(OPUS, usage, batch=True, container=True)

    assert cost == pytest.approx(2.0 + 1.0 + 0.05 / 12, rel=1e-4)
