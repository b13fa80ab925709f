import time

import anthropic
import httpx2
import pytest
from anthropic.types import MessageParam, ToolParam

from simulator.client import Break, Match, Refuse, Reply, Simulator

MODEL = "claude-sonnet-5"
ASKED: list[MessageParam] = [{"role": "user", "content": "Tell me of the sea and the sky"}]
BODY = {"model": MODEL, "max_tokens": 100, "messages": ASKED}
WEATHER: ToolParam = {
    "name": "get_weather",
    "input_schema": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
}


def test_a_message_passes_the_types_of_the_sdk(claude: anthropic.Anthropic) -> None:
    message = claude.messages.create(model=MODEL, max_tokens=300, messages=ASKED)
    assert message.content[0].type == "text"
    assert "Tell me of the sea" in message.content[0].text
    assert message.usage.output_tokens <= 300


def test_a_stream_adds_up_to_the_message_that_is_not_streamed(claude: anthropic.Anthropic) -> None:
    plain = claude.messages.create(model=MODEL, max_tokens=300, messages=ASKED)
    with claude.messages.stream(model=MODEL, max_tokens=300, messages=ASKED) as stream:
        text = "".join(stream.text_stream)
        streamed = stream.get_final_message()
    assert plain.content[0].type == streamed.content[0].type == "text"
    assert plain.content[0].text == streamed.content[0].text == text
    assert plain.usage.output_tokens == streamed.usage.output_tokens


def test_thinking_and_tool_use_are_streamed(claude: anthropic.Anthropic) -> None:
    with claude.messages.stream(
        model=MODEL, max_tokens=3000, messages=ASKED, tools=[WEATHER], thinking={"type": "adaptive"}
    ) as stream:
        kinds = [event.type for event in stream]
        message = stream.get_final_message()
    assert [block.type for block in message.content] == ["thinking", "text", "tool_use"]
    assert message.stop_reason == "tool_use"
    tool_use = message.content[2]
    assert tool_use.type == "tool_use"
    assert isinstance(tool_use.input["city"], str)
    assert {"thinking", "signature", "input_json", "text"} <= set(kinds)


def test_citations_are_streamed(claude: anthropic.Anthropic) -> None:
    with claude.messages.stream(
        model=MODEL,
        max_tokens=300,
        messages=[
            {
                "role": "user",
                "content": [
                    {
                        "type": "document",
                        "source": {"type": "text", "media_type": "text/plain", "data": "The sea is wide."},
                        "citations": {"enabled": True},
                    },
                    {"type": "text", "text": "How wide?"},
                ],
            }
        ],
    ) as stream:
        message = stream.get_final_message()
    assert message.content[0].type == "text"
    assert message.content[0].citations
    assert message.content[0].citations[0].cited_text == "The sea is wide."


def test_unknown_events_and_pings_are_streamed_on_request(simulator: Simulator, http: httpx2.Client) -> None:
    simulator.answer(Reply(words=10, pings=2, unknown_events=True))
    text = http.post("/v1/messages", json={**BODY, "stream": True}).text
    assert text.count("event: ping") == 6
    assert "event: message_weather" in text
    assert '"emphasis_delta"' in text


def test_the_sdk_gets_over_unknown_events(simulator: Simulator) -> None:
    simulator.answer(Reply(text="Still here.", unknown_events=True))
    with anthropic.Anthropic(base_url=simulator.base_url, api_key="k", max_retries=0) as claude:
        stream = claude.messages.create(model=MODEL, max_tokens=100, messages=ASKED, stream=True)
        kinds = [event.type for event in stream]
    assert kinds[-1] == "message_stop"


def test_tokens_are_counted(claude: anthropic.Anthropic) -> None:
    short = claude.messages.count_tokens(model=MODEL, messages=ASKED).input_tokens
    long = claude.messages.count_tokens(model=MODEL, messages=ASKED, system="Be brief. " * 100).input_tokens
    assert 0 < short < long
    assert claude.messages.create(model=MODEL, max_tokens=9, messages=ASKED).usage.input_tokens == short


def test_models_are_listed_and_found(claude: anthropic.Anthropic) -> None:
    models = {model.id: model for model in claude.models.list(limit=3)}
    assert models["claude-sonnet-4-20250514"].lifecycle == "retired"
    model = claude.models.retrieve("claude-sonnet-4-5")
    assert (model.lifecycle, model.retires_at is None) == ("deprecated", False)
    assert claude.models.retrieve(MODEL).capabilities
    with pytest.raises(anthropic.NotFoundError):
        claude.models.retrieve("claude-unheard-of")


def test_answers_carry_the_headers_of_the_api(http: httpx2.Client) -> None:
    headers = http.post("/v1/messages", json=BODY).headers
    assert headers["request-id"].startswith("req_")
    assert headers["anthropic-organization-id"]
    assert int(headers["anthropic-ratelimit-requests-remaining"]) < int(headers["anthropic-ratelimit-requests-limit"])


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"anthropic-version": "2023-06-01"}, 401),
        ({"anthropic-version": "2023-06-01", "x-api-key": ""}, 401),
        ({"anthropic-version": "2023-06-01", "authorization": "Basic abc"}, 401),
        ({"x-api-key": "k"}, 400),
        ({"x-api-key": "k", "anthropic-version": "1999-01-01"}, 400),
        ({"x-api-key": "k", "anthropic-version": "2023-06-01"}, 200),
        ({"authorization": "Bearer k", "anthropic-version": "2026-10-21"}, 200),
    ],
)
def test_a_key_and_a_version_are_required(simulator: Simulator, headers: dict[str, str], status: int) -> None:
    response = httpx2.post(f"{simulator.base_url}/v1/messages", json=BODY, headers=headers)
    assert response.status_code == status
    assert simulator.requests()[-1].status == status


