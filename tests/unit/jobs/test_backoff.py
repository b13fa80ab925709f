"""How long a submission waits."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sluice.jobs.submit.pause import SubmissionPause, retry_delay
from tests.stack import moto_table
from tests.unit.jobs.samples import NOW


@pytest.fixture
def pause() -> Iterator[SubmissionPause]:
    with moto_table() as table:
        yield SubmissionPause(table)


@given(st.integers(0, 5000), st.floats(0, 1e9))
def test_what_claude_asks_for_is_kept_up_to_an_hour_with_some_spread(attempt: int, asked: float) -> None:
    believed = min(asked, 3600)
    assert believed <= retry_delay(attempt, asked) <= believed * 1.25


@given(st.integers(0, 5000))
def test_without_being_asked_the_wait_grows_to_a_quarter_of_an_hour(attempt: int) -> None:
    assert min(15 * 2 ** min(attempt, 20), 900) <= retry_delay(attempt) <= 900 * 1.25


def test_there_is_no_pause_at_first(pause: SubmissionPause) -> None:
    assert pause.until() == 0


def test_a_pause_is_extended_and_never_cut_short(pause: SubmissionPause) -> None:
    for until in (NOW, NOW + 60, NOW + 30):
        pause.extend(until)

    assert pause.until() == NOW + 60
