"""Taking up an answer that was cut: what is asked, and how the rest follows on."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sluice.claude.events import Event, parse_frame
from sluice.streams.errors import StreamCut
from sluice.streams.resumable.continuation import (
    PartialAnswer,
    Splice,
    continued_mark,
    ending_frames,
    last_event,
    last_id,
)

PARAMS = {"model": "m", "max_tokens": 10, "messages": [{"role": "user", "content": "Hi"}]}


def frame(name: str, **fields: Any) -> bytes:
    return f"event: {name}\ndata: {json.dumps({'type': name, **fields})}\n\n".encode()


def block(index: int, kind: str, *texts: str, complete: bool = True) -> list[bytes]:
    field = {"text": "text", "thinking": "thinking", "tool_use": "partial_json"}[kind]
    delta = {"text": "text_delta", "thinking": "thinking_delta", "tool_use": "input_json_delta"}[kind]
    frames = [frame("content_block_start", index=index, content_block={"type": kind})]
    frames += [frame("content_block_delta", index=index, delta={"type": delta, field: text}) for text in texts]
    return frames + ([frame("content_block_stop", index=index)] if complete else [])


START = frame("message_start", message={})
END = [frame("message_delta", delta={"stop_reason": "end_turn"}), frame("message_stop")]


def read(frames: list[bytes]) -> list[Event]:
    return [event for each in frames if (event := parse_frame(each)) is not None]


def assemble(frames: list[bytes]) -> list[tuple[str, str]]:
    """Build the blocks as a client does, and check that the events are in order."""
    blocks: list[list[str]] = []
    is_open = False
    for event in read(frames):
        data = event.decode()
        if event.name == "content_block_start":
            assert not is_open
            assert data["index"] == len(blocks)
            blocks.append([data["content_block"]["type"], ""])
            is_open = True
        elif event.name == "content_block_delta":
            assert is_open
            assert data["index"] == len(blocks) - 1
            blocks[-1][1] += data["delta"].get("text") or data["delta"].get("thinking") or ""
        elif event.name == "content_block_stop":
            assert is_open
            assert data["index"] == len(blocks) - 1
            is_open = False
    assert not is_open
    return [(kind, text) for kind, text in blocks]


def join(before: list[bytes], after: list[bytes]) -> list[bytes]:
    splice = Splice(PartialAnswer.of_frames(before))
    return before + [joined for each in after for joined in splice.join([each])]


def test_text_goes_on_in_the_block_that_was_open() -> None:
    before = [START, *block(0, "text", "One ", "two", complete=False)]

    joined = join(before, [START, *block(0, "text", " three"), *END])

    assert assemble(joined) == [("text", "One two three")]
    assert [event.name for event in read(joined)].count("message_start") == 1


def test_text_behind_a_complete_block_is_a_new_block() -> None:
    joined = join([START, *block(0, "text", "One.")], [START, *block(0, "text", " Two."), *END])

    assert assemble(joined) == [("text", "One."), ("text", " Two.")]


def test_new_thinking_closes_the_text_that_was_open() -> None:
    before = [START, *block(0, "text", "One", complete=False)]

    joined = join(before, [START, *block(0, "thinking", "Hm"), *block(1, "text", " two"), *END])

    assert assemble(joined) == [("text", "One"), ("thinking", "Hm"), ("text", " two")]


def test_an_answer_that_had_not_begun_begins() -> None:
    joined = join([], [START, *block(0, "text", "All"), *END])

    assert read(joined)[0].name == "message_start"
    assert assemble(joined) == [("text", "All")]


def test_half_a_character_goes_on_as_it_came() -> None:
    before = [START, *block(0, "text", "One", complete=False)]

    joined = join(before, [START, *block(0, "thinking", "Hm"), *block(1, "text", "a\ud83d"), *END])

    assert read(joined)[-4].decode()["delta"]["text"] == "a\ud83d"


@pytest.mark.parametrize("field", ["delta", "content_block"])
def test_a_block_in_an_unknown_form_is_no_crash(field: str) -> None:
    odd = [frame(f"content_block_{name}", index="x", **{field: "x"}) for name in ("start", "delta", "stop")]

    assert len(join([START, *odd], [START, *odd])) == 7


def test_what_is_no_block_passes_as_it_is() -> None:
    ping = b'event: ping\ndata: {"type": "ping"}\n\n'
    unknown = b"event: message_weather\ndata: {}\n\n"

    assert Splice(PartialAnswer(started=True)).join([ping, unknown, END[0]]) == [ping, unknown, END[0]]


KINDS = st.sampled_from(["text", "thinking"])
TEXTS = st.lists(st.text(alphabet="ab \n", min_size=1, max_size=3), max_size=4)


@given(
    st.lists(st.tuples(KINDS, TEXTS), max_size=3), TEXTS, st.booleans(), st.lists(st.tuples(KINDS, TEXTS), max_size=3)
)
@settings(max_examples=150)
def test_two_parts_make_one_answer_wherever_it_was_cut(
    earlier: list[tuple[str, list[str]]], last: list[str], complete: bool, later: list[tuple[str, list[str]]]
) -> None:
    blocks = [*earlier, ("text", last)]
    before = [START]
    for index, (kind, texts) in enumerate(blocks):
        before += block(index, kind, *texts, complete=complete or index < len(blocks) - 1)
    after = [START]
    for index, (kind, texts) in enumerate([*later, ("text", ["end"])]):
        after += block(index, kind, *texts)

    parts = assemble(join(before, [*after, *END]))

    written = [(kind, "".join(texts)) for kind, texts in [*blocks, *later, ("text", ["end"])]]
    assert "".join(text for _, text in parts) == "".join(text for _, text in written)


def test_the_rest_is_asked_for_by_a_user_who_quotes_the_end() -> None:
    text = "".join(f"sentence {number}. " for number in range(100))
    partial = PartialAnswer.of_frames([START, *block(0, "text", text, complete=False)])

    turns = partial.continued_params(PARAMS)["messages"]

    assert turns[:-2] == PARAMS["messages"]
    assert turns[-2] == {"role": "assistant", "content": text.rstrip()}
    assert turns[-1]["role"] == "user"
    assert text.rstrip()[-100:] in turns[-1]["content"]
    assert len(turns[-1]["content"]) < 1000


@pytest.mark.parametrize("before", [[], [START], [START, *block(0, "text", "  \n", complete=False)]])
def test_where_there_is_no_text_yet_the_same_is_asked_again(before: list[bytes]) -> None:
    partial = PartialAnswer.of_frames(before)

    partial.check_continuable()
    assert partial.continued_params(PARAMS) == PARAMS


@pytest.mark.parametrize(
    "before",
    [
        block(0, "thinking", "Hm", complete=False),
        block(0, "thinking", "Hm"),
        [*block(0, "text", "Look"), *block(1, "tool_use", "{", complete=False)],
        [*block(0, "text", "Look"), *block(1, "tool_use", "{}")],
        [*block(0, "text", "Look"), *block(1, "tool_use", "{}"), *block(2, "text", "more")],
    ],
)
def test_thinking_and_tool_use_are_not_made_up(before: list[bytes]) -> None:
    with pytest.raises(StreamCut) as cut:
        PartialAnswer.of_frames([START, *before]).check_continuable()

    assert cut.value.code == "not_continuable"
    assert not cut.value.retryable


def test_text_behind_complete_thinking_can_be_taken_up() -> None:
    PartialAnswer.of_frames(
        [START, *block(0, "thinking", "Hm"), *block(1, "text", "So", complete=False)]
    ).check_continuable()


def test_an_answer_that_lacks_only_its_last_event_gets_it() -> None:
    partial = PartialAnswer.of_frames([START, *block(0, "text", "All"), END[0]])

    assert [event.name for event in read(ending_frames(partial))] == ["message_stop"]
    assert ending_frames(PartialAnswer()) == []


def test_a_mark_and_ids_in_the_log_change_nothing() -> None:
    frames = [START, *block(0, "text", "One", complete=False), continued_mark("s", 3, "stalled")]
    numbered = [b"id: %d\n%b" % (number, each) for number, each in enumerate(frames)]

    assert PartialAnswer.of_frames(numbered).text == "One"


@pytest.mark.parametrize(
    ("last", "expected"),
    [
        (b"id: 4\n: keep-alive\n\n", 4),
        (b"id: 4\nid: of-the-gateway\nevent: ping\ndata: {}\n\n", 4),
        (b"id: 4\nid: 77\nevent: ping\ndata: {}\n\n", 4),
        (b"id: of-the-gateway\nevent: ping\ndata: {}\n\n", 3),
    ],
)
def test_the_last_id_is_the_one_that_the_keeper_gave(last: bytes, expected: int) -> None:
    assert last_id([b"id: 3\n" + START, last]) == expected


def test_where_nothing_is_kept_there_is_no_last_id_and_no_last_event() -> None:
    assert last_id([]) == 0
    assert last_event([]) is None


def test_a_comment_is_not_the_last_event() -> None:
    event = last_event([b"id: 3\n" + END[1], b"id: 4\n: keep-alive\n\n"])

    assert event is not None
    assert event.name == "message_stop"
