"""When a lease begins to run, and what a table that is slow may hold back: nothing."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest

from sluice.aws.dynamodb import Table
from sluice.streams import messages
from sluice.streams.resumable.log_writer import LogWriter
from sluice.streams.resumable.table import StreamState, StreamTable
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
    monkeypatch.setattr("sluice.streams.resumable.log_writer.time", clock)
    return clock


@pytest.fixture
def log_writer(table: Table) -> Iterator[LogWriter]:
    log_writer = LogWriter(StreamTable(table, 3600), LEASED, schedule=RHYTHM)
    log_writer.create(None)
    assert log_writer.wait_until_created(60)
    yield log_writer
    log_writer.close("failed")


def let_it_beat(log_writer: LogWriter, times: int = 2) -> None:
    """Wait until the keeper has said so often that it lives."""
    for _ in range(times):
        seen = log_writer.state
        give_up_at = time.monotonic() + 60
        while log_writer.state is seen:
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


def test_a_lease_runs_from_the_time_at_which_the_answer_opens(log_writer: LogWriter, clock: Clock) -> None:
    clock.ahead = 3600
    opened = clock.time()
    interrupted = threading.Event()
    log_writer.watch(interrupted.set)

    log_writer.start_lease()
    let_it_beat(log_writer)

    assert log_writer.cut() is None
    assert (log_writer.state.lease_until or 0) >= opened + 5
    clock.ahead += 120
    assert interrupted.wait(60)
    assert (cut := log_writer.cut()) is not None
    assert cut.code == "lease_expired"


def test_a_lease_that_the_client_has_renewed_is_not_cut_short_by_its_beginning(
    log_writer: LogWriter, table: Table
) -> None:
    StreamTable(table, 3600).renew_lease("stream_1", 99_999_999_999.0)
    let_it_beat(log_writer)

    log_writer.start_lease()
    let_it_beat(log_writer)

    assert log_writer.state.lease_until == 99_999_999_999.0


def test_a_lease_that_begins_while_the_table_is_asked_begins_with_the_next_beat(
    log_writer: LogWriter, monkeypatch: pytest.MonkeyPatch
) -> None:
    beat, started = StreamTable.beat, threading.Event()

    def start_meanwhile(self: StreamTable, *args: Any) -> StreamState:
        if not started.is_set():
            log_writer.start_lease()
            started.set()
        return beat(self, *args)

    monkeypatch.setattr(StreamTable, "beat", start_meanwhile)
    assert started.wait(60)
    let_it_beat(log_writer, times=3)

    assert log_writer.state.lease_until is not None


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
