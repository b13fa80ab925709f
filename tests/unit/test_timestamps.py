from __future__ import annotations

from sluice.timestamps import rfc3339


def test_a_moment_is_written_in_utc_to_the_precision_that_is_asked_for() -> None:
    assert rfc3339(1_800_000_000.5) == "2027-01-15T08:00:00.500Z"
    assert rfc3339(1_800_000_000.5, "seconds") == "2027-01-15T08:00:00Z"
    assert rfc3339(0) == "1970-01-01T00:00:00.000Z"


def test_no_time_is_no_time() -> None:
    assert rfc3339(None) is None
