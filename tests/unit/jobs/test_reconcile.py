"""Which batches may be a shard's, and which one is."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sluice.claude.batches import MessageBatch
from sluice.jobs.submit.reconcile import candidates_among, holds_nonce
from tests.unit.jobs.samples import NOW

NONCE = "sluice-0-0-0123456789abcdef0123456789abcdef"


def results(*custom_ids: str, text: str = "Yes.", last_newline: bool = True) -> bytes:
    message = {"content": [{"type": "text", "text": text}]}
    lines = [
        json.dumps({"custom_id": custom_id, "result": {"type": "succeeded", "message": message}})
        for custom_id in custom_ids
    ]
    return "\n".join(lines).encode() + (b"\n" if last_newline else b"")


def in_pieces(data: bytes, size: int) -> list[bytes]:
    return [data[start : start + size] for start in range(0, len(data), size)]


@given(st.integers(0, 5), st.integers(1, 400), st.booleans())
def test_the_nonce_is_found_wherever_it_is_and_however_it_is_cut(place: int, size: int, last_newline: bool) -> None:
    ids = [f"r-{number}" for number in range(5)]
    ids.insert(place, NONCE)

    data = results(*ids, last_newline=last_newline)

    assert holds_nonce(in_pieces(data, size), NONCE, 6) is True


@given(st.integers(1, 400), st.booleans())
def test_whole_results_without_it_are_another_batchs(size: int, last_newline: bool) -> None:
    data = results("a", "b", "c", last_newline=last_newline)

    assert holds_nonce(in_pieces(data, size), NONCE, 3) is False


@given(st.integers(0, 2000), st.integers(1, 400))
def test_results_that_are_cut_short_say_nothing(cut: int, size: int) -> None:
    data = results("a", "b", "c", NONCE)
    cut = min(cut, data.index(NONCE.encode()))

    assert holds_nonce(in_pieces(data[:cut], size), NONCE, 4) is None


def test_a_last_line_that_is_cut_behind_a_brace_says_nothing() -> None:
    line = b'{"result":{"type":"succeeded","message":{}},"custom_id":"' + NONCE.encode() + b'"}'

    assert holds_nonce([line[: line.index(b"}") + 1]], NONCE, 1) is None
    assert holds_nonce([line], NONCE, 1) is True


@pytest.mark.parametrize("text", [f"It is {NONCE}.", f'"{NONCE}"', f'{{"custom_id":"{NONCE}"}}', f'\\"{NONCE}\\"'])
def test_an_answer_that_speaks_of_the_nonce_is_not_taken_for_it(text: str) -> None:
    assert holds_nonce([results("a", "b", text=text)], NONCE, 2) is False


def test_only_batches_of_the_same_size_that_nobody_owns_are_candidates() -> None:
    batches = [
        MessageBatch(f"msgbatch_{number}", "ended", NOW, count) for number, count in enumerate((10, 11, 10, 9, 10))
    ]

    assert candidates_among(batches, 10, {"msgbatch_2"}.__contains__) == ("msgbatch_0", "msgbatch_4")
