"""The totals say of everything that does not add up what it is."""

from __future__ import annotations

from dataclasses import replace

import pytest

from sluice.jobs.finish.totals import check_totals
from sluice.jobs.model import Outcome, Plan, Shard, ShardRef, Source, Tokens

PLAN = Plan("manifest", 12, 10, 2, 2, 0.0)


def shard(number: int, wave: int, count: int, outcome: Outcome | None) -> Shard:
    source = Source("inbox", "key", None, 0, 0)
    return Shard(ShardRef("job", number, wave), source, count, 0, "ids", "nonce", batch_id="b", outcome=outcome)


GOOD = [
    shard(0, 0, 6, Outcome(3, 1, 2, {"m": Tokens(10, 5, cost=0.5)}, {"api_error": 1})),
    shard(0, 1, 2, Outcome(2, 0, 0, {"m": Tokens(1, 1, cost=0.1), "n": Tokens(2, 2, cost=0.2)})),
    shard(1, 0, 4, Outcome(4, 0, 0, {})),
]


def test_totals_add_up_over_shards_and_waves() -> None:
    totals = check_totals(PLAN, GOOD)
    assert totals.problems == ()
    assert (totals.tally.succeeded, totals.tally.errored, totals.tally.rejected) == (9, 1, 2)
    assert totals.tally.waves == 2
    assert totals.tally.cost == pytest.approx(0.8)
    assert totals.tokens["m"].input == 11
    assert [(wave.batches, wave.requests, wave.retried) for wave in totals.waves.values()] == [(2, 10, 2), (1, 2, 0)]


def test_a_job_without_requests_balances() -> None:
    totals = check_totals(Plan("manifest", 3, 0, 3, 0, 0.0), [])
    assert totals.tally.balanced
    assert totals.tally.waves == 0


@pytest.mark.parametrize(
    ("plan", "shards", "problem"),
    [
        (replace(PLAN, lines=13), GOOD, "The file has 13 lines"),
        (replace(PLAN, requests=11), GOOD, "11 requests were planned"),
        (PLAN, GOOD[:2], "2 shards were planned, and there are 1"),
        (PLAN, [GOOD[0], GOOD[2]], "Shard 0 passed on 2 requests to a wave that is not there"),
        (
            PLAN,
            [GOOD[0], replace(GOOD[1], count=3), GOOD[2]],
            "does not have the requests that the one before passed on",
        ),
        (PLAN, [*GOOD[:2], replace(GOOD[2], count=5)], "Wave 0 of shard 1 does not account for its 5 requests"),
        (PLAN, [*GOOD[:2], replace(GOOD[2], outcome=None)], "Wave 0 of shard 1 has no outcome"),
        (PLAN, [replace(GOOD[0], outcome=Outcome(3, 1, 2)), *GOOD[1:]], "0 errors were counted by type"),
    ],
)
def test_what_does_not_add_up_is_said(plan: Plan, shards: list[Shard], problem: str) -> None:
    totals = check_totals(plan, shards)
    assert not totals.tally.balanced
    assert any(problem in each for each in totals.problems)
