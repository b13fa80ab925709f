"""Readers that take a stream over, and are held up before they write: only the one whose claim holds goes on."""

from __future__ import annotations

import time
from typing import Any

import pytest

from sluice.aws.dynamodb import Table
from sluice.errors import AwsUnavailable, ConditionFailed
from sluice.streams.resumable.table import LogEntry, StreamState, StreamTable
from tests.unit.streams.scripted import DELTA, ScriptedDoor
from tests.unit.streams.test_log_reader import NAME, TEXT, leave, read, status_of

AFTER = len(TEXT)


@pytest.fixture
def door(table: Table) -> ScriptedDoor:
    return ScriptedDoor(table)


def claim_again(streams: StreamTable, *, adds: bool) -> None:
    """Take the stream from the reader that has just claimed it, as a second one does that finds the first one dead."""
    claimed = streams.find(NAME)
    assert claimed is not None
    newer = streams.claim(claimed, round(time.time() + 30, 3))
    if adds:
        first = streams.skip_ids(NAME, AFTER, newer.epoch, time.time())
        streams.append(NAME, LogEntry(first, first, b"id: %d\n%b" % (first, DELTA)), "newer writer", time.time())


def hold_up(monkeypatch: pytest.MonkeyPatch, meanwhile: Any, *, before_skip: bool = False) -> None:
    """Let the first reader that claims the stream stall: behind its claim, or when it is about to take its place."""
    claim, skip = StreamTable.claim, StreamTable.skip_ids
    held: list[bool] = []

    def stall(streams: StreamTable, *, here: bool) -> None:
        if here and not held:
            held.append(True)
            meanwhile(streams)

    def claim_and_stall(self: StreamTable, *args: Any) -> StreamState:
        state = claim(self, *args)
        stall(self, here=not before_skip)
        return state

    def stall_and_skip(self: StreamTable, *args: Any) -> int:
        stall(self, here=before_skip)
        return skip(self, *args)

    monkeypatch.setattr(StreamTable, "claim", claim_and_stall)
    monkeypatch.setattr(StreamTable, "skip_ids", stall_and_skip)


def error_code(data: bytes) -> str:
    return str(read(data)[-1].decode()["error"]["details"]["error_code"])


@pytest.mark.parametrize(
    ("settled", "adds", "before_skip"),
    [(False, True, True), (False, True, False), (False, False, True), (False, False, False), (True, True, False)],
)
def test_a_reader_that_has_lost_its_claim_writes_nothing_and_asks_for_nothing(
    door: ScriptedDoor, monkeypatch: pytest.MonkeyPatch, *, settled: bool, adds: bool, before_skip: bool
) -> None:
    leave(door, *TEXT, settled=settled)
    hold_up(monkeypatch, lambda streams: claim_again(streams, adds=adds), before_skip=before_skip)

    data, report = door.follow(NAME)

    assert error_code(data) == "taken_over"
    assert report.outcome == "cut"
    assert not door.claude.bodies
    entries = list(door.streams.read_log(NAME, AFTER))
    assert len(entries) == (2 if adds else 0), "the log has what the newer writer has added, and nothing else"


def test_a_reader_whose_stream_was_stopped_before_it_could_write_asks_for_nothing(
    door: ScriptedDoor, monkeypatch: pytest.MonkeyPatch
) -> None:
    leave(door, *TEXT)
    hold_up(monkeypatch, lambda streams: streams.finish(NAME, 2, "stopped"))

    data, _ = door.follow(NAME)

    assert error_code(data) == "stream_stopped"
    assert not door.claude.bodies
    assert status_of(door.streams) == "stopped"


def test_a_place_in_the_log_is_only_for_the_epoch_that_holds(door: ScriptedDoor) -> None:
    claimed = door.streams.claim(leave(door, *TEXT), round(time.time() + 30, 3))

    with pytest.raises(ConditionFailed):
        door.streams.skip_ids(NAME, AFTER, claimed.epoch - 1, time.time())

    assert not list(door.streams.read_log(NAME, AFTER))
    assert door.streams.skip_ids(NAME, AFTER, claimed.epoch, time.time()) > AFTER
    assert door.streams.find(NAME) == claimed


def test_a_claim_that_meets_the_transaction_of_another_is_tried_again(
    door: ScriptedDoor, monkeypatch: pytest.MonkeyPatch
) -> None:
    claim = StreamTable.claim
    tries: list[Any] = []

    def conflict_once(self: StreamTable, *args: Any) -> StreamState:
        tries.append(args)
        if len(tries) == 1:
            raise AwsUnavailable("DynamoDB said TransactionConflictException.")
        return claim(self, *args)

    leave(door, *TEXT)
    monkeypatch.setattr(StreamTable, "claim", conflict_once)

    data, report = door.follow(NAME)

    assert len(tries) == 2
    assert read(data)[-1].name == "message_stop"
    assert report.outcome == "succeeded"


@pytest.mark.parametrize(("after", "ended"), [(AFTER, True), (AFTER + 5, True), (AFTER - 1, False)])
def test_ids_that_were_only_skipped_are_nothing_that_follows(door: ScriptedDoor, after: int, ended: bool) -> None:
    claimed = door.streams.claim(leave(door, *TEXT), round(time.time() - 1, 3))
    door.streams.skip_ids(NAME, AFTER, claimed.epoch, time.time())
    door.call("DELETE", f"/v1/streams/{NAME}")

    response, data = door.call("GET", f"/v1/streams/{NAME}", headers={"last-event-id": str(after)})

    assert response.status == 200
    assert (response.headers.get("sluice-stream-ended") == "true") == ended
    assert (data == b": end\n\n") == ended
