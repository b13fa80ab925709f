"""Streams and client keys that an earlier release has left are read, taken over and held to their terms."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest

from sluice.access.store import KeyStore, KeyTerms
from sluice.access.usage import AnswerUsage, add_usage, month_of, read_usage
from sluice.aws.dynamodb import Table
from sluice.claude.events import FrameSplitter, parse_frame
from sluice.streams.resumable.table import LogEntry, StoredRequest, StreamState
from tests.world.releases import State, dump_items, releases, restore_items

from .scripted import DELTA, OPEN_BLOCK, PARAMS, STOP, ScriptedClaude, ScriptedDoor, frame

MODEL = "claude-haiku-5-5"
STREAMED = json.dumps({**PARAMS, "model": MODEL, "stream": True})
START = frame("message_start", message={"model": MODEL})


def record_streams(table: Table) -> None:
    """A stack with a client key, and streams that are complete, stopped, and cut off in the middle."""
    text = KeyStore(table).create(KeyTerms("of the release", ("claude-*",), 60, 1000.0)).text
    key_id = text[10:18]
    add_usage(table, key_id, AnswerUsage(True, 10, 20, cost=1.5), time.time())
    door = ScriptedDoor(table, "keys", ScriptedClaude((START, OPEN_BLOCK, DELTA, STOP)))
    response, _ = door.call(body=STREAMED, headers={"x-api-key": text, "sluice-keep": "true"})
    leave_stream(door, "stream_cut", f"key:{key_id}")
    leave_stream(door, "stream_stopped", f"key:{key_id}")
    door.call("DELETE", "/v1/streams/stream_stopped", headers={"x-api-key": text})
    client: Any = table.client
    streams = {"complete": response.headers["sluice-stream-id"], "cut": "stream_cut", "stopped": "stream_stopped"}
    State(time.time(), dump_items(client, table.name), expected={"key": text, "streams": streams}).save("streams")


def leave_stream(door: ScriptedDoor, stream_id: str, owner: str) -> None:
    """Leave a stream whose writer has died in the middle of its text."""
    now = time.time()
    data = b"".join(b"id: %d\n%b" % (number, each) for number, each in enumerate((START, OPEN_BLOCK, DELTA), 1))
    door.streams.create(StreamState(stream_id, owner, "running", 1, round(now - 1, 3), round(now, 3)))
    door.streams.keep_request(stream_id, StoredRequest("/v1/messages", {}, STREAMED.encode()), now)
    door.streams.append(stream_id, LogEntry(1, 3, data), "dead writer", now)


@pytest.fixture(params=releases())
def left(request: pytest.FixtureRequest, table: Table) -> State:
    state = State.load(request.param, "streams")
    restore_items(table.client, table.name, state.moved(time.time() - state.at))
    return state


def read(door: ScriptedDoor, left: State, stream: str, after: int = 0) -> tuple[int, list[str]]:
    headers = {"x-api-key": left.expected["key"], "last-event-id": str(after)}
    response, data = door.call("GET", f"/v1/streams/{left.expected['streams'][stream]}", headers=headers)
    return response.status, [event.name for each in FrameSplitter().feed(data) if (event := parse_frame(each))]


def test_a_stream_that_is_complete_is_read_again(table: Table, left: State) -> None:
    door = ScriptedDoor(table, "keys")
    whole = ["message_start", "content_block_start", "content_block_delta", "message_stop"]
    assert read(door, left, "complete") == (200, whole)
    assert read(door, left, "complete", 2) == (200, whole[2:])
    assert door.claude.bodies == []


def test_a_stream_that_was_cut_is_taken_over(table: Table, left: State) -> None:
    door = ScriptedDoor(table, "keys", ScriptedClaude((START, OPEN_BLOCK, DELTA, STOP)))
    status, names = read(door, left, "cut")
    assert (status, names[-1]) == (200, "message_stop")
    assert "sluice_continued" in names or names.count("ping") > 0
    assert len(door.claude.bodies) == 1


def test_a_stream_that_was_stopped_stays_so(table: Table, left: State) -> None:
    door = ScriptedDoor(table, "keys")
    _, names = read(door, left, "stopped")
    assert names[-1] == "error"
    assert door.claude.bodies == []


def test_a_key_has_its_terms_and_what_it_has_used(table: Table, left: State) -> None:
    (record,) = KeyStore(table).list_keys()
    assert record.terms == KeyTerms("of the release", ("claude-*",), 60, 1000.0)
    used = read_usage(table, record.id, month_of(left.at))
    assert used.cost >= 1.5
    assert used.output_tokens >= 20
    door = ScriptedDoor(table, "keys", ScriptedClaude((START, OPEN_BLOCK, DELTA, STOP)))
    assert door.call(body=STREAMED, headers={"x-api-key": left.expected["key"]})[0].status == 200
