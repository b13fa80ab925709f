"""The states of streams, against DynamoDB's own conditions."""

from __future__ import annotations

from collections.abc import Callable
from typing import get_args

import pytest

from sluice.aws.dynamodb import Table
from sluice.errors import ConditionFailed
from sluice.streams.resumable.table import STREAM_TRANSITIONS, Status, StreamState, StreamTable

NOW = 1_795_000_000.0
CALLS: dict[str, Callable[[StreamTable, StreamState], object]] = {
    "claim": lambda streams, state: streams.claim(state, NOW + 30),
    "request_stop": lambda streams, state: streams.request_stop(state.id),
    "renew_lease": lambda streams, state: streams.renew_lease(state.id, NOW + 60),
    "skip_ids": lambda streams, state: streams.skip_ids(state.id, 7, state.epoch, NOW),
    "finish": lambda streams, state: streams.finish(state.id, state.epoch, "stopped"),
}


@pytest.mark.parametrize("status", get_args(Status))
@pytest.mark.parametrize("name", STREAM_TRANSITIONS)
def test_a_transition_starts_from_the_states_of_its_data_and_no_other(table: Table, name: str, status: Status) -> None:
    streams, transition = StreamTable(table, 3600), STREAM_TRANSITIONS[name]
    before = StreamState("stream_1", "iam:ada", status, 1, NOW, NOW)
    streams.create(before)
    if status in transition.sources:
        CALLS[name](streams, before)
        after = streams.find(before.id)
        assert after is not None
        assert after.status in (transition.targets or (status,))
        return
    if name == "request_stop":  # Nothing happens, and nobody is told.
        streams.request_stop(before.id)
    else:
        with pytest.raises(ConditionFailed):
            CALLS[name](streams, before)
    assert streams.find(before.id) == before