@pytest.mark.parametrize(
    ("method", "path", "status"), [("GET", "/v1/complete", 404), ("GET", "/v1/messages", 405), ("PUT", "/", 404)]
)
def test_what_is_not_there_is_an_error_of_the_api(http: httpx2.Client, method: str, path: str, status: int) -> None:
    response = http.request(method, path)
    assert response.status_code == status
    assert response.json()["request_id"] == response.headers["request-id"]


def test_a_message_above_32_mb_is_too_large(http: httpx2.Client) -> None:
    large = {**BODY, "messages": [{"role": "user", "content": "x" * (32 * 1024 * 1024)}]}
    response = http.post("/v1/messages", json=large)
    assert response.status_code == 413
    assert response.json()["error"]["type"] == "request_too_large"


def test_what_was_asked_is_on_record_without_the_key(simulator: Simulator, http: httpx2.Client) -> None:
    http.post("/v1/messages?beta=true", json={**BODY, "stream": True}, headers={"anthropic-beta": "files-2026"})
    (call,) = simulator.requests("messages")
    assert (call.method, call.path, call.query, call.status, call.model) == (
        "POST",
        "/v1/messages",
        "beta=true",
        200,
        MODEL,
    )
    assert call.headers["anthropic-beta"] == "files-2026"
    assert simulator.api_key not in repr(call)
    assert call.body is not None
    assert "the sea" in call.body
    assert call.events > 5
    assert call.ended_at is not None
    assert call.disconnected_at is None


def test_a_client_that_leaves_is_on_record(simulator: Simulator, http: httpx2.Client) -> None:
    simulator.answer(Reply(words=1_000, events_per_second=100))
    with http.stream("POST", "/v1/messages", json={**BODY, "max_tokens": 9_000, "stream": True}) as response:
        pieces = response.iter_bytes()
        next(pieces)
        assert simulator.summary().open_calls == 1
    while simulator.summary().open_calls:
        time.sleep(0.01)
    (call,) = simulator.requests("messages")
    assert call.disconnected_at is not None
    assert call.ended_at is None
    assert 2 <= call.events < 1_000


def test_a_paced_stream_takes_its_time(simulator: Simulator, http: httpx2.Client) -> None:
    simulator.answer(Reply(words=5, events_per_second=50, first_event_seconds=0.3, stamped=True))
    response = http.post("/v1/messages", json={**BODY, "stream": True})
    assert response.elapsed.total_seconds() >= 0.3 + 5 / 50
    (call,) = simulator.requests("messages")
    assert call.events == 5 + 6


def test_twenty_thousand_events_come_whole(simulator: Simulator, http: httpx2.Client) -> None:
    simulator.answer(Reply(words=20_000))
    response = http.post("/v1/messages", json={**BODY, "max_tokens": 120_000, "stream": True})
    assert response.text.count("event: content_block_delta\n") == 20_000
    assert response.text.endswith('event: message_stop\ndata: {"type":"message_stop"}\n\n')


def test_a_marked_prompt_is_read_from_the_cache_the_second_time(claude: anthropic.Anthropic) -> None:
    usages = [
        claude.messages.create(
            model=MODEL,
            max_tokens=10,
            system=[{"type": "text", "text": "word " * 2_000, "cache_control": {"type": "ephemeral"}}],
            messages=ASKED,
        ).usage
        for _ in range(2)
    ]
    assert usages[0].cache_creation_input_tokens == usages[1].cache_read_input_tokens == 2_500


def test_a_scripted_answer_is_given_where_its_rule_matches(simulator: Simulator, claude: anthropic.Anthropic) -> None:
    simulator.answer(Reply(text="Salt."), Match(prompt="the sea"), times=1)
    texts = []
    for _ in range(2):
        block = claude.messages.create(model=MODEL, max_tokens=100, messages=ASKED).content[0]
        assert block.type == "text"
        texts.append(block.text)
    assert texts[0] == "Salt."
    assert texts[1] != "Salt."


def test_a_reset_forgets_scripts_and_records(simulator: Simulator, http: httpx2.Client) -> None:
    simulator.fail(Refuse(status=500))
    http.post("/v1/messages", json=BODY)
    simulator.set(events_per_second=5)
    simulator.reset()
    assert (simulator.requests(), simulator.faults()) == ([], [])
    assert simulator.set().events_per_second == 0
    assert http.post("/v1/messages", json=BODY).status_code == 200


def test_what_a_call_is_charged_for_is_on_record(claude: anthropic.Anthropic, simulator: Simulator) -> None:
    search = {"type": "web_search_20250305", "name": "web_search"}
    body = {"tools": [search], "speed": "fast", "inference_geo": "us"}
    message = claude.messages.create(model=MODEL, max_tokens=300, messages=ASKED, extra_body=body)
    (call,) = simulator.requests("messages")
    assert call.usage
    assert call.usage.output_tokens == message.usage.output_tokens
    assert (call.usage.speed, call.usage.inference_geo) == ("fast", "us")
    assert call.usage.server_tool_use
    assert call.usage.server_tool_use.web_search_requests == 1


def test_an_answer_that_is_broken_off_is_charged_for_as_far_as_it_was_written(
    claude: anthropic.Anthropic, simulator: Simulator
) -> None:
    simulator.answer(Reply(words=100))
    simulator.fail(Break(how="end", after_events=13))
    with claude.messages.stream(model=MODEL, max_tokens=300, messages=ASKED) as stream:
        text = "".join(stream.text_stream)
    (call,) = simulator.requests("messages")
    assert call.usage
    assert call.usage.output_tokens == -(-len(text) // 4)
    assert 0 < call.usage.output_tokens < 100
