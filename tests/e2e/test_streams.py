"""The streaming door of the deployed stack, as SDKs, people and impatient clients use it."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterator
from typing import Any

import anthropic
import httpx2
import pytest

from simulator.client import Break, Match, Refuse, Reply, Simulator
from sluice.access.keys import KeyText
from sluice.access.usage import MonthlyUsage, month_of, read_usage
from tests.e2e.doors import Doors, wait_until

pytestmark = pytest.mark.usefixtures("simulator")

MODEL = "claude-haiku-5-5"
QUESTION: Any = {"role": "user", "content": "Why is the sky blue?"}
PARAMS: dict[str, Any] = {"model": MODEL, "max_tokens": 2000, "messages": [QUESTION]}
WORDS = " ".join(f"word{number}" for number in range(150))


@pytest.fixture(scope="module")
def sdk(doors: Doors) -> Iterator[anthropic.Anthropic]:
    facts = doors.stack.facts
    with anthropic.Anthropic(base_url=facts.stream_url, api_key=facts.client_key, max_retries=0) as client:
        yield client


def events_of(lines: Iterator[str], most: int | None = None) -> list[dict[str, Any]]:
    """Read server-sent events: their data, with the field ``id`` as "event_id"; so many at most."""
    events: list[dict[str, Any]] = []
    event_id = None
    for line in lines:
        if line.startswith("id:"):
            event_id = int(line[3:])
        elif line.startswith("data:"):
            events.append({**json.loads(line[5:]), "event_id": event_id})
            if len(events) == most:
                break
    return events


def text_of(events: list[dict[str, Any]]) -> str:
    return "".join(event["delta"].get("text", "") for event in events if event["type"] == "content_block_delta")


def test_an_sdk_streams_by_its_base_url_alone(sdk: anthropic.Anthropic) -> None:
    with sdk.messages.stream(**PARAMS) as stream:
        text = "".join(stream.text_stream)
        final = stream.get_final_message()
    assert "sky" in text
    assert final.content[0].type == "text"
    assert final.content[0].text == text
    assert (final.stop_reason, final.model) == ("end_turn", MODEL)


def test_an_sdk_does_without_streaming_what_it_does_at_claude(sdk: anthropic.Anthropic) -> None:
    message = sdk.messages.create(**PARAMS)
    assert message.content[0].type == "text"
    assert sdk.messages.count_tokens(model=MODEL, messages=[QUESTION]).input_tokens == message.usage.input_tokens
    assert MODEL in [model.id for model in sdk.models.list()]
    assert sdk.models.retrieve(MODEL).id == MODEL


def test_events_pass_while_claude_still_writes_and_a_lease_that_is_not_renewed_ends_the_call(
    doors: Doors, simulator: Simulator
) -> None:
    simulator.fail(Break(how="stall", after_events=6, seconds=None, ping_seconds=1), Match(operation="messages"))
    after = simulator.requests()[-1].number
    with doors.streams.stream(
        "POST", "/v1/messages", headers={"sluice-lease": "5"}, json={**PARAMS, "stream": True}
    ) as answer:
        events = events_of(answer.iter_lines(), most=6)
        [call] = simulator.requests("messages", after=after)
        assert call.is_open
    assert events[0]["type"] == "message_start"
    assert events[-1]["type"] == "content_block_delta"
    wait_until(lambda: simulator.requests("messages", after=after)[0].disconnected_at, "the end of the call", 20)


def test_a_person_with_curl_reads_text(doors: Doors, simulator: Simulator) -> None:
    simulator.answer(Reply(text="Because of Rayleigh."), Match(prompt="sky"))
    answer = doors.streams.post(
        "/v1/messages", headers={"accept": "text/plain"}, json={"prompt": "Why is the sky blue?"}
    )
    assert answer.headers["content-type"] == "text/plain; charset=utf-8"
    assert answer.text.rstrip("\n") == "Because of Rayleigh."


def test_a_stream_that_is_cut_ends_in_an_error_that_says_so(
    doors: Doors, simulator: Simulator, sdk: anthropic.Anthropic
) -> None:
    simulator.fail(Break(how="close", after_events=5), Match(operation="messages"))
    with doors.streams.stream("POST", "/v1/messages", json={**PARAMS, "stream": True}) as answer:
        events = events_of(answer.iter_lines())
    assert answer.status_code == 200
    assert events[-1]["type"] == "error"
    assert events[-1]["error"]["details"]["error_code"] == "connection_cut"
    assert "message_stop" not in [event["type"] for event in events]
    with pytest.raises(anthropic.APIStatusError), sdk.messages.stream(**PARAMS) as stream:
        stream.until_done()


def test_the_text_of_a_person_is_not_silently_cut(doors: Doors, simulator: Simulator) -> None:
    simulator.fail(Break(how="end", after_events=7), Match(operation="messages"))
    answer = doors.streams.post("/v1/messages", headers={"accept": "text/plain"}, json={"prompt": "Why?"})
    assert re.search(r"\[.*(cut|ended|end).*\]", answer.text.splitlines()[-1]), answer.text


def test_a_passing_failure_before_the_first_byte_is_not_seen(simulator: Simulator, sdk: anthropic.Anthropic) -> None:
    simulator.fail(Refuse(status=529), Match(operation="messages"), times=1)
    assert sdk.messages.create(**PARAMS).stop_reason == "end_turn"


def test_a_lasting_refusal_reaches_the_sdk_as_claude_said_it(simulator: Simulator, sdk: anthropic.Anthropic) -> None:
    refusal = Refuse(status=429, headers={"retry-after": "77"}, message="Number of requests has exceeded your limit")
    simulator.fail(refusal, Match(operation="messages"))
    with pytest.raises(anthropic.RateLimitError, match="has exceeded your limit") as refused:
        sdk.messages.create(**PARAMS)
    assert refused.value.response.headers["retry-after"] == "77"


@pytest.mark.parametrize(
    ("method", "path", "body", "status", "says"),
    [
        ("POST", "/v1/messages", b'{"model": ', 400, "not valid JSON"),
        ("POST", "/v1/messages", b"", 400, "The body is empty"),
        ("POST", "/v1/messages", b'"text"', 400, "has to be a JSON object"),
        ("POST", "/v1/complete", b"{}", 404, "Text completions are not offered; ask POST /v1/messages"),
        ("GET", "/v1/messages", b"", 405, "takes POST, not GET"),
        ("GET", "/v1/streams/stream_unknown", b"", 404, "There is no stream stream_unknown"),
        ("GET", "/", b"", 404, "There is nothing at /."),
    ],
)
def test_what_cannot_be_answered_is_explained_in_the_shape_of_the_api(
    doors: Doors, method: str, path: str, body: bytes, status: int, says: str
) -> None:
    answer = doors.streams.request(method, path, content=body)
    assert answer.status_code == status, answer.text
    error = answer.json()
    assert (error["type"], bool(error["request_id"])) == ("error", True)
    assert re.search(says, error["error"]["message"]), error


@pytest.mark.parametrize("key", ["", "sk-ant-api03-something", "sk-sluice-abcdefgh-" + "x" * 43])
def test_a_wrong_key_is_told_how_to_send_a_right_one(doors: Doors, key: str) -> None:
    headers = {"authorization": f"Bearer {key}"} if key else {}
    with httpx2.Client(base_url=doors.stack.facts.stream_url, headers=headers, trust_env=False) as client:
        answer = client.post("/v1/messages", json=PARAMS)
    assert answer.status_code == 401
    assert answer.json()["error"]["type"] == "authentication_error"
    assert 'Send it as "x-api-key: sk-sluice-' in answer.json()["error"]["message"]
    assert not key or key not in answer.text


def test_a_key_is_held_to_its_models(doors: Doors) -> None:
    key = doors.make_key("one model", models=("claude-opus-*",))
    answer = doors.streams.post("/v1/messages", headers={"x-api-key": key.text}, json=PARAMS)
    assert answer.status_code == 403
    message = "The key 'one model' may not use the model 'claude-haiku-5-5'. It may use: claude-opus-*."
    assert answer.json()["error"]["message"] == message


def usage_of(doors: Doors, key: KeyText) -> MonthlyUsage:
    return read_usage(doors.table, key.id, month_of(time.time()))


def test_what_a_key_uses_is_accounted_for(doors: Doors, simulator: Simulator) -> None:
    key = doors.make_key("counted")
    with anthropic.Anthropic(base_url=doors.stack.facts.stream_url, api_key=key.text) as client:
        usage = [client.messages.create(**PARAMS).usage]
        with client.messages.stream(**PARAMS) as stream:
            usage.append(stream.get_final_message().usage)
        simulator.fail(Break(how="close", after_events=5), Match(operation="messages"))
        with pytest.raises(anthropic.APIStatusError), client.messages.stream(**PARAMS) as stream:
            stream.until_done()
    wait_until(lambda: usage_of(doors, key).failed, "the account of the third answer")
    used = usage_of(doors, key)
    assert (used.succeeded, used.failed) == (2, 1)
    assert used.output_tokens >= sum(each.output_tokens for each in usage)
    assert used.input_tokens == 3 * usage[0].input_tokens
    assert used.cost > 0


def test_a_client_that_left_a_kept_stream_gets_the_rest_once_and_whole(doors: Doors, simulator: Simulator) -> None:
    simulator.answer(Reply(text=WORDS, events_per_second=60), Match(prompt="sky"))
    after = simulator.requests()[-1].number
    body = {**PARAMS, "stream": True}
    with doors.streams.stream("POST", "/v1/messages", headers={"sluice-keep": "true"}, json=body) as answer:
        stream_id = answer.headers["sluice-stream-id"]
        seen = events_of(answer.iter_lines(), most=10)
    stranger = doors.make_key("stranger").text
    assert doors.streams.get(f"/v1/streams/{stream_id}", headers={"x-api-key": stranger}).status_code == 404
    last = {"last-event-id": str(seen[-1]["event_id"])}
    with doors.streams.stream("GET", f"/v1/streams/{stream_id}", headers=last) as answer:
        rest = [event for event in events_of(answer.iter_lines()) if event["type"] != "ping"]
    ids = [event["event_id"] for event in seen + rest]
    assert sorted(set(ids)) == ids
    assert rest[-1]["type"] == "message_stop"
    assert text_of(seen + rest) == WORDS
    assert len(simulator.requests("messages", after=after)) == 1


def test_a_kept_stream_can_be_stopped(doors: Doors, simulator: Simulator) -> None:
    simulator.answer(Reply(text=WORDS, events_per_second=5), Match(prompt="sky"))
    with doors.streams.stream(
        "POST", "/v1/messages", headers={"sluice-keep": "true"}, json={**PARAMS, "stream": True}
    ) as answer:
        lines = answer.iter_lines()
        events_of(lines, most=4)
        stopped = doors.streams.delete(f"/v1/streams/{answer.headers['sluice-stream-id']}")
        assert (stopped.status_code, stopped.json()["status"]) == (200, "stopped")
        rest = events_of(lines)
    assert rest[-1]["error"]["details"]["error_code"] == "stream_stopped"


def test_a_revoked_key_stops_within_a_minute(doors: Doors, revoked_key: str) -> None:
    headers = {"x-api-key": revoked_key}

    def is_refused() -> bool:
        answers = [doors.streams.get("/v1/models", headers=headers), doors.api.get("/v1/tasks", headers=headers)]
        # Asked too often with a wrong key, a door says 429.
        return all(answer.status_code in (401, 429) for answer in answers)

    wait_until(is_refused, "both doors to refuse the key", 70, pause=1)
