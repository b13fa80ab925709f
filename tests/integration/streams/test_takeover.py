"""Streams whose function has died: the next reader writes them on, and only one does."""

from __future__ import annotations

import json
import os
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from simulator.client import Reply
from sluice.access.store import KeyTerms
from sluice.errors import ConditionFailed
from sluice.streams.errors import StreamCut
from sluice.streams.resumable.log_writer import LogSchedule, LogWriter
from sluice.streams.resumable.table import IDS_OF_WRITER, LogEntry, StoredRequest, StreamState, StreamTable
from tests.integration.streams.door import (
    PARAMS,
    DoorMaker,
    StreamDoor,
    events_of,
    ids_of,
    mark_of,
    numbered,
    text_of,
    wait_for,
)

KEEP = {"sluice-keep": "true"}
STREAM = {**PARAMS, "stream": True}
BEGINNING = (
    b'id: 1\nevent: message_start\ndata: {"type":"message_start","message":{"model":"claude-sonnet-5",'
    b'"usage":{"input_tokens":9,"output_tokens":1}}}\n\n',
    b'id: 2\nevent: content_block_start\ndata: {"type":"content_block_start","index":0,'
    b'"content_block":{"type":"text","text":""}}\n\n',
    b'id: 3\nevent: content_block_delta\ndata: {"type":"content_block_delta","index":0,'
    b'"delta":{"type":"text_delta","text":"Once upon a time"}}\n\n',
)


@pytest.fixture(scope="module")
def module_stack(make_stack: DoorMaker) -> Iterator[StreamDoor]:
    with make_stack() as stack:
        yield stack


@pytest.fixture
def owned(module_stack: StreamDoor, simulator: Any) -> StreamDoor:
    simulator.answer(Reply(text=", there was a fox."))
    return module_stack


def streams_of(stack: StreamDoor) -> StreamTable:
    return StreamTable(stack.aws.table, 3600)


def abandon_stream(
    stack: StreamDoor, stream_id: str, *, frames: tuple[bytes, ...] = BEGINNING, stop: bool = False
) -> None:
    """Leave a stream as a function leaves it that dies in the middle."""
    now = time.time()
    table = streams_of(stack)
    owner = f"key:{stack.key.removeprefix('sk-sluice-')[:8]}"
    table.create(StreamState(stream_id, owner, "running", 1, round(now - 1, 3), round(now, 3), stop=stop))
    table.keep_request(
        stream_id, StoredRequest("/v1/messages", {"anthropic-version": "2023-06-01"}, json.dumps(STREAM).encode()), now
    )
    if frames:
        table.append(stream_id, LogEntry(1, len(frames), b"".join(frames)), "dead writer", now)


def test_the_next_reader_takes_a_stream_over_and_continues_the_answer(owned: StreamDoor) -> None:
    abandon_stream(owned, "stream_dead")

    response = owned.request("GET", "/v1/streams/stream_dead", {"last-event-id": "2"})

    events = events_of(response.content)
    assert ids_of(events) == [3, *numbered(len(events) - 1, first=IDS_OF_WRITER + 1)]
    assert events[1].name == events[1].decode()["type"] == "ping", "no client breaks at a ping"
    assert mark_of(events[1]) == {"stream_id": "stream_dead", "after": 3, "reason": "writer_lost"}
    assert text_of(events) == "Once upon a time, there was a fox."
    assert events[-1].name == "message_stop"
    line = owned.log_line(response)
    assert (line["outcome"], line["mode"], line["stream_id"]) == ("succeeded", "resume", "stream_dead")
    assert line["input_tokens"] > 9, "what the dead function had used is accounted too"
    wait_for(lambda: getattr(streams_of(owned).find("stream_dead"), "status", "") == "complete")


