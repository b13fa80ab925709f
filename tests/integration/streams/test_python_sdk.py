"""The door under Anthropic's own Python SDK, which knows nothing of it but its address."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Generator, Iterator
from typing import Any

import anthropic
import boto3
import httpx2
import pytest
from anthropic.types import ToolParam
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest

from simulator.client import API_KEY, Break, Match, Refuse, Reply, Simulator
from tests.integration.streams.door import MODEL, DoorMaker, StreamDoor

ASK: dict[str, Any] = {
    "model": MODEL,
    "max_tokens": 2000,
    "messages": [{"role": "user", "content": "The quick brown fox"}],
}
TOOL: ToolParam = {
    "name": "look_up",
    "description": "Looks something up",
    "input_schema": {"type": "object", "properties": {"word": {"type": "string"}}, "required": ["word"]},
}


@pytest.fixture
def client(stack: StreamDoor) -> Iterator[anthropic.Anthropic]:
    with anthropic.Anthropic(base_url=stack.url, api_key=stack.key, max_retries=0) as client:
        yield client


def test_create(client: anthropic.Anthropic) -> None:
    message = client.messages.create(**ASK)

    assert message.stop_reason == "end_turn"
    assert message._request_id


def test_create_as_a_stream(client: anthropic.Anthropic) -> None:
    events = list(client.messages.create(**ASK, stream=True))

    assert (events[0].type, events[-1].type) == ("message_start", "message_stop")


def test_the_stream_helper(client: anthropic.Anthropic) -> None:
    with client.messages.stream(**ASK) as stream:
        text = "".join(stream.text_stream)
        message = stream.get_final_message()

    assert text.startswith("You wrote 19 characters")
    assert message.content[0].type == "text"
    assert message.content[0].text == text
    assert message.usage.output_tokens > 1


def test_the_asynchronous_client(stack: StreamDoor) -> None:
    async def upstream_call() -> tuple[str, str]:
        async with anthropic.AsyncAnthropic(base_url=stack.url, api_key=stack.key) as client:
            async with client.messages.stream(**ASK) as stream:
                streamed = "".join([text async for text in stream.text_stream])
            whole = await client.messages.create(**ASK)
            assert whole.content[0].type == "text"
            return streamed, whole.content[0].text

    streamed, whole = asyncio.run(upstream_call())

    assert streamed == whole


def test_tool_use(client: anthropic.Anthropic) -> None:
    with client.messages.stream(**ASK, tools=[TOOL], tool_choice={"type": "tool", "name": "look_up"}) as stream:
        message = stream.get_final_message()

    assert message.stop_reason == "tool_use"
    assert message.content[-1].type == "tool_use"
    assert isinstance(message.content[-1].input["word"], str)


def test_thinking_with_its_signature(client: anthropic.Anthropic) -> None:
    with client.messages.stream(**ASK, thinking={"type": "enabled", "budget_tokens": 1024}) as stream:
        message = stream.get_final_message()

    assert message.content[0].type == "thinking"
    assert message.content[0].signature
    assert message.content[1].type == "text"


def test_counting_and_models(client: anthropic.Anthropic) -> None:
    count = client.messages.count_tokens(model=MODEL, messages=ASK["messages"])

    assert count.input_tokens > 0
    assert client.models.retrieve(MODEL).id == MODEL
    assert MODEL in [model.id for model in client.models.list(limit=5)]


def test_an_error_is_the_sdks_own(stack: StreamDoor, client: anthropic.Anthropic) -> None:
    stack.simulator.fail(Refuse(status=400, message="max_tokens: too many"), Match(operation="messages"))

    with pytest.raises(anthropic.BadRequestError, match="max_tokens: too many"):
        client.messages.create(**ASK)


def test_a_wrong_key_is_the_sdks_own_error(stack: StreamDoor) -> None:
    with (
        anthropic.Anthropic(base_url=stack.url, api_key="wrong", max_retries=0) as client,
        pytest.raises((anthropic.AuthenticationError, anthropic.RateLimitError)),
    ):
        client.messages.create(**ASK)


def test_a_cut_stream_raises_where_the_sdk_alone_would_see_a_good_end(
    stack: StreamDoor, client: anthropic.Anthropic
) -> None:
    stack.simulator.fail(Break(how="end", after_events=6))

    with (
        pytest.raises(anthropic.APIStatusError, match="ended the stream before"),
        client.messages.stream(**ASK) as stream,
    ):
        stream.get_final_message()


def test_a_continued_answer_is_one_message_to_the_sdk(stack: StreamDoor, client: anthropic.Anthropic) -> None:
    stack.simulator.answer(Reply(text="One two three four five six."), times=1)
    stack.simulator.answer(Reply(text=" And so on."))
    stack.simulator.fail(Break(how="reset", after_events=7), times=1)

    with client.messages.stream(**ASK, extra_headers={"sluice-continue": "true"}) as stream:
        message = stream.get_final_message()

    assert [block.type for block in message.content] == ["text"]
    assert message.content[0].type == "text"
    assert message.content[0].text == "One two three four And so on."
    assert message.stop_reason == "end_turn"


class LambdaAuth(httpx2.Auth):
    """Signs a request for a Function URL (AWS: Signature Version 4, service ``lambda``)."""

    requires_request_body = True

    def auth_flow(self, request: httpx2.Request) -> Generator[httpx2.Request, httpx2.Response, None]:
        headers = {"host": request.url.netloc.decode(), "content-type": "application/json"}
        signed = AWSRequest(request.method, str(request.url), data=request.content, headers=headers)
        credentials = boto3.Session().get_credentials()
        assert credentials is not None
        SigV4Auth(credentials, "lambda", "us-east-1").add_auth(signed)
        request.headers.update(dict(signed.headers.items()))
        yield request


def test_the_sdk_can_sign_for_iam(make_stack: DoorMaker, simulator: Simulator) -> None:
    with (
        make_stack(auth_mode="iam") as stack,
        httpx2.Client(auth=LambdaAuth(), verify=False) as http_client,
        anthropic.Anthropic(base_url=stack.url, api_key="unused", http_client=http_client) as client,
        client.messages.stream(**ASK) as stream,
    ):
        assert stream.get_final_message().stop_reason == "end_turn"

    call = simulator.requests("messages")[-1]
    assert call.key_sha256 == hashlib.sha256(API_KEY.encode()).hexdigest()
    assert not [name for name in call.headers if name.startswith("x-amz-")]
