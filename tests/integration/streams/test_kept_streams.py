"""Streams that are kept: resumed, followed, stopped, leased, taken over and continued."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx2
import pytest

from simulator.client import Break, Reply
from sluice.access.store import KeyTerms
from sluice.claude.events import Event
from tests.integration.streams.door import PARAMS, DoorMaker, StreamDoor, events_of, ids_of, numbered, text_of, wait_for

KEEP = {"sluice-keep": "true"}
STREAM = {**PARAMS, "stream": True}
TEXT = " ".join(f"word{number}" for number in range(60))
SLOW = Reply(text=TEXT, events_per_second=30)


@contextmanager
def reading(stack: StreamDoor, headers: dict[str, str]) -> Iterator[httpx2.Response]:
    """Begin to read a stream; leave to break the connection."""
    headers = {**stack.headers, **headers}
    with (
        httpx2.Client(timeout=60, trust_env=False, verify=False) as client,
        client.stream("POST", f"{stack.url}/v1/messages", headers=headers, json=STREAM) as response,
    ):
        yield response


def read_events(response: httpx2.Response, count: int) -> list[Event]:
    """Read so many events and leave the rest."""
    data = b""
    for piece in response.iter_raw():
        data += piece
        if len(events_of(data)) >= count:
            break
    return events_of(data)


def resume(stack: StreamDoor, stream_id: str, after: int = 0, key: str | None = None) -> httpx2.Response:
    headers = {"last-event-id": str(after)} if after else {}
    return stack.request("GET", f"/v1/streams/{stream_id}", headers | ({"x-api-key": key} if key else {}))


def test_a_client_that_lost_its_connection_gets_the_rest_without_a_gap_or_a_double(kept: StreamDoor) -> None:
    kept.simulator.answer(SLOW)
    with reading(kept, KEEP) as response:
        stream_id = response.headers["sluice-stream-id"]
        seen = read_events(response, 12)

    rest = events_of(resume(kept, stream_id, ids_of(seen)[-1]).content)

    both = seen + [event for event in rest if event.id is not None]
    assert ids_of(both) == numbered(len(both))
    assert text_of(both) == TEXT
    assert both[-1].name == "message_stop"
    assert len(kept.simulator.requests("messages")) == 1


def test_several_readers_see_the_same_stream(kept: StreamDoor) -> None:
    kept.simulator.answer(SLOW)
    answers: dict[int, bytes] = {}

    def follow(number: int, stream_id: str) -> None:
        answers[number] = b"".join(
            b"id: %s\n%s" % (str(event.id).encode(), event.data.encode())
            for event in events_of(resume(kept, stream_id).content)
            if event.id is not None
        )

    with reading(kept, KEEP) as response:
        stream_id = response.headers["sluice-stream-id"]
        threads = [threading.Thread(target=follow, args=(number, stream_id)) for number in range(3)]
        for thread in threads:
            thread.start()
        response.read()
    for thread in threads:
        thread.join()

    assert len(answers) == 3
    assert len(set(answers.values())) == 1


def test_a_stream_that_has_been_read_to_its_end_needs_no_second_reader(kept: StreamDoor) -> None:
    response = kept.post(STREAM, KEEP)
    events = events_of(response.content)
    stream_id = response.headers["sluice-stream-id"]

    wait_for(lambda: resume(kept, stream_id, len(events)).headers.get("sluice-stream-ended") == "true")

    assert resume(kept, stream_id, len(events)).content == b": end\n\n"
    assert "sluice-stream-ended" not in resume(kept, stream_id).headers
    assert resume(kept, stream_id).content == response.content


def test_a_large_event_is_kept_whole(kept: StreamDoor) -> None:
    kept.simulator.answer(Reply(text="x" * 400_000))
    response = kept.post({**STREAM, "max_tokens": 120_000}, KEEP)

    assert text_of(events_of(response.content)) == "x" * 400_000
    assert resume(kept, response.headers["sluice-stream-id"]).content == response.content


def test_a_large_request_is_kept_whole(kept: StreamDoor) -> None:
    kept.simulator.fail(Break(how="reset", after_events=6), times=1)
    words = " ".join(str(number * 7919 % 1_000_003) for number in range(150_000))
    params = {**STREAM, "messages": [{"role": "user", "content": words}]}

    response = kept.post(params, {**KEEP, "sluice-continue": "true"})

    assert events_of(response.content)[-1].name == "message_stop"
    assert len(kept.simulator.requests("messages")) == 2


def test_anyone_elses_stream_is_not_found(kept: StreamDoor) -> None:
    stream_id = kept.post(STREAM, {**KEEP, "sluice-lease": "30"}).headers["sluice-stream-id"]
    other = {"x-api-key": kept.new_key(KeyTerms("somebody else"))}

    answers = [
        kept.request("GET", f"/v1/streams/{stream_id}", other),
        kept.request("DELETE", f"/v1/streams/{stream_id}", other),
        kept.request("POST", f"/v1/streams/{stream_id}/lease", other),
        kept.request("GET", "/v1/streams/stream_of_nobody"),
    ]

    assert [answer.status_code for answer in answers] == [404] * 4
    assert {answer.json()["error"]["type"] for answer in answers} == {"not_found_error"}


def test_delete_stops_a_stream_and_the_call_to_claude(kept: StreamDoor) -> None:
    kept.simulator.answer(Reply(words=100_000, events_per_second=20))
    with reading(kept, KEEP) as response:
        stream_id = response.headers["sluice-stream-id"]
        assert kept.request("DELETE", f"/v1/streams/{stream_id}").json()["status"] == "stopped"
        events = events_of(response.read())

    assert events[-1].decode()["error"]["details"]["error_code"] == "stream_stopped"
    wait_for(lambda: not any(call.is_open for call in kept.simulator.requests("messages")))
    wait_for(lambda: events_of(resume(kept, stream_id).content)[-1] == events[-1])


def test_a_stream_whose_client_is_gone_goes_on_if_it_is_kept(kept: StreamDoor) -> None:
    kept.simulator.answer(SLOW)
    with reading(kept, KEEP) as response:
        stream_id = response.headers["sluice-stream-id"]
        read_events(response, 3)

    wait_for(lambda: kept.simulator.requests("messages")[-1].ended_at is not None)

    assert kept.simulator.requests("messages")[-1].disconnected_at is None
    assert text_of(events_of(resume(kept, stream_id).content)) == TEXT


def test_a_stream_whose_client_is_gone_ends_the_call_to_claude_if_it_is_not_kept(kept: StreamDoor) -> None:
    kept.simulator.answer(Reply(words=100_000, events_per_second=50))
    with reading(kept, {}) as response:
        read_events(response, 3)

    wait_for(lambda: kept.simulator.requests("messages")[-1].disconnected_at is not None)


def test_a_lease_that_is_not_renewed_ends_the_call_to_claude(kept: StreamDoor) -> None:
    kept.simulator.answer(Reply(words=100_000, events_per_second=20))

    events = events_of(kept.post(STREAM, {"sluice-lease": "5"}).content)

    assert events[-1].decode()["error"]["details"]["error_code"] == "lease_expired"
    assert not ids_of(events), "a stream that is not kept passes byte for byte"
    wait_for(lambda: kept.simulator.requests("messages")[-1].disconnected_at is not None)


def test_a_lease_that_is_renewed_lets_the_stream_go_on(kept: StreamDoor) -> None:
    kept.simulator.answer(Reply(text=" ".join(["word"] * 180), events_per_second=20))
    done = threading.Event()

    def renew(stream_id: str) -> None:
        while not done.wait(2):
            kept.request("POST", f"/v1/streams/{stream_id}/lease").raise_for_status()

    with reading(kept, {"sluice-lease": "5"}) as response:
        thread = threading.Thread(target=renew, args=(response.headers["sluice-stream-id"],))
        thread.start()
        events = events_of(response.read())
    done.set()
    thread.join()

    assert events[-1].name == "message_stop"


@pytest.mark.parametrize("headers", [{"sluice-lease": "4"}, {"sluice-lease": "soon"}, {"sluice-keep": "perhaps"}])
def test_a_wish_that_makes_no_sense_is_refused(kept: StreamDoor, headers: dict[str, str]) -> None:
    response = kept.post(STREAM, headers)

    assert response.status_code == 400
    assert "sluice-" in response.json()["error"]["message"]


def test_the_deadline_leaves_a_kept_stream_to_the_next_reader(make_stack: DoorMaker, simulator: Any) -> None:
    simulator.answer(Reply(text=" ".join(["word"] * 200), events_per_second=40), times=1)
    simulator.answer(Reply(text=" The end."))
    with make_stack(timeout_seconds=3.0) as stack:
        response = stack.post(STREAM, KEEP)
        seen = events_of(response.content)
        rest = events_of(resume(stack, response.headers["sluice-stream-id"], ids_of(seen)[-1]).content)

    assert seen[-1].decode()["error"]["details"]["error_code"] == "deadline"
    assert seen[-1].id is None, "the error is this connection's, not the stream's"
    both = seen[:-1] + rest
    assert ids_of(both) == numbered(len(both))
    assert text_of(both).endswith("word The end.")
    assert both[-1].name == "message_stop"


def test_a_stack_that_keeps_nothing_says_so(make_stack: DoorMaker, simulator: Any) -> None:
    with make_stack(keep_streams="off") as stack:
        assert stack.post(STREAM, KEEP).status_code == 400
        assert stack.post(STREAM).status_code == 200


def test_a_stack_can_keep_every_stream(make_stack: DoorMaker, simulator: Any) -> None:
    with make_stack(keep_streams="always") as stack:
        assert "sluice-stream-id" in stack.post(STREAM).headers
        assert "sluice-stream-id" not in stack.post(STREAM, {"sluice-keep": "false"}).headers
