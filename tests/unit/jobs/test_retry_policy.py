"""Which requests are sent again: each ends exactly once, and the counts add up, whatever comes back."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sluice.jobs.collect.retry_policy import (
    EXTRA_WAVES,
    Decision,
    ResultKind,
    RetryPolicy,
    count_incomplete,
    decisions_by_kind,
    delay_before_next_wave,
    error_name,
    is_refused_for_good,
    result_kind,
)
from sluice.jobs.finish.totals import check_totals
from sluice.jobs.model import Outcome, Plan, Shard, ShardRef, Source, Tokens
from sluice.jobs.results import Details, Error, Message, Result

POLICY = RetryPolicy(max_waves=3, delay_seconds=60.0)


def errored(error_type: str, code: str | None = None, message: str = "why") -> Result:
    return Result("errored", error=Error("error", error=Error(error_type, message, Details(code) if code else None)))


@pytest.mark.parametrize(
    ("result", "kind", "name"),
    [
        (Result("succeeded", Message("m", "end_turn")), ResultKind.SUCCEEDED, None),
        (Result("succeeded", Message("m", "tool_use")), ResultKind.SUCCEEDED, None),
        (Result("succeeded", Message("m", "a_reason_of_tomorrow")), ResultKind.SUCCEEDED, None),
        (Result("succeeded", Message("m", "refusal")), ResultKind.REFUSAL, None),
        (Result("succeeded", Message("m", "pause_turn")), ResultKind.PAUSED, None),
        (Result("succeeded", Message("m", "model_context_window_exceeded")), ResultKind.WINDOW_FULL, None),
        (Result("succeeded", Message("m", "max_tokens")), ResultKind.CUT_OFF, None),
        (Result("succeeded"), ResultKind.PERMANENT_ERROR, "unknown_result_succeeded"),
        (Result("expired"), ResultKind.EXPIRED, "expired"),
        (Result("canceled"), ResultKind.CANCELED, "canceled"),
        (Result("postponed"), ResultKind.PERMANENT_ERROR, "unknown_result_postponed"),
        (errored("overloaded_error"), ResultKind.TRANSIENT_ERROR, "overloaded_error"),
        (errored("api_error"), ResultKind.TRANSIENT_ERROR, "api_error"),
        (errored("timeout_error"), ResultKind.TRANSIENT_ERROR, "timeout_error"),
        (errored("rate_limit_error"), ResultKind.TRANSIENT_ERROR, "rate_limit_error"),
        (errored("rate_limit_error", "enforced_spend_limit_reached"), ResultKind.ACCOUNT_ERROR, "rate_limit_error"),
        (errored("invalid_request_error"), ResultKind.PERMANENT_ERROR, "invalid_request_error"),
        (errored("request_too_large"), ResultKind.PERMANENT_ERROR, "request_too_large"),
        (errored("billing_error"), ResultKind.ACCOUNT_ERROR, "billing_error"),
        (errored("authentication_error"), ResultKind.ACCOUNT_ERROR, "authentication_error"),
        (errored("permission_error"), ResultKind.PERMANENT_ERROR, "permission_error"),
        (errored("permission_error", message="no model x for you"), ResultKind.REFUSED, "permission_error"),
        (
            errored("invalid_request_error", message="Your credit balance is too low to go on."),
            ResultKind.ACCOUNT_ERROR,
            "invalid_request_error",
        ),
        (errored("not_found_error", message="model: claude-old"), ResultKind.REFUSED, "not_found_error"),
        (errored("not_found_error", message="File not found: file_1"), ResultKind.PERMANENT_ERROR, "not_found_error"),
        (errored("an_error_of_tomorrow"), ResultKind.PERMANENT_ERROR, "an_error_of_tomorrow"),
        (Result("errored"), ResultKind.PERMANENT_ERROR, "unknown_error"),
    ],
)
def test_a_result_has_a_kind_and_a_name(result: Result, kind: ResultKind, name: str | None) -> None:
    assert result_kind(result) is kind
    if name:
        assert error_name(result) == name


def test_every_kind_has_a_decision() -> None:
    assert set(decisions_by_kind(POLICY, 0, 0, cancelled=False)) == set(ResultKind)


def test_transient_errors_end_at_the_limit() -> None:
    assert decisions_by_kind(POLICY, 1, 1, cancelled=False)[ResultKind.TRANSIENT_ERROR] is Decision.RETRY
    assert decisions_by_kind(POLICY, 2, 2, cancelled=False)[ResultKind.TRANSIENT_ERROR] is Decision.ERROR


def test_one_wave_means_no_repetition() -> None:
    assert decisions_by_kind(RetryPolicy(1, 0.0), 0, 0, cancelled=False)[ResultKind.EXPIRED] is Decision.ERROR


def test_what_waits_for_a_person_goes_on_past_the_limit_but_not_for_ever() -> None:
    assert decisions_by_kind(POLICY, 5, 2, cancelled=False)[ResultKind.ACCOUNT_ERROR] is Decision.RETRY
    assert decisions_by_kind(POLICY, 2 + EXTRA_WAVES, 0, cancelled=False)[ResultKind.ACCOUNT_ERROR] is Decision.ERROR


def test_what_is_refused_again_after_a_release_is_final_where_others_succeed() -> None:
    alone, beside_others = bytes([ResultKind.REFUSED]), bytes([ResultKind.REFUSED, ResultKind.SUCCEEDED])

    assert [is_refused_for_good(refusals, beside_others) for refusals in range(2)] == [False, True]
    assert [is_refused_for_good(refusals, alone) for refusals in range(4)] == [False, False, False, True]
    by_kind = decisions_by_kind(POLICY, 1, 0, cancelled=False, refused_for_good=True)
    assert by_kind[ResultKind.REFUSED] is Decision.ERROR
    assert by_kind[ResultKind.ACCOUNT_ERROR] is Decision.RETRY


def test_nothing_of_a_cancelled_job_is_sent_again() -> None:
    assert Decision.RETRY not in decisions_by_kind(POLICY, 0, 0, cancelled=True).values()
    asks_longer = replace(POLICY, retry_max_tokens=9)
    assert decisions_by_kind(asks_longer, 0, 0, cancelled=True)[ResultKind.CUT_OFF] is Decision.ANSWER


def test_the_delay_doubles_with_each_wave_of_transient_errors_and_is_none_after_expiry() -> None:
    delays = [
        delay_before_next_wave(POLICY, transient_waves, {ResultKind.TRANSIENT_ERROR: 1}).seconds
        for transient_waves in range(3)
    ]
    assert delays == [60.0, 120.0, 240.0]
    assert delay_before_next_wave(POLICY, 18, {ResultKind.TRANSIENT_ERROR: 1}).seconds == 7200.0
    assert delay_before_next_wave(POLICY, 1, {ResultKind.EXPIRED: 4}).seconds == 0.0
    assert delay_before_next_wave(POLICY, 1, {ResultKind.EXPIRED: 4}).transient_waves == 2
    assert delay_before_next_wave(POLICY, 1, {ResultKind.ACCOUNT_ERROR: 4}).transient_waves == 1


kinds = st.sampled_from(sorted(ResultKind))


@settings(max_examples=100)
@given(
    shards=st.lists(st.integers(1, 8), min_size=1, max_size=4),
    policy=st.builds(RetryPolicy, st.integers(1, 4), st.just(1.0), st.sampled_from([None, 100])),
    data=st.data(),
)
def test_each_request_ends_once_and_the_counts_add_up(
    shards: list[int], policy: RetryPolicy, data: st.DataObject
) -> None:
    ended: Counter[tuple[int, int]] = Counter()
    collected: list[Shard] = []
    for number, count in enumerate(shards):
        collected += run_shard(number, count, policy, data, ended)

    assert ended == Counter({(number, place): 1 for number, count in enumerate(shards) for place in range(count)})
    plan = Plan("manifest", sum(shards) + 2, sum(shards), 2, len(shards), 0.0)
    totals = check_totals(plan, collected)
    assert totals.problems == ()
    assert totals.tally.balanced
    assert totals.tally.lines == totals.tally.succeeded + totals.tally.errored + totals.tally.rejected


def run_shard(
    number: int, count: int, policy: RetryPolicy, data: st.DataObject, ended: Counter[tuple[int, int]]
) -> list[Shard]:
    """Let a shard go through its waves with results of any kinds, as collecting does it."""
    waves: list[Shard] = []
    left, transient_waves = list(range(count)), 0
    while left:
        wave = len(waves)
        assert wave < policy.max_waves + EXTRA_WAVES
        follows = decisions_by_kind(policy, wave, transient_waves, cancelled=False)
        drawn = data.draw(st.lists(kinds, min_size=len(left), max_size=len(left)))
        decided = [follows[kind] for kind in drawn]
        retries = (Decision.RETRY, Decision.RETRY_LONGER)
        again = [place for place, each in zip(left, decided, strict=True) if each in retries]
        ended.update((number, place) for place in left if place not in again)
        errors = Counter("some_error" for each in decided if each is Decision.ERROR)
        outcome = Outcome(decided.count(Decision.ANSWER), errors.total(), len(again), {"m": Tokens(1, 1)}, dict(errors))
        ref, source = ShardRef("job", number, wave), Source("outbox", "key", None, 0, 0)
        waves.append(Shard(ref, source, len(left), 0, "ids", "nonce", outcome=outcome))
        sent_again = Counter(kind for place, kind in zip(left, drawn, strict=True) if place in again)
        transient_waves, left = delay_before_next_wave(policy, transient_waves, sent_again).transient_waves, again
    return waves


def test_answers_that_stand_and_are_not_whole_are_counted_by_their_stop_reason() -> None:
    kinds = bytes(
        [
            ResultKind.SUCCEEDED,
            ResultKind.CUT_OFF,
            ResultKind.CUT_OFF,
            ResultKind.REFUSAL,
            ResultKind.PAUSED,
            ResultKind.WINDOW_FULL,
            ResultKind.TRANSIENT_ERROR,
            ResultKind.TRANSIENT_ERROR,
        ]
    )
    answer = Decision.ANSWER
    by_place = bytes(
        [answer, answer, Decision.RETRY_LONGER, answer, answer, answer, Decision.KEPT_ANSWER, Decision.RETRY]
    )
    assert count_incomplete(kinds, by_place) == {
        "max_tokens": 2,
        "refusal": 1,
        "pause_turn": 1,
        "model_context_window_exceeded": 1,
    }


def test_a_wave_of_whole_answers_has_none_that_are_not() -> None:
    assert count_incomplete(bytes([ResultKind.SUCCEEDED] * 3), bytes([Decision.ANSWER] * 3)) == {}
