"""Many clients and random faults for some seconds: what they saw, the log, the accounts and Claude's bill agree."""

from __future__ import annotations

from bench.streaming.soak import MODES, soak


def test_clients_log_accounts_and_bill_agree_whatever_goes_wrong() -> None:
    tally, wrong = soak(seconds=8, clients=4, seed=7)

    assert wrong == []
    assert {end.partition(":")[0] for end in tally.ends} == set(MODES)
    assert any(end.endswith("cut") for end in tally.ends)