def test_of_many_readers_one_takes_over_and_all_see_the_same(owned: StreamDoor) -> None:
    abandon_stream(owned, "stream_wanted")
    answers: list[bytes] = []

    def follow() -> None:
        answers.append(owned.request("GET", "/v1/streams/stream_wanted").content)

    threads = [threading.Thread(target=follow) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len(owned.simulator.requests("messages")) == 1
    assert len(set(answers)) == 1
    assert events_of(answers[0])[-1].name == "message_stop"


def test_events_that_a_client_saw_and_nobody_kept_are_marked_as_lost(owned: StreamDoor) -> None:
    abandon_stream(owned, "stream_ahead")

    events = events_of(owned.request("GET", "/v1/streams/stream_ahead", {"last-event-id": "9"}).content)

    assert (events[0].id, mark_of(events[0])["after"]) == (str(IDS_OF_WRITER + 1), 3)
    assert events == events_of(owned.request("GET", "/v1/streams/stream_ahead", {"last-event-id": "3"}).content)


def test_a_stream_that_died_before_its_first_event_is_asked_for_anew(owned: StreamDoor) -> None:
    abandon_stream(owned, "stream_early", frames=())

    events = events_of(owned.request("GET", "/v1/streams/stream_early").content)

    assert [event.name for event in events[:2]] == ["ping", "message_start"]
    assert events[-1].name == "message_stop"


def test_a_dead_stream_that_was_to_stop_is_not_taken_up(owned: StreamDoor) -> None:
    abandon_stream(owned, "stream_stopping", stop=True)

    events = events_of(owned.request("GET", "/v1/streams/stream_stopping").content)

    assert events[-1].decode()["error"]["details"]["error_code"] == "stream_stopped"
    assert not owned.simulator.requests("messages")


def test_a_dead_stream_is_stopped_at_once(owned: StreamDoor) -> None:
    abandon_stream(owned, "stream_gone")

    assert owned.request("DELETE", "/v1/streams/stream_gone").json()["status"] == "stopped"

    state = streams_of(owned).find("stream_gone")
    assert state is not None
    assert state.status == "stopped"


def test_a_function_that_is_killed_loses_nothing_that_was_kept(make_stack: DoorMaker, simulator: Any) -> None:
    simulator.answer(Reply(text=" ".join(["word"] * 400), events_per_second=50), times=1)
    simulator.answer(Reply(text=" The end."))
    others = function_processes()
    with make_stack() as stack:
        with stack.client.stream(
            "POST", f"{stack.url}/v1/messages", headers={**stack.headers, **KEEP}, json=STREAM
        ) as response:
            stream_id = response.headers["sluice-stream-id"]
            table = streams_of(stack)
            wait_for(lambda: any(entry.last > 10 for entry in table.read_log(stream_id, 0)))
            for process in function_processes() - others:
                os.kill(process, signal.SIGKILL)
        events = events_of(stack.request("GET", f"/v1/streams/{stream_id}").content)

    own = [event for event in events if event.id is not None]
    mark = next(index for index, event in enumerate(own) if mark_of(event))
    assert ids_of(own) == numbered(mark) + numbered(len(own) - mark, first=IDS_OF_WRITER + 1)
    assert mark_of(own[mark])["after"] == mark
    assert text_of(own).endswith("word The end.")
    assert own[-1].name == "message_stop"


def function_processes() -> set[int]:
    """Find the copies of functions that this process has started."""
    found = set()
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(FileNotFoundError, ProcessLookupError):
            parent = int((process / "stat").read_text().rpartition(")")[2].split()[1])
            if parent == os.getpid() and b"streaming_runtime" in (process / "cmdline").read_bytes():
                found.add(int(process.name))
    return found


class TestTwoWriters:
    """Two functions that both believe to write one stream: only one goes on."""

    RHYTHM = LogSchedule(flush=0.02, beat=0.05, alive=0.5)

    def test_the_one_that_comes_late_to_the_log_stops(self, owned: StreamDoor) -> None:
        abandon_stream(owned, "stream_two")
        table = streams_of(owned)
        lost = table.find("stream_two")
        assert lost is not None
        first = LogWriter(table, lost, 4, self.RHYTHM)
        second = LogWriter(table, table.claim(lost, time.time() + 9), 4, self.RHYTHM)

        second.append([b"event: a\ndata: {}\n\n"])
        second.sync()
        first.append([b"event: b\ndata: {}\n\n"])
        with pytest.raises(StreamCut) as cut:
            first.sync()

        assert cut.value.code == "taken_over"
        assert b"event: b" not in b"".join(entry.data for entry in table.read_log("stream_two", 0))

    def test_a_writer_that_was_taken_over_learns_it_from_its_next_beat(self, owned: StreamDoor) -> None:
        abandon_stream(owned, "stream_beat")
        table = streams_of(owned)
        lost = table.find("stream_beat")
        assert lost is not None
        interrupted = threading.Event()
        log_writer = LogWriter(table, lost, 4, self.RHYTHM)
        log_writer.watch(interrupted.set)
        table.claim(lost, time.time() + 9)

        log_writer.take_over()

        assert interrupted.wait(10)
        log_writer.close("complete")
        state = table.find("stream_beat")
        assert state is not None
        assert (state.status, state.epoch) == ("running", 2)

    def test_only_one_of_two_claims_holds(self, owned: StreamDoor) -> None:
        abandon_stream(owned, "stream_claim")
        table = streams_of(owned)
        lost = table.find("stream_claim")
        assert lost is not None
        table.claim(lost, time.time() + 9)

        with pytest.raises(ConditionFailed):
            table.claim(lost, time.time() + 9)

    def test_a_write_whose_answer_was_lost_is_no_other_writer(self, owned: StreamDoor) -> None:
        abandon_stream(owned, "stream_again")
        entry = LogEntry(4, 4, b"id: 4\nevent: a\ndata: {}\n\n")

        for _ in range(2):
            streams_of(owned).append("stream_again", entry, "one writer", time.time())

        with pytest.raises(ConditionFailed):
            streams_of(owned).append("stream_again", entry, "another", time.time())


def test_another_key_never_takes_over(owned: StreamDoor) -> None:
    abandon_stream(owned, "stream_private")
    other = {"x-api-key": owned.new_key(KeyTerms("somebody else"))}

    assert owned.request("GET", "/v1/streams/stream_private", other).status_code == 404
    assert not owned.simulator.requests("messages")
