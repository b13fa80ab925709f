"""What a key pays for at the streaming door: every answer, all of it, read or not, and every call of Claude."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest

from sluice.access.guard import Caller
from sluice.access.store import KeyStore, KeyTerms
from sluice.access.usage import AnswerUsage, MonthlyUsage, add_usage, month_of, read_usage
from sluice.aws.dynamodb import Table
from sluice.claude.events import FrameSplitter, parse_frame
from sluice.streams.resumable.table import LogEntry, StoredRequest, StreamState

from .scripted import DELTA, OPEN_BLOCK, STOP, ScriptedClaude, ScriptedDoor, frame

M = 1_000_000
OPUS = "claude-opus-5-5"
PARAMS = {"model": OPUS, "max_tokens": 1000, "stream": True, "messages": [{"role": "user", "content": "Hi"}]}


class KeyedDoor(ScriptedDoor):
    """A door that is called with one key."""

    def with_key(self, **terms: Any) -> KeyedDoor:
        self.auth_mode = "keys"
        self.text = KeyStore(self.table).create(KeyTerms("someone", **terms)).text
        return self

    @property
    def used(self) -> MonthlyUsage:
        return read_usage(self.table, self.text[10:18], month_of(time.time()))

    def post(self, body: Any = PARAMS) -> tuple[int, bytes]:
        text = body if isinstance(body, str) else json.dumps(body)
        response, data = self.call(body=text, headers={"x-api-key": self.text, "content-type": "application/json"})
        return response.status, data


def answer(usage: dict[str, Any], at_end: dict[str, Any] | None = None, **delta: Any) -> tuple[bytes, ...]:
    start = frame("message_start", message={"model": OPUS, "usage": usage})
    return (start, frame("message_delta", delta=delta, usage=at_end or {}), STOP)


@pytest.fixture
def door(table: Table) -> KeyedDoor:
    return KeyedDoor(table).with_key(budget=1000.0)


@pytest.mark.parametrize(
    ("pieces", "dollars"),
    [
        (answer({"cache_creation_input_tokens": M, "cache_creation": {"ephemeral_1h_input_tokens": M}}), 8.0),
        (answer({"input_tokens": 10}, {"output_tokens": M, "speed": "fast"}), 40.0),
        (answer({"input_tokens": 10}, {"server_tool_use": {"web_search_requests": 1000}}), 10.0),
        (answer({"input_tokens": M, "inference_geo": "us"}), 4.4),
        (answer({}, {"iterations": [{"type": "compaction", "input_tokens": M}]}), 4.0),
        (answer({"input_tokens": 10}, container={"id": "container_1"}), 0.0042),
    ],
)
def test_all_that_an_answer_used_counts(door: KeyedDoor, pieces: tuple[bytes, ...], dollars: float) -> None:
    door.claude.pieces = pieces

    assert door.post()[0] == 200
    assert door.used.cost == pytest.approx(dollars, rel=0.01)
    assert door.used.committed == pytest.approx(door.used.cost)


def test_an_answer_that_nobody_has_read_counts_as_much_as_it_could_be(door: KeyedDoor) -> None:
    door.claude.pieces = ()
    worst = 1000 * 20 / M + len(json.dumps(PARAMS)) * 4 / M

    assert door.post()[0] == 502
    assert door.used.cost == pytest.approx(worst)
    assert door.used.failed == 1


def test_an_error_of_claudes_own_costs_nothing(door: KeyedDoor) -> None:
    door.claude.pieces = (frame("error", error={"type": "overloaded_error", "message": "x"}),)

    door.post()

    assert (door.used.cost, door.used.committed) == (0, 0)


@pytest.mark.parametrize("terms", [{"budget": 5.0}, {"models": ("claude-haiku-*",)}])
def test_a_name_that_stands_twice_is_refused_for_a_key_with_terms(table: Table, terms: dict[str, Any]) -> None:
    door = KeyedDoor(table).with_key(**terms)

    status, data = door.post('{"model": "claude-unpriced", "max_tokens": 1, "model": "claude-haiku-5-5"}')

    assert (status, b"stands twice" in data) == (400, True)
    assert door.claude.bodies == []


def leave_cut_stream(door: KeyedDoor, owner: str) -> None:
    """Leave a stream whose writer has died in the middle of its text."""
    now = time.time()
    frames = (frame("message_start", message={"model": OPUS}), OPEN_BLOCK, DELTA)
    data = b"".join(b"id: %d\n%b" % (number, each) for number, each in enumerate(frames, 1))
    door.streams.create(StreamState("stream_a", owner, "running", 1, round(now - 1, 3), round(now, 3)))
    door.streams.keep_request("stream_a", StoredRequest("/v1/messages", {}, json.dumps(PARAMS).encode()), now)
    door.streams.append("stream_a", LogEntry(1, len(frames), data), "dead writer", now)


@pytest.mark.parametrize(("spent", "calls"), [(0.0, 1), (1.0, 0)])
def test_a_stream_is_taken_over_only_where_its_key_could_call(table: Table, spent: float, calls: int) -> None:
    door = KeyedDoor(table, claude=ScriptedClaude((frame("message_start", message={}), OPEN_BLOCK, DELTA, STOP)))
    door.with_key(budget=1.0)
    key_id = door.text[10:18]
    add_usage(table, key_id, AnswerUsage(True, cost=spent), time.time())
    leave_cut_stream(door, f"key:{key_id}")
    door.reader = Caller(f"key:{key_id}", key_id, KeyTerms("someone", budget=1.0))

    data, _ = door.follow("stream_a")
    last = [event for each in FrameSplitter().feed(data) if (event := parse_frame(each))][-1]

    assert len(door.claude.bodies) == calls
    if not calls:
        assert last.decode()["error"]["details"] == {"error_code": "not_continuable"}
        assert "budget" in last.data


def test_a_reader_takes_one_turn_with_which_claude_is_asked_once(table: Table) -> None:
    door = KeyedDoor(table, claude=ScriptedClaude((frame("message_start", message={}), OPEN_BLOCK, DELTA, STOP)))
    door.with_key(rate=1)
    if time.time() % 60 > 55:
        time.sleep(61 - time.time() % 60)  # The window is the minute of the clock.
    leave_cut_stream(door, f"key:{door.text[10:18]}")

    def read() -> tuple[int, bytes]:
        response, data = door.call("GET", "/v1/streams/stream_a", headers={"x-api-key": door.text})
        return response.status, data

    status, data = read()
    assert (status, data.endswith(STOP)) == (200, True)
    assert len(door.claude.bodies) == 1
    status, data = read()
    assert (status, b"1 requests a minute" in data) == (429, True)
    assert len(door.claude.bodies) == 1
