"""Reasons that quote what somebody has written."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sluice.jobs.formats.check import BadLine, LineRules, check_line
from sluice.jobs.formats.prompts import match_fields, parse_template
from sluice.jobs.formats.request_line import Defaults, LineProblem
from sluice.jobs.wording import MAX_REASON, list_columns, shorten

RULES = LineRules(Defaults(), 10_000_000, lambda model, max_tokens: None)


@given(st.text(st.characters(), max_size=30) | st.text(st.characters(), min_size=490, max_size=1_500))
def test_a_reason_can_be_stored_whatever_it_quotes(text: str) -> None:
    short = shorten(text)
    assert len(short) <= MAX_REASON
    assert short.encode().decode() == short


def test_a_reason_keeps_its_beginning_and_its_end() -> None:
    short = shorten("The column is wrong: " + "x" * 5_000 + ". There are: a, b")
    assert short.startswith("The column is wrong: x")
    assert " … " in short
    assert short.endswith("x. There are: a, b")
    assert len(short) == MAX_REASON


def test_what_is_short_stays_as_it_is() -> None:
    assert shorten("Grüße 🌍" * 50) == "Grüße 🌍" * 50


def test_the_problem_of_a_line_is_short() -> None:
    problem = LineProblem("keys", "x" * 100_000)
    assert len(problem.reason) == len(str(problem)) == MAX_REASON


@pytest.mark.parametrize("line", [{"k" * 100_000: 1}, {"params": {"messages": [{"role": "k" * 100_000, "x": {}}, {}]}}])
def test_a_line_with_an_endless_key_says_what_is_wrong_in_short(line: object) -> None:
    found = check_line(1, 0, json.dumps(line).encode(), RULES)
    assert isinstance(found, BadLine)
    assert len(found.problem.reason) <= MAX_REASON
    assert found.problem.reason.startswith(("The line is wrong: ", '"params" is wrong'))


def test_few_columns_are_all_named() -> None:
    assert list_columns(["id", "review"]) == "id, review"


def test_of_many_columns_the_first_are_named_and_the_rest_counted() -> None:
    listed = list_columns([f"question_{number:05d}" for number in range(12_000)])
    assert listed.startswith("question_00000, question_00001, ")
    shown = listed.count("question_")
    assert listed.endswith(f" and {12_000 - shown} more columns")
    assert len(listed) < 300


def test_a_column_with_an_endless_name_is_named_in_short() -> None:
    assert list_columns(["x" * 10_000, "b"]).endswith(", b")
    assert len(list_columns(["x" * 10_000, "b"])) < 80


def test_a_column_that_is_not_there_is_said_in_short() -> None:
    columns = [f"question_{number:05d}" for number in range(12_000)]
    with pytest.raises(ValueError, match="which is not there") as problem:
        match_fields(parse_template("{" + "y" * 10_000 + "}"), columns)
    assert len(str(problem.value)) < MAX_REASON
