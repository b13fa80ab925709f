"""How long everything waits before it is tried again."""

from __future__ import annotations

from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sluice import backoff
from sluice.backoff import (
    BREAKER,
    CALLBACK,
    CONNECT,
    ENDPOINT_DOWN,
    INCIDENT_HOLD,
    INCIDENT_PROBE,
    RESULTS_NOT_READY,
    STDLIB_CLIENT,
    STEP_FAILED,
    SUBMIT,
    TABLE_CONFLICT,
    TASK,
    TASK_STEP_FAILED,
    WRITE_ANSWER,
    WRONG_KEY,
    Backoff,
    HalfOfAge,
    Steps,
)

SCHEDULES = {name: each for name, each in vars(backoff).items() if isinstance(each, (Backoff, Steps))}
attempts = st.integers(1, 100_000)
randoms = st.floats(0, 1, exclude_max=True)


def least() -> float:
    return 1.0


def most() -> float:
    return 0.0


@pytest.mark.parametrize(
    ("schedule", "first", "longest"),
    [
        (STEP_FAILED, (22.5, 30), (1350, 1800)),
        (SUBMIT, (15, 20), (900, 1200)),
        (TASK, (1.5, 2), (675, 900)),
        (TASK_STEP_FAILED, (5, 30), (5, 30)),
        (WRITE_ANSWER, (0.25, 0.5), (7.5, 15)),
        (CALLBACK, (3.75, 5), (5400, 7200)),
        (RESULTS_NOT_READY, (5, 5), (900, 900)),
        (BREAKER, (24, 30), (1440, 1800)),
        (CONNECT, (0.1875, 0.25), (6, 8)),
        (WRONG_KEY, (60, 60), (3600, 3600)),
        (TABLE_CONFLICT, (0.02, 0.1), (1.28, 6.4)),
        (STDLIB_CLIENT, (0.05, 0.1), (0.5, 1.0)),
    ],
)
def test_a_schedule_begins_and_ends_within_these_seconds(
    schedule: Backoff | Steps, first: tuple[float, float], longest: tuple[float, float]
) -> None:
    bounds = [(schedule.delay(n, random=least), schedule.delay(n, random=most)) for n in (1, 1000)]
    assert bounds == [pytest.approx(first), pytest.approx(longest)]


@pytest.mark.parametrize("name", SCHEDULES)
@given(attempt=attempts, random=randoms)
def test_waits_grow_within_their_jitter(name: str, attempt: int, random: float) -> None:
    schedule = SCHEDULES[name]
    whole = schedule.delay(attempt, random=most)
    assert whole * (1 - schedule.jitter) <= schedule.delay(attempt, random=lambda: random) <= whole
    assert whole <= schedule.delay(attempt + 1, random=most)


@pytest.mark.parametrize("name", SCHEDULES)
@given(attempt=attempts, asked=st.floats(0, 10**9), random=randoms)
def test_what_was_asked_for_is_a_lower_bound_within_its_own_longest(
    name: str, attempt: int, asked: float, random: float
) -> None:
    schedule = SCHEDULES[name]
    delay = schedule.delay(attempt, asked, lambda: random)
    assert delay >= min(asked, schedule.longest_asked)
    assert delay <= max(
        min(asked * (1 + schedule.jitter), schedule.longest_asked), schedule.delay(attempt, random=most)
    )


@pytest.mark.parametrize("schedule", [SUBMIT, ENDPOINT_DOWN])
@given(attempt=attempts, asked=st.floats(0, 3600), random=randoms)
def test_what_is_asked_for_is_obeyed_where_it_is_less_than_the_wait(
    schedule: Backoff, attempt: int, asked: float, random: float
) -> None:
    assert asked <= schedule.delay(attempt, asked, lambda: random) <= asked * (1 + schedule.jitter)


@given(st.floats(1, 10**6), st.integers().map(Random))
def test_what_was_refused_together_does_not_return_together(asked: float, random: Random) -> None:
    assert len({TASK.delay(1, asked, random.random) for _ in range(8)}) > 1
    assert len({TASK.delay(1, random=random.random) for _ in range(8)}) > 1


def test_a_job_submits_no_earlier_than_claude_asks_and_believes_an_hour() -> None:
    assert SUBMIT.delay(1, 10**7) == 3600


def test_a_receiver_cannot_ask_for_more_than_two_hours() -> None:
    assert CALLBACK.delay(1, 10**9) == 7200


def test_eight_receives_of_a_failed_step_outlast_an_outage_of_an_hour() -> None:
    assert sum(STEP_FAILED.delay(receives, random=least) for receives in range(1, 8)) > 3600


def test_results_that_are_not_ready_are_tried_for_three_quarters_of_an_hour() -> None:
    assert sum(RESULTS_NOT_READY.seconds) == pytest.approx(45 * 60, rel=0.05)


@pytest.mark.parametrize(
    ("schedule", "waits"), [(INCIDENT_PROBE, [15.0, 50.0, 600.0]), (INCIDENT_HOLD, [5.0, 50.0, 300.0])]
)
def test_what_an_incident_holds_back_waits_for_half_of_its_age(schedule: HalfOfAge, waits: list[float]) -> None:
    assert [schedule.delay(age, most) for age in (0, 100, 10**6)] == waits
    assert [schedule.delay(age, least) for age in (0, 100, 10**6)] == [wait * (1 - schedule.jitter) for wait in waits]
