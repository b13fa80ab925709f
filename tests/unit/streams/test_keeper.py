"""When a lease begins to run, and what a table that is slow may hold back: nothing."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest

from sluice.aws.table import Table
from sluice.streams import messages
from sluice.streams.keeper import Keeper
from sluice.streams.table import StreamState, StreamTable
from tests.unit.streams.scripted import DELTA, RHYTHM, START, STOP, ScriptedClaude, ScriptedDoor

LEASED = StreamState("stream_1", "o", "running", 1, 0.0, 1.0, lease_seconds=5)


class Clock:
    """A clock that a test moves."""

    def __init__(self) -> None:
        self.ahead = 0.0

    def time(self) -> float:
        return time.time() + self.ahead

    def __getattr__(self, name: str) -> Any:
        return getattr(time, name)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr("sluice.streams.keeper.time", clock)
    return clock


@pytest.fixture
def keeper(table: Table) -> Iterator[Keeper]:
    keeper = Keeper(StreamTable(table, 3600), LEASED, rhythm=RHYTHM)
    keeper.create(None)
    assert keeper.wait_until_created(60)
    yield keeper
    keeper.close("failed")


def let_it_beat(keeper: Keeper, times: int = 2) -> None:
    """Wait until the keeper has said so often that it lives."""
    for _ in range(times):
        seen = keeper.state
        give_up_at = time.monotonic() + 60
        while keeper.state is seen:
            assert time.monotonic() < give_up_at
            time.sleep(0.005)


def test_a_lease_does_not_run_while_claude_is_asked(
    table: Table, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    beat, beats = StreamTable.beat, threading.Semaphore(0)

    def beat_and_tell(self: StreamTable, *args: Any) -> StreamState:
        state = beat(self, *args)
        beats.release()
        return state

    def take_an_hour() -> None:
        clock.ahead = 3600
        assert all(beats.acquire(timeout=60) for _ in range(3))

    monkeypatch.setattr(StreamTable, "beat", beat_and_tell)
    door = ScriptedDoor(table, claude=ScriptedClaude(before=take_an_hour))

    response, data = door.call(headers={"sluice-lease": "5"})

    assert "sluice-stream-id" in response.headers
    assert data == START + DELTA + STOP
    assert door.lines[0]["outcome"] == "succeeded"


def test_a_lease_runs_from_the_time_at_which_the_answer_opens(keeper: Keeper, clock: Clock) -> None:
    clock.ahead = 3600
    opened = clock.time()
    interrupted = threading.Event()
    keeper.watch(interrupted.set)

    keeper.start_lease()
    let_it_beat(keeper)

    assert keeper.cut() is None
    assert (keeper.state.lease_until or 0) >= opened + 5
    clock.ahead += 120
    assert interrupted.wait(60)
    assert (cut := keeper.cut()) is not None
    assert cut.code == "lease_expired"


def test_a_lease_that_the_client_has_renewed_is_not_cut_short_by_its_beginning(keeper: Keeper, table: Table) -> None:
    StreamTable(table, 3600).renew_lease("stream_1", 99_999_999_999.0)
    let_it_beat(keeper)

    keeper.start_lease()
    let_it_beat(keeper)

    assert keeper.state.lease_until == 99_999_999_999.0


def test_a_lease_that_begins_while_the_table_is_asked_begins_with_the_next_beat(
    keeper: Keeper, monkeypatch: pytest.MonkeyPatch
) -> None:
    beat, started = StreamTable.beat, threading.Event()

    def start_meanwhile(self: StreamTable, *args: Any) -> StreamState:
        if not started.is_set():
            keeper.start_lease()
            started.set()
        return beat(self, *args)

    monkeypatch.setattr(StreamTable, "beat", start_meanwhile)
    assert started.wait(60)
    let_it_beat(keeper, times=3)

    assert keeper.state.lease_until is not None


@pytest.mark.parametrize(("pieces", "status"), [((START, DELTA, STOP), 200), ((), 502)])
def test_a_record_that_is_slow_to_create_does_not_hold_the_answer_back(
    table: Table, monkeypatch: pytest.MonkeyPatch, pieces: tuple[bytes, ...], status: int
) -> None:
    door = ScriptedDoor(table, claude=ScriptedClaude(pieces))
    go_on, ended = threading.Event(), threading.Event()
    create, finish = StreamTable.create, StreamTable.finish

    def create_late(self: StreamTable, state: StreamState) -> None:
        assert go_on.wait(60)
        create(self, state)

    def finish_and_tell(self: StreamTable, *args: Any) -> None:
        finish(self, *args)
        ended.set()

    monkeypatch.setattr(StreamTable, "create", create_late)
    monkeypatch.setattr(StreamTable, "finish", finish_and_tell)
    monkeypatch.setattr(messages, "_CREATION_SECONDS", 0.01)

    response, data = door.call(headers={"sluice-keep": "true"})

    assert not ended.is_set()
    assert "sluice-stream-id" not in response.headers
    assert response.status == status
    assert data.startswith(b"".join(pieces))
    go_on.set()
    assert ended.wait(60), "the record is ended once it is there"
