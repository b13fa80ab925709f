"""Reading a stream on: what is lost with a writer, and how an end is told and logged."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest

from sluice.aws.dynamodb import Table
from sluice.claude.events import Event, FrameSplitter, parse_frame
from sluice.errors import AwsError, AwsUnavailable, ConditionFailed
from sluice.streams.errors import StreamCut
from sluice.streams.resumable.continuation import PING
from sluice.streams.resumable.log_writer import LogWriter
from sluice.streams.resumable.table import LogEntry, Status, StoredRequest, StreamState, StreamTable
from tests.unit.streams.scripted import DELTA, OPEN_BLOCK, PARAMS, RHYTHM, START, STOP, ScriptedDoor, frame

NAME = "stream_1"
TEXT = (START, OPEN_BLOCK, *[DELTA] * 8)
ERROR = frame("error", error={"type": "overloaded_error", "message": "Busy"})
COMMENT = b": keep-alive\n\n"
LEASE_ERROR = frame("error", error={"type": "api_error", "message": "x", "details": {"error_code": "lease_expired"}})

DEFECT = frame("error", error={"type": "api_error", "message": "x", "details": {"error_code": "internal_error"}})


@pytest.fixture
def door(table: Table) -> ScriptedDoor:
    return ScriptedDoor(table)


def leave(door: ScriptedDoor, *frames: bytes, status: Status = "running", settled: bool = False) -> StreamState:
    """Leave a stream as a writer leaves it that died, or that ended it."""
    now = time.time()
    state = StreamState(NAME, "iam:unsigned", status, 1, round(now - 1, 3), round(now, 3), settled=settled)
    door.streams.create(state)
    door.streams.keep_request(NAME, StoredRequest("/v1/messages", {}, json.dumps(PARAMS).encode()), now)
    if frames:
        data = b"".join(b"id: %d\n%b" % (number, each) for number, each in enumerate(frames, 1))
        door.streams.append(NAME, LogEntry(1, len(frames), data), "dead writer", now)
    return state


def read(data: bytes) -> list[Event]:
    return [event for each in FrameSplitter().feed(data) if (event := parse_frame(each)) is not None]


def mark_of(event: Event) -> dict[str, Any]:
    """What a continuation's mark says; nothing for any other event."""
    return dict(event.decode().get("sluice_continued") or {})


def ids_of(events: list[Event]) -> list[int]:
    return [int(event.id) for event in events if event.id is not None]


def status_of(streams: StreamTable) -> str:
    state = streams.find(NAME)
    assert state is not None
    return state.status


@pytest.mark.parametrize("after", [10, 11, 15, 500])
def test_a_client_that_saw_more_than_was_kept_goes_on_at_the_mark(door: ScriptedDoor, after: int) -> None:
    leave(door, *TEXT)

    whole = read(door.follow(NAME)[0])
    rest = read(door.follow(NAME, after)[0])

    assert rest == whole[len(TEXT) :]
    assert mark_of(rest[0])["after"] == len(TEXT)
    assert ids_of(rest)[0] > 500
    assert rest[-1].name == "message_stop"


def test_the_reader_that_takes_over_need_not_be_the_one_that_saw_more(door: ScriptedDoor) -> None:
    leave(door, *TEXT)

    rest = read(door.follow(NAME, 15)[0])

    assert rest == read(door.follow(NAME, 10)[0]) == read(door.follow(NAME)[0])[len(TEXT) :]


def test_ids_rise_by_one_where_nothing_was_lost(door: ScriptedDoor) -> None:
    leave(door, *TEXT, settled=True)

    events = read(door.follow(NAME)[0])

    assert ids_of(events) == list(range(1, len(events) + 1))
    assert any(mark_of(event) for event in events)


def test_a_second_takeover_goes_on_behind_the_first(door: ScriptedDoor) -> None:
    state = leave(door, *TEXT)
    claimed = door.streams.claim(state, round(time.time() - 1, 3))
    skipped = door.streams.skip_ids(NAME, len(TEXT), claimed.epoch, time.time())

    events = read(door.follow(NAME, skipped + 3)[0])

    assert ids_of(events)[0] > skipped + 3
    assert mark_of(events[0])["after"] == len(TEXT)


def test_a_writer_that_was_only_slow_can_add_nothing_behind_a_takeover(door: ScriptedDoor) -> None:
    slow = LogWriter(door.streams, leave(door, *TEXT), len(TEXT) + 1, RHYTHM)
    whole = door.follow(NAME)[0]

    slow.append([DELTA])
    with pytest.raises(StreamCut) as cut:
        slow.sync()

    assert cut.value.code == "taken_over"
    assert door.follow(NAME)[0] == whole


