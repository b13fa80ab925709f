"""The event stream's parser: any cut of the bytes gives the same events, and nothing that is no event passes."""

from __future__ import annotations

import json
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sluice.claude import events
from sluice.claude.events import Event, FrameSplitter, NotAnEvent, StreamProgress, TokenCounts, parse_frame

LINE_ENDS = st.sampled_from(["\n", "\r\n", "\r"])
LINES = st.sampled_from(
    ["event: a", "data: {}", "data:x", "data", ": a comment", "id: 7", "retry: 10", "data: \u2028é🦊", "data:  x"]
)


@st.composite
def streams(draw: st.DrawFn) -> bytes:
    """A stream of frames with any line ends, mixed ones among them, and perhaps an unfinished end."""
    parts: list[str] = []
    for _ in range(draw(st.integers(0, 6))):
        for line in draw(st.lists(LINES, max_size=4)):
            parts.append(line + draw(LINE_ENDS))
        parts.append(draw(LINE_ENDS))
    parts.append(draw(st.sampled_from(["", "event: unfin", "data: {}\n", "data: {}\r"])))
    return "".join(parts).encode()


def cut(data: bytes, places: list[int]) -> list[bytes]:
    bounds = [0, *sorted(place % (len(data) + 1) for place in places), len(data)]
    return [data[start:end] for start, end in pairwise(bounds)]


def feed_all(pieces: list[bytes]) -> tuple[list[bytes], bytes]:
    splitter = FrameSplitter()
    frames = [frame for piece in pieces for frame in splitter.feed(piece)]
    return frames, splitter.rest


@given(streams(), st.lists(st.integers(0, 10_000), max_size=12))
@settings(max_examples=300)
def test_any_cut_of_the_bytes_gives_the_same_frames(data: bytes, places: list[int]) -> None:
    assert feed_all(cut(data, places)) == feed_all([data])


@given(streams())
def test_byte_by_byte_gives_the_same_frames_and_loses_none(data: bytes) -> None:
    frames, rest = feed_all([bytes([byte]) for byte in data])

    assert (frames, rest) == feed_all([data])
    assert b"".join(frames) + rest == data


@given(
    st.lists(
        st.tuples(st.sampled_from(["ping", "message_start", "unknown"]), st.dictionaries(st.text(), st.text())),
        max_size=8,
    ),
    st.lists(st.integers(0, 10_000), max_size=8),
)
def test_events_written_are_the_events_read(written: list[tuple[str, dict[str, str]]], places: list[int]) -> None:
    data = b"".join(f"event: {name}\ndata: {json.dumps(values)}\n\n".encode() for name, values in written)

    frames, rest = feed_all(cut(data, places))

    assert rest == b""
    read = [parse_frame(frame) for frame in frames]
    assert [(event.name, event.decode()) for event in read if event] == written


def test_a_frame_is_read_by_the_rules_of_server_sent_events() -> None:
    frame = b": a comment\r\nid: 12\r\nevent: e\r\ndata: one\r\ndata:two\r\ndata\r\nretry: 5\r\n\r\n"

    assert parse_frame(frame) == Event("e", "one\ntwo\n", "12")


@pytest.mark.parametrize("frame", [b": only a comment\n\n", b"\n\n", b"id: 3\n\n"])
def test_a_frame_that_says_nothing_is_no_event(frame: bytes) -> None:
    assert parse_frame(frame) is None


@pytest.mark.parametrize("frame", [b"<html>\n\n", b"event: x\ndata: \xff\n\n"])
def test_bytes_that_are_no_frame_are_told(frame: bytes) -> None:
    with pytest.raises(NotAnEvent):
        parse_frame(frame)


def test_a_frame_without_end_is_not_held_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(events, "MAX_FRAME_BYTES", 1000)
    splitter = FrameSplitter()

    for _ in range(10):
        assert splitter.feed(b"x" * 100) == []

    with pytest.raises(NotAnEvent):
        splitter.feed(b"x")


def event(name: str, **fields: Any) -> bytes:
    return f"event: {name}\ndata: {json.dumps({'type': name, **fields})}\n\n".encode()


def delta(text: str) -> bytes:
    return event("content_block_delta", index=0, delta={"type": "text_delta", "text": text})


START = event("message_start", message={"model": "claude-x", "usage": {"input_tokens": 9, "output_tokens": 1}})
END = event("message_delta", delta={"stop_reason": "end_turn"}, usage={"output_tokens": 21, "input_tokens": 10})


def test_progress_knows_what_an_answer_has_used_and_that_it_has_ended() -> None:
    progress = StreamProgress()

    moved = [progress.see(frame) for frame in (START, delta("Hi"), END, event("message_stop"))]

    assert all(moved)
    assert (progress.model, progress.stop_reason, progress.stopped) == ("claude-x", "end_turn", True)
    assert progress.usage == TokenCounts(input_tokens=10, output_tokens=21)
    assert progress.estimated_output_tokens() == 21


@pytest.mark.parametrize("frame", [event("ping"), b": comment\n\n", event("message_weather", outlook="fair")])
def test_what_is_no_content_does_not_move_the_answer(frame: bytes) -> None:
    assert StreamProgress().see(frame) is False


def test_an_error_event_is_no_end() -> None:
    progress = StreamProgress()

    progress.see(event("error", error={"type": "overloaded_error", "message": "Busy"}))

    assert progress.error == {"type": "overloaded_error", "message": "Busy"}
    assert not progress.stopped


def test_a_cut_answer_is_charged_for_what_has_come() -> None:
    progress = StreamProgress()
    progress.see(START)
    for _ in range(10):
        progress.see(delta("x" * 400))

    assert 900 <= progress.estimated_output_tokens() <= 1100


def test_a_delta_in_another_form_counts_as_well() -> None:
    progress = StreamProgress()

    for frame in (
        b'event:content_block_delta\r\ndata:{"type":"content_block_delta"}\r\n\r\n',
        b'id: 4\nevent: content_block_delta\ndata: {"type":"content_block_delta"}\n\n',
        b'event: content_block_delta\ndata: {"type":\ndata: "content_block_delta"}\n\n',
        b'event: content_block_delta\ndata:  {"a": 1}\n\n',
    ):
        assert progress.see(frame)

    assert progress.content_events == 4


@pytest.mark.parametrize(
    "data", [b"{", b'{"a": 1', b"[]", b"7", b"", b'{"a": "\xff"}', b'{"a": 1} {"b": 2}', b"[" * 100_000]
)
@pytest.mark.parametrize("name", [b"content_block_delta", b"message_start", b"message_stop", b"content_block_stop"])
def test_an_event_without_an_object_in_it_is_told(name: bytes, data: bytes) -> None:
    with pytest.raises(NotAnEvent):
        StreamProgress().see(b"event: " + name + b"\ndata: " + data + b"\n\n")


@pytest.mark.parametrize("value", ["x", 7, ["x"], True])
def test_a_delta_of_the_message_that_is_no_object_is_told(value: object) -> None:
    with pytest.raises(NotAnEvent):
        StreamProgress().see(event("message_delta", delta=value))


@pytest.mark.parametrize("fields", [{}, {"delta": None}, {"delta": {}}, {"delta": {"stop_reason": {"a": 1}}}])
def test_a_message_may_change_without_a_reason_to_stop(fields: dict[str, Any]) -> None:
    progress = StreamProgress()

    assert progress.see(event("message_delta", **fields))
    assert progress.stop_reason is None


def test_data_without_a_name_is_told() -> None:
    with pytest.raises(NotAnEvent):
        StreamProgress().see(b"data: {}\n\n")
