"""Which requests are sent again: each ends exactly once, and the books balance, whatever comes back."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sluice.jobs.collection.results import Details, Error, Message, Result
from sluice.jobs.collection.waves import (
    EXTRA_WAVES,
    Decision,
    Fate,
    Policy,
    decisions,
    error_name,
    fate_of,
    is_refused_for_good,
    pause_before_next,
)
from sluice.jobs.finishing.books import balance
from sluice.jobs.model import Outcome, Plan, Shard, ShardRef, Source, Tokens

POLICY = Policy(max_waves=3, delay_seconds=60.0)


def errored(error_type: str, code: str | None = None, message: str = "why") -> Result:
    return Result("errored", error=Error("error", error=Error(error_type, message, Details(code) if code else None)))


@pytest.mark.parametrize(
    ("result", "fate", "name"),
    [
        (Result("succeeded", Message("m", "end_turn")), Fate.SUCCEEDED, None),
        (Result("succeeded", Message("m", "refusal")), Fate.SUCCEEDED, None),
        (Result("succeeded", Message("m", "max_tokens")), Fate.CUT_OFF, None),
        (Result("succeeded"), Fate.FAILED, "unknown_result_succeeded"),
        (Result("expired"), Fate.EXPIRED, "expired"),
        (Result("canceled"), Fate.CANCELED, "canceled"),
        (Result("postponed"), Fate.FAILED, "unknown_result_postponed"),
        (errored("overloaded_error"), Fate.PASSING, "overloaded_error"),
        (errored("api_error"), Fate.PASSING, "api_error"),
        (errored("timeout_error"), Fate.PASSING, "timeout_error"),
        (errored("rate_limit_error"), Fate.PASSING, "rate_limit_error"),
        (errored("rate_limit_error", "enforced_spend_limit_reached"), Fate.SYSTEMIC, "rate_limit_error"),
        (errored("invalid_request_error"), Fate.FAILED, "invalid_request_error"),
        (errored("request_too_large"), Fate.FAILED, "request_too_large"),
        (errored("billing_error"), Fate.SYSTEMIC, "billing_error"),
        (errored("authentication_error"), Fate.SYSTEMIC, "authentication_error"),
        (errored("permission_error"), Fate.REFUSED, "permission_error"),
        (errored("not_found_error", message="model: claude-old"), Fate.REFUSED, "not_found_error"),
        (errored("not_found_error", message="File not found: file_1"), Fate.FAILED, "not_found_error"),
        (errored("an_error_of_tomorrow"), Fate.FAILED, "an_error_of_tomorrow"),
        (Result("errored"), Fate.FAILED, "unknown_error"),
    ],
)
def test_a_result_has_a_fate_and_a_name(result: Result, fate: Fate, name: str | None) -> None:
    assert fate_of(result) is fate
    if name:
        assert error_name(result) == name


def test_every_fate_has_a_decision() -> None:
    assert set(decisions(POLICY, 0, 0, cancelled=False)) == set(Fate)


def test_passing_errors_end_at_the_limit() -> None:
    assert decisions(POLICY, 1, 1, cancelled=False)[Fate.PASSING] is Decision.AGAIN
    assert decisions(POLICY, 2, 2, cancelled=False)[Fate.PASSING] is Decision.ERROR


def test_one_wave_means_no_repetition() -> None:
    assert decisions(Policy(1, 0.0), 0, 0, cancelled=False)[Fate.EXPIRED] is Decision.ERROR


def test_what_waits_for_a_person_goes_on_past_the_limit_but_not_for_ever() -> None:
    assert decisions(POLICY, 5, 2, cancelled=False)[Fate.SYSTEMIC] is Decision.AGAIN
    assert decisions(POLICY, 2 + EXTRA_WAVES, 0, cancelled=False)[Fate.SYSTEMIC] is Decision.ERROR


def test_what_is_refused_again_after_a_release_is_final_where_others_succeed() -> None:
    alone, beside_others = bytes([Fate.REFUSED]), bytes([Fate.REFUSED, Fate.SUCCEEDED])

    assert [is_refused_for_good(refusals, beside_others) for refusals in range(2)] == [False, True]
    assert [is_refused_for_good(refusals, alone) for refusals in range(4)] == [False, False, False, True]
    assert decisions(POLICY, 1, 0, cancelled=False, refused_for_good=True)[Fate.REFUSED] is Decision.ERROR
    assert decisions(POLICY, 1, 0, cancelled=False, refused_for_good=True)[Fate.SYSTEMIC] is Decision.AGAIN


def test_nothing_of_a_cancelled_job_is_sent_again() -> None:
    assert Decision.AGAIN not in decisions(POLICY, 0, 0, cancelled=True).values()
    assert decisions(replace(POLICY, retry_max_tokens=9), 0, 0, cancelled=True)[Fate.CUT_OFF] is Decision.ANSWER


def test_the_pause_doubles_with_each_wave_of_passing_errors_and_is_none_after_expiry() -> None:
    pauses = [pause_before_next(POLICY, passes, {Fate.PASSING: 1}).seconds for passes in range(3)]
    assert pauses == [60.0, 120.0, 240.0]
    assert pause_before_next(POLICY, 18, {Fate.PASSING: 1}).seconds == 7200.0
    assert pause_before_next(POLICY, 1, {Fate.EXPIRED: 4}).seconds == 0.0
    assert pause_before_next(POLICY, 1, {Fate.EXPIRED: 4}).passes == 2
    assert pause_before_next(POLICY, 1, {Fate.SYSTEMIC: 4}).passes == 1


fates = st.sampled_from(sorted(Fate))


@settings(max_examples=100)
@given(
    shards=st.lists(st.integers(1, 8), min_size=1, max_size=4),
    policy=st.builds(Policy, st.integers(1, 4), st.just(1.0), st.sampled_from([None, 100])),
    data=st.data(),
)
def test_each_request_ends_once_and_the_books_balance(shards: list[int], policy: Policy, data: st.DataObject) -> None:
    ended: Counter[tuple[int, int]] = Counter()
    collected: list[Shard] = []
    for number, count in enumerate(shards):
        collected += run_shard(number, count, policy, data, ended)

    assert ended == Counter({(number, place): 1 for number, count in enumerate(shards) for place in range(count)})
    plan = Plan("manifest", sum(shards) + 2, sum(shards), 2, len(shards), 0.0)
    books = balance(plan, collected)
    assert books.problems == ()
    assert books.tally.balanced
    assert books.tally.lines == books.tally.succeeded + books.tally.errored + books.tally.rejected


def run_shard(
    number: int, count: int, policy: Policy, data: st.DataObject, ended: Counter[tuple[int, int]]
) -> list[Shard]:
    """Let a shard go through its waves with any fates, as collecting does it."""
    waves: list[Shard] = []
    left, passes = list(range(count)), 0
    while left:
        wave = len(waves)
        assert wave < policy.max_waves + EXTRA_WAVES
        follows = decisions(policy, wave, passes, cancelled=False)
        drawn = data.draw(st.lists(fates, min_size=len(left), max_size=len(left)))
        decided = [follows[fate] for fate in drawn]
        again = [place for place, each in zip(left, decided, strict=True) if each in (Decision.AGAIN, Decision.LONGER)]
        ended.update((number, place) for place in left if place not in again)
        errors = Counter("some_error" for each in decided if each is Decision.ERROR)
        outcome = Outcome(decided.count(Decision.ANSWER), errors.total(), len(again), {"m": Tokens(1, 1)}, dict(errors))
        ref, source = ShardRef("job", number, wave), Source("outbox", "key", None, 0, 0)
        waves.append(Shard(ref, source, len(left), 0, "ids", "nonce", outcome=outcome))
        sent_again = Counter(fate for place, fate in zip(left, drawn, strict=True) if place in again)
        passes, left = pause_before_next(policy, passes, sent_again).passes, again
    return waves
