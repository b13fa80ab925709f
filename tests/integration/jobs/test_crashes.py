"""A crash after every call that changes anything, one by one, and what it comes to once all is delivered again.

The calls are counted in a run without a crash, so that one added to a function is covered without anyone remembering.
A function that dies keeps nothing, so dying before a call leaves the world as dying after the one before it does, and a
call that only reads leaves it as it found it: crashes after each change, and before the first, are all there are.
SLUICE_CRASH_EVERYWHERE=1 crashes before and after every single call all the same, which takes some minutes.
"""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from tests.integration.jobs.crashing import CrashAt, Outcome, Runners, running_runners

STEPS = ("plan_job", "submit_shard", "poll_batches", "collect_shard", "finish_job")
EVERYWHERE = bool(os.environ.get("SLUICE_CRASH_EVERYWHERE"))
# Between these and the mark that a notice was sent, a crash tells twice: once too often is better than never.
TELLING = ("sns.Publish", "events.PutEvents")


@pytest.fixture(scope="module")
def runners() -> Iterator[Runners]:
    with running_runners() as runners:
        yield runners


@pytest.fixture(scope="module")
def untroubled(runners: Runners) -> Outcome:
    """The run without a crash: what it calls, and what it comes to."""
    (outcome,) = runners.run_each([()])
    return outcome


def changes(outcome: Outcome, step: str) -> list[int]:
    return [number for number, call in enumerate(outcome.calls) if call.step == step and call.changes]


def check(outcome: Outcome, untroubled: Outcome, told_at_most: int = 1) -> None:
    """One batch per shard and wave paid for, the counts add up, nothing missing, and told once."""
    assert outcome.status == "finished_with_errors"
    assert outcome.totals == (5, 3, 1, 1)
    assert outcome.paid == outcome.asked
    assert len(outcome.paid) == len(untroubled.paid)
    assert outcome.shards == {"collected"}
    assert outcome.results == untroubled.results
    assert outcome.errors == ["hopeless"]
    assert outcome.rejected == [3]
    assert outcome.dead_letters == 0
    for told in (outcome.notices, outcome.events):
        assert len(set(told)) == 1
        assert len(told) <= told_at_most


@pytest.mark.timeout(600)
def test_without_a_crash_every_step_is_watched(untroubled: Outcome) -> None:
    check(untroubled, untroubled)
    assert len(untroubled.asked) == 3
    assert [answer["custom_id"] for answer in untroubled.results] == ["a", "passing", "d"]
    assert {call.step for call in untroubled.calls} == set(STEPS)
    assert all(changes(untroubled, step) for step in STEPS)


@pytest.mark.timeout(600)
@pytest.mark.parametrize("step", STEPS)
def test_a_crash_after_any_change_costs_and_loses_nothing(step: str, runners: Runners, untroubled: Outcome) -> None:
    numbers = changes(untroubled, step)
    for number, outcome in zip(numbers, runners.run_each([(CrashAt(number),) for number in numbers]), strict=True):
        call = untroubled.calls[number]
        assert outcome.calls[number] == call
        check(outcome, untroubled, told_at_most=2 if call.name in TELLING else 1)


@pytest.mark.timeout(600)
def test_a_crash_before_a_step_does_anything_is_a_step_later(runners: Runners, untroubled: Outcome) -> None:
    firsts = [next(number for number, call in enumerate(untroubled.calls) if call.step == step) for step in STEPS]
    for outcome in runners.run_each([(CrashAt(number, before=True),) for number in firsts]):
        check(outcome, untroubled)


@pytest.mark.timeout(600)
def test_crashes_again_and_again_cost_and_lose_nothing(runners: Runners, untroubled: Outcome) -> None:
    """Functions that die each so many calls, also while they make up for the last death."""
    cases = [[CrashAt(number) for number in range(every, 10 * every, every)] for every in (7, 10, 13, 16)]
    for outcome in runners.run_each(cases):
        # That nothing had moved for long, and twice, was true.
        check(outcome.without("job.stuck"), untroubled, told_at_most=2)


@pytest.mark.timeout(3600)
@pytest.mark.skipif(not EVERYWHERE, reason="takes minutes, and meets no state that the tests above do not")
@pytest.mark.parametrize("before", [True, False])
def test_a_crash_at_any_call_costs_and_loses_nothing(before: bool, runners: Runners, untroubled: Outcome) -> None:
    names = [call.name for call in untroubled.calls]
    outcomes = runners.run_each([(CrashAt(number, before),) for number in range(len(names))])
    for number, outcome in enumerate(outcomes):
        telling = {names[number], names[number - 1]} & set(TELLING)
        check(outcome, untroubled, told_at_most=2 if telling else 1)
