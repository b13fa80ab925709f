from __future__ import annotations

from sluice.tasks.breaker import FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS, THRESHOLD, pause_after


def test_a_breaker_pauses_longer_each_time_within_a_bound() -> None:
    pauses = [pause_after(failures) for failures in range(THRESHOLD + 40)]
    assert pauses[:THRESHOLD] == [0.0] * THRESHOLD
    assert pauses[THRESHOLD] == FIRST_PAUSE_SECONDS
    assert pauses == sorted(pauses)
    assert pauses[-1] == LONGEST_PAUSE_SECONDS
