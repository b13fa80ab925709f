from __future__ import annotations

from random import Random

from hypothesis import given
from hypothesis import strategies as st

from sluice.tasks.retries import CALLBACK_SECONDS, TASK_LONGEST_SECONDS, callback_delay, held_delay, task_delay

attempts = st.integers(1, 1000)
randoms = st.integers().map(Random)


@given(attempts, randoms)
def test_a_task_waits_longer_each_time_and_never_long(attempt: int, random: Random) -> None:
    delay = task_delay(attempt, None, random)
    backoff = min(2.0**attempt, TASK_LONGEST_SECONDS) if attempt < 30 else TASK_LONGEST_SECONDS
    assert backoff / 2 <= delay <= backoff


@given(attempts, st.floats(0, 10**6), randoms)
def test_retry_after_is_a_lower_bound(attempt: int, retry_after: float, random: Random) -> None:
    assert task_delay(attempt, retry_after, random) >= retry_after


@given(st.floats(0, 10**6), randoms)
def test_what_was_refused_together_does_not_return_together(retry_after: float, random: Random) -> None:
    assert len({task_delay(1, retry_after, random) for _ in range(8)}) > 1


@given(attempts, randoms)
def test_a_callback_is_tried_over_hours(attempt: int, random: Random) -> None:
    base = CALLBACK_SECONDS[min(attempt, len(CALLBACK_SECONDS)) - 1]
    assert base * 0.75 <= callback_delay(attempt, None, random) <= base * 1.25


@given(st.floats(0, 10**9), randoms)
def test_a_receiver_cannot_ask_for_more_than_two_hours(retry_after: float, random: Random) -> None:
    assert callback_delay(1, retry_after, random) <= 7200.0


@given(st.floats(0, 10**6), randoms)
def test_work_that_is_held_looks_again_within_minutes(age: float, random: Random) -> None:
    assert 3.0 <= held_delay(age, random) <= 375.0
