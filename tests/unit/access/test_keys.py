"""The text of a key, and what it shows without a table."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sluice.access.keys import KeyText, make_key, parse_key

PEPPER = b"p" * 32


def test_a_key_has_the_form_that_is_documented() -> None:
    assert re.fullmatch(r"sk-sluice-[a-z2-7]{8}-[A-Za-z0-9_-]{43}", make_key(PEPPER).text)


def test_a_key_that_was_made_is_read_back() -> None:
    key = make_key(PEPPER)

    parsed = parse_key(key.text)

    assert parsed == key
    assert parsed is not None
    assert parsed.is_sealed_with(PEPPER)
    assert parsed.matches(key.hash)


def test_a_key_of_another_stack_fails_its_seal() -> None:
    assert not make_key(b"q" * 32).is_sealed_with(PEPPER)


@given(st.integers(0, 60), st.sampled_from("abcXYZ012_-"))
def test_a_key_with_one_character_changed_is_worth_nothing(place: int, character: str) -> None:
    key = make_key(PEPPER)
    changed = key.text[:place] + character + key.text[place + 1 :]
    if changed == key.text:
        return

    parsed = parse_key(changed)

    assert parsed is None or not parsed.matches(key.hash)


@pytest.mark.parametrize(
    "text", ["", "sk-sluice-", "sk-ant-api03-abc", "sk-sluice-abcdefgh-short", "sk-sluice-abcdefgh-" + "é" * 43]
)
def test_what_has_not_the_form_of_a_key_is_none(text: str) -> None:
    assert parse_key(text) is None


@given(st.text())
def test_no_text_breaks_the_reader(text: str) -> None:
    parsed = parse_key("sk-sluice-" + text)

    assert parsed is None or not parsed.is_sealed_with(PEPPER)


def test_the_secret_is_not_shown() -> None:
    key = make_key(PEPPER)

    assert key.text not in repr(key)
    assert repr(KeyText(key.id, key.text)) == f"KeyText(id='{key.id}')"
