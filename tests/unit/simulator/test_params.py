import json
from typing import Any

import pytest

from simulator.errors import ApiError
from simulator.params import read_message, read_tokens

OLD, NEW = "2023-06-01", "2026-10-21"
TURN = {"role": "user", "content": "Hello"}
CLOSED = {"type": "object", "properties": {"type": {"type": "string"}}, "additionalProperties": False}
OPEN = {**CLOSED, "properties": {"parts": {"type": "array", "items": {"type": "object"}}}}
CACHED = {"type": "text", "text": "x", "cache_control": {"type": "ephemeral"}}
GOOD: dict[str, Any] = {"model": "claude-sonnet-5", "max_tokens": 100, "messages": [TURN]}


def body(**changes: Any) -> bytes:
    return json.dumps({name: value for name, value in {**GOOD, **changes}.items() if value is not ...}).encode()


def refusal(raw: bytes, version: str = NEW, *, batched: bool = False) -> tuple[int, str]:
    with pytest.raises(ApiError) as caught:
        read_message(raw, version, batched=batched)
    return caught.value.status, caught.value.message


def test_good_parameters_are_read() -> None:
    form = {"format": {"type": "json_schema", "schema": CLOSED}}
    params = read_message(body(system="Be brief", stream=True, metadata={"user_id": "u"}, output_config=form), NEW)
    assert (params.model, params.max_tokens, params.system, params.stream) == ("claude-sonnet-5", 100, "Be brief", True)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"model": ...}, "model: Field required"),
        ({"max_tokens": ...}, "max_tokens: Field required"),
        ({"max_tokens": "many"}, "max_tokens: Expected `int`, got `str`"),
        ({"max_tokens": -1}, "max_tokens: must be greater than or equal to 0"),
        ({"max_tokens": 10**7}, "max_tokens: 10000000 > 128000"),
        ({"output_config": {"format": {"type": "json_schema", "schema": OPEN}}}, "output_config.format.schema: For"),
        ({"messages": []}, "messages: Expected `array` of length >= 1"),
        ({"messages": [{"role": "robot", "content": "x"}]}, "messages.0.role: Invalid enum value"),
        ({"messages": [{"role": "user", "content": ""}]}, "messages.0: all messages must have non-empty content"),
        (
            {"messages": [{"role": "user", "content": [{"type": "text", "text": ""}]}]},
            "messages.0: text content blocks must be non-empty",
        ),
        ({"messages": [{"role": "assistant", "content": "x"}, TURN]}, "messages: first message must use the user role"),
        (
            {"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {}}]}]},
            "messages.0.content.0: Input tag 'image_url' found",
        ),
        ({"messages": [{"role": "user", "content": [{"type": "image"}]}]}, "messages.0.content.0.image.source: Field"),
        ({"messages": [{"role": "tool", "content": "x"}, TURN]}, "messages.0.role: Invalid enum value"),
        ({"messages": [{**TURN, "name": "Ann"}]}, "messages.0.name: Extra inputs"),
        ({"system": [CACHED] * 5}, "A maximum of 4 blocks with cache_control may be provided. Found 5."),
        ({"output_config": {"effort": "enormous"}}, "output_config.effort: Invalid enum value"),
        ({"anthropic_version": "2023-06-01"}, "anthropic_version: Extra inputs are not permitted"),
        ({"colour": "red"}, "colour: Extra inputs are not permitted"),
        ({"thinking": {"type": "enabled", "budget_tokens": 10}}, "thinking.enabled.budget_tokens: Input should be"),
        ({"thinking": {"type": "enabled", "budget_tokens": 2000}}, "`max_tokens` must be greater than"),
        ({"tools": [{"name": "t"}]}, "tools.0.custom.input_schema: Field required"),
        ({"tools": [{"name": "t", "input_schema": {}}] * 2}, "tools: Tool names must be unique."),
        ({"tool_choice": {"type": "any"}}, "tool_choice: tools must be given"),
        (
            {"tools": [{"name": "t", "input_schema": {}}], "tool_choice": {"type": "tool", "name": "u"}},
            "tool_choice: Tool 'u' not found",
        ),
    ],
)
def test_wrong_parameters_are_refused_with_the_place(changes: dict[str, Any], message: str) -> None:
    status, text = refusal(body(**changes))
    assert status == 400
    assert text.startswith(message)


@pytest.mark.parametrize("raw", [b"", b"{", b"\xff\xfe", b'{"model": "caf\xc3"}'])
def test_what_is_not_json_is_refused(raw: bytes) -> None:
    assert refusal(raw) == (400, "The request body is not valid JSON.")


@pytest.mark.parametrize("model", ["claude-sonnet-4-20250514", "claude-sonnet-4-0", "gpt-4"])
def test_a_retired_or_unknown_model_is_not_found(model: str) -> None:
    assert refusal(body(model=model)) == (404, f"model: {model}")


def test_a_deprecated_model_still_answers() -> None:
    assert read_message(body(model="claude-sonnet-4-5"), NEW).model == "claude-sonnet-4-5"


@pytest.mark.parametrize(("name", "value"), [("temperature", 0.5), ("top_p", 0.9), ("top_k", 5), ("temperature", None)])
def test_sampling_parameters_are_refused_on_the_new_version_only(name: str, value: float | None) -> None:
    status, message = refusal(body(**{name: value}))
    assert (status, message.partition(":")[0]) == (400, name)
    assert read_message(body(**{name: value}), OLD)


@pytest.mark.parametrize("value", [-0.1, 1.1])
def test_sampling_has_a_range(value: float) -> None:
    assert refusal(body(temperature=value), OLD) == (400, "temperature: range: 0..1")


def test_the_half_turn_of_a_server_tool_is_no_prefill() -> None:
    half = {"role": "assistant", "content": [{"type": "server_tool_use"}]}
    assert read_message(body(messages=[TURN, half], model="claude-opus-4-6"), NEW)


def test_prefill_is_refused_by_current_models_only() -> None:
    messages = [TURN, {"role": "assistant", "content": "The answer is"}]
    status, message = refusal(body(messages=messages, model="claude-opus-4-6"))
    assert (status, "prefill" in message) == (400, True)
    assert read_message(body(messages=messages, model="claude-haiku-4-5"), NEW)


@pytest.mark.parametrize(("name", "value"), [("stream", True), ("max_tokens", 0), ("speed", "fast")])
def test_what_batches_do_not_take_is_taken_by_messages(name: str, value: object) -> None:
    status, message = refusal(body(**{name: value}), batched=True)
    assert (status, message.partition(":")[0]) == (400, name)
    assert read_message(body(**{name: value}), NEW)


def test_tokens_are_counted_without_a_limit_on_the_output() -> None:
    assert read_tokens(body(max_tokens=...)).model == "claude-sonnet-5"
    with pytest.raises(ApiError, match="max_tokens: Extra inputs"):
        read_tokens(body())
