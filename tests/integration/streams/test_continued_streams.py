"""Answers that were cut and go on, where the client has asked for that."""

from __future__ import annotations

import json

import pytest

from simulator.client import Break, Refuse, Reply
from tests.integration.streams.door import PARAMS, StreamDoor, events_of, ids_of, mark_of, numbered, text_of

STREAM = {**PARAMS, "stream": True}


def test_a_cut_answer_goes_on_where_the_client_asked_for_it(kept: StreamDoor) -> None:
    kept.simulator.answer(Reply(text="One two three four five six."), times=1)
    kept.simulator.answer(Reply(text=" And so on."))
    kept.simulator.fail(Break(how="reset", after_events=7), times=1)

    response = kept.post(STREAM, {"sluice-continue": "true"})

    events = events_of(response.content)
    names = [event.name for event in events]
    mark = next(event for event in events if mark_of(event))
    assert ids_of(events) == numbered(len(events))
    assert mark_of(mark)["reason"] == "connection_cut"
    assert mark_of(mark)["after"] == int(mark.id or 0) - 1
    assert text_of(events) == "One two three four And so on."
    assert [names.count(name) for name in ("message_start", "content_block_start", "content_block_stop")] == [1, 1, 1]
    second = json.loads(kept.simulator.requests("messages")[-1].body or "")["messages"]
    assert second[-2] == {"role": "assistant", "content": "One two three four"}
    assert second[-1]["role"] == "user"
    assert "One two three four" in second[-1]["content"]
    line = kept.log_line(response)
    assert (line["outcome"], line["continuations"], line["tries"]) == ("succeeded", 1, 2)


def test_an_error_of_claudes_that_passes_is_continued_and_not_shown(kept: StreamDoor) -> None:
    kept.simulator.fail(Break(how="error_event", after_events=7), times=1)

    events = events_of(kept.post(STREAM, {"sluice-continue": "true"}).content)
    names = [event.name for event in events]

    assert "error" not in names
    assert any(mark_of(event) for event in events)
    assert names[-1] == "message_stop"


def test_an_answer_cut_before_its_first_text_is_asked_for_again(kept: StreamDoor) -> None:
    kept.simulator.fail(Break(how="reset", after_events=2), times=1)

    events = events_of(kept.post(STREAM, {"sluice-continue": "true"}).content)

    first, second = (json.loads(call.body or "") for call in kept.simulator.requests("messages"))
    assert first["messages"] == second["messages"]
    assert [event.name for event in events].count("message_start") == 1
    assert events[-1].name == "message_stop"


def test_an_answer_that_is_cut_again_and_again_ends_in_an_error(kept: StreamDoor) -> None:
    kept.simulator.fail(Break(how="reset", after_events=7))

    events = events_of(kept.post(STREAM, {"sluice-continue": "true"}).content)

    assert sum(1 for event in events if mark_of(event)) == 3
    assert events[-1].name == "error"


@pytest.mark.parametrize(
    "reply", [Reply(thinking="I think about this for long"), Reply(text="Hm.", tool="look_up", input={"q": "x" * 99})]
)
def test_thinking_and_tool_use_are_not_made_up(kept: StreamDoor, reply: Reply) -> None:
    kept.simulator.answer(reply)
    kept.simulator.fail(Break(how="reset", after_events=7 if reply.tool else 5), times=1)

    events = events_of(kept.post(STREAM, {"sluice-continue": "true"}).content)

    assert events[-1].decode()["error"]["details"]["error_code"] == "not_continuable"
    assert len(kept.simulator.requests("messages")) == 1


def test_a_continuation_that_claude_refuses_is_a_typed_error(kept: StreamDoor) -> None:
    kept.simulator.fail(Break(how="reset", after_events=7), times=1)
    kept.simulator.fail(Refuse(status=400), skip=1)

    events = events_of(kept.post(STREAM, {"sluice-continue": "true"}).content)

    assert events[-1].decode()["error"]["type"] == "invalid_request_error"