def test_what_a_slow_writer_adds_just_before_a_takeover_is_not_lost(
    door: ScriptedDoor, monkeypatch: pytest.MonkeyPatch
) -> None:
    leave(door, *TEXT)
    skip = StreamTable.skip_ids
    calls: list[tuple[Any, ...]] = []

    def add_first(self: StreamTable, *args: Any) -> int:
        if not calls:
            self.append(NAME, LogEntry(11, 11, b"id: 11\n" + PING), "slow writer", time.time())
        calls.append(args)
        return skip(self, *args)

    monkeypatch.setattr(StreamTable, "skip_ids", add_first)

    events = read(door.follow(NAME)[0])

    assert len(calls) == 2
    assert ids_of(events)[:11] == list(range(1, 12))
    assert mark_of(events[11])["after"] == 11


def test_a_place_that_cannot_be_taken_is_told(door: ScriptedDoor, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any) -> int:
        raise ConditionFailed("taken")

    leave(door, *TEXT)
    monkeypatch.setattr(StreamTable, "skip_ids", refuse)

    data, report = door.follow(NAME)

    assert read(data)[-1].decode()["error"]["details"] == {"error_code": "taken_over"}
    assert report.outcome == "cut"


def test_a_comment_that_was_kept_last_does_not_hide_where_a_mark_stands(door: ScriptedDoor) -> None:
    leave(door, *TEXT, COMMENT)

    mark = next(event for event in read(door.follow(NAME)[0]) if mark_of(event))

    assert mark_of(mark)["after"] == len(TEXT) + 1


def test_a_comment_behind_the_end_of_an_answer_does_not_make_it_go_on(door: ScriptedDoor) -> None:
    leave(door, *TEXT, STOP, COMMENT)

    data, report = door.follow(NAME)

    assert [event.name for event in read(data)].count("message_stop") == 1
    assert not door.claude.bodies
    assert (report.outcome, status_of(door.streams)) == ("succeeded", "complete")


@pytest.mark.parametrize(("last", "status", "outcome"), [(STOP, "complete", "succeeded"), (ERROR, "failed", "cut")])
@pytest.mark.parametrize("after", [0, 11])
def test_a_stream_that_lacks_only_the_note_of_its_end_is_only_finished(
    door: ScriptedDoor, last: bytes, status: str, outcome: str, after: int
) -> None:
    leave(door, *TEXT, last)

    data, report = door.follow(NAME, after)

    assert ids_of(read(data)) == list(range(after + 1, 12))
    assert not door.claude.bodies
    assert report.outcome == outcome
    assert status_of(door.streams) == status


@pytest.mark.parametrize(
    ("last", "status", "logged"),
    [
        (STOP, "complete", ("succeeded", None, None)),
        (ERROR, "failed", ("cut", "overloaded_error", "claude_error")),
        (LEASE_ERROR, "failed", ("cut", "api_error", "lease_expired")),
        (DEFECT, "failed", ("cut", "api_error", "internal_error")),
        (DELTA, "stopped", ("cut", "api_error", "stream_stopped")),
        (DELTA, "failed", ("cut", "api_error", "connection_cut")),
    ],
)
def test_the_log_says_how_a_resumed_stream_ended(
    door: ScriptedDoor, last: bytes, status: Status, logged: tuple[str, ...]
) -> None:
    leave(door, *TEXT, last, status=status)

    data, report = door.follow(NAME)

    assert (report.outcome, report.error_type, report.error_code) == logged
    assert not report.has_defect, "a defect is counted where it happens"
    assert [event.name for event in read(data)].count("error") == (0 if status == "complete" else 1)


def test_what_aws_says_of_a_request_that_cannot_be_read_is_for_the_log(
    door: ScriptedDoor, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: Any) -> Any:
        raise AwsUnavailable("arn:aws:secretsmanager:1:2:secret")

    leave(door, *TEXT)
    monkeypatch.setattr("sluice.claude.key.ClaudeKey.current", refuse)

    data, report = door.follow(NAME)

    assert read(data)[-1].decode()["error"]["details"] == {"error_code": "not_continuable"}
    assert b"arn:" not in data
    assert report.cause["error"].startswith("arn:")


@pytest.mark.parametrize("error", [AwsError("arn:aws"), KeyError("what somebody has sent")])
def test_a_log_that_cannot_be_read_ends_in_an_error_that_tells_nothing_of_ours(
    door: ScriptedDoor, error: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: Any) -> Any:
        raise error

    leave(door, *TEXT)
    monkeypatch.setattr(StreamTable, "read_log", refuse)

    data, report = door.follow(NAME)

    assert read(data)[-1].name == "error"
    assert str(error).encode() not in data
    assert (report.outcome, report.cause["error_class"]) == ("cut", type(error).__name__)
