from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sluice.jobs.notices.quantities import about_dollars, compact, count, dollars, duration, share


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        (count(1234), "1,234"),
        (count(1, "line"), "1 line"),
        (count(0, "line"), "0 lines"),
        (compact(9_999), "9,999"),
        (compact(41_345), "41.3 k"),
        (compact(999_999), "1.0 M"),
        (compact(13_800_000), "13.8 M"),
        (compact(2_000_000_000), "2.0 G"),
        (dollars(0), "$0.00"),
        (dollars(0.001), "less than $0.01"),
        (dollars(1234.567), "$1,234.57"),
        (about_dollars(2), "about $2.00"),
        (duration(0.2), "0 s"),
        (duration(59.4), "59 s"),
        (duration(60), "1 min"),
        (duration(725), "12 min 5 s"),
        (duration(12_000), "3 h 20 min"),
        (duration(93_600), "1 d 2 h"),
        (duration(-5), "0 s"),
        (share(0, 10), "0 %"),
        (share(10, 10), "100 %"),
        (share(0, 0), "100 %"),
        (share(99_999, 100_000), "99.9 %"),
        (share(1, 100_000), "0.1 %"),
        (share(1, 3), "33.3 %"),
    ],
)
def test_quantities_read_well(written: str, expected: str) -> None:
    assert written == expected


@given(st.integers(0, 10**9), st.integers(1, 10**9))
def test_a_share_is_whole_only_where_all_is(part: int, whole: int) -> None:
    assert (share(min(part, whole), whole) == "100 %") is (part >= whole)
