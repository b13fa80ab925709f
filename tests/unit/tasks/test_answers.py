from __future__ import annotations

import json

from sluice.tasks.answer import Answer

from .samples import answer


def test_cache_writes_of_an_hour_are_told_apart_from_short_ones() -> None:
    short = answer(cache_creation_input_tokens=1000)
    long = answer(cache_creation_input_tokens=1000, cache_creation={"ephemeral_1h_input_tokens": 1000})
    assert long.cost > short.cost  # type: ignore[operator]  # both have a price
    assert long.spent().cache_write_tokens == short.spent().cache_write_tokens == 1000


def test_a_model_without_a_price_has_no_cost() -> None:
    assert Answer.of_message({"model": "claude-unknown", "content": []}, None).cost is None


def test_an_answer_survives_being_written_down() -> None:
    assert Answer.parse(answer("ünïcode 🌊").document()) == answer("ünïcode 🌊")


def test_an_answer_that_is_cut_within_a_character_is_counted_all_the_same() -> None:
    block = {"type": "text", "text": "half a wave " * 10 + "\ud83c"}
    cut = Answer.of_cut_message({"model": "claude-haiku-5-5", "content": [block], "usage": {"input_tokens": 5}}, None)
    assert cut.spent(succeeded=False).output_tokens > 20


def test_what_a_newer_version_keeps_of_an_answer_is_passed_over() -> None:
    kept = json.loads(answer("x").document()) | {"of_tomorrow": 1}
    assert Answer.parse(json.dumps(kept).encode()) == answer("x")
