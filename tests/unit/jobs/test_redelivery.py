"""When the message of a failed step comes again."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from sluice.jobs.redelivery import FIRST_SECONDS, LONGEST_SECONDS, delay_after


@given(st.integers(1, 1000))
def test_a_message_waits_longer_each_time_within_bounds(receives: int) -> None:
    assert FIRST_SECONDS * 0.7 < delay_after(receives) <= LONGEST_SECONDS
    assert delay_after(receives) <= delay_after(receives + 1) or receives > 3


def test_eight_tries_outlast_an_outage_of_an_hour() -> None:
    assert sum(delay_after(receives) for receives in range(1, 8)) > 3600
