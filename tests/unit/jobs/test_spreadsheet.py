"""Which cells a spreadsheet would calculate, and which only look a little like it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sluice.jobs.formats.spreadsheet import as_text


@pytest.mark.parametrize(
    "text",
    [
        "=1+1",
        "\t=1",
        "\n=1+1",
        "\uff1d1+1",
        "\uff0bA1",
        "\u3000\uff20SUM(1+1)*2",
        "=SUM(A1)",
        "-2+3",
        "+A1",
        "- SUM(A1:B2)",
        "@SUM(1+1)*2",
        "+cmd|' /C calc'!A0",
        "-2+3+cmd|' /C calc'!A0",
        "- a list cmd|' /C calc'!A0",
        "+Sheet2!A1",
        "+'C:\\[x.xls]S'!A1",
        '-HYPERLINK("http://x","a")',
        "+49-170-123",
        "+1/2",
    ],
)
def test_what_a_spreadsheet_would_calculate_gets_an_apostrophe(text: str) -> None:
    assert as_text(text) == f"'{text}"


@pytest.mark.parametrize(
    "text",
    [
        "plain = text",
        "- cheap",
        "- cheap\n- good",
        "- great!",
        "- red / blue",
        "- size: 5",
        "- 1, 2, 3",
        "- 3 apples",
        "- call print(x) first",
        "--- a rule",
        "-",
        "-item",
        "@home",
        "@x",
        "+49 170 1234567",
        "+49 (0) 170/123",
        "-5",
        "+3.5",
        "-1.5e3",
        "-5%",
        "\tindented",
        "",
    ],
)
def test_what_only_begins_like_a_formula_stays_as_it_is(text: str) -> None:
    assert as_text(text) == text


@given(st.text())
def test_what_begins_with_an_equals_sign_is_never_calculated(text: str) -> None:
    assert as_text(f"={text}") == f"'={text}"
