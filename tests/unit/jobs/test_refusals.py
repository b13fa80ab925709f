"""What the API refuses for certain is found before it is sent, the same line by line as for whole blocks."""

from __future__ import annotations

import json
from typing import Any

import pytest

from simulator.errors import ApiError
from simulator.params import read_message
from sluice.claude.versions import version_for
from sluice.jobs.formats.check import BadLine, GoodLine, LineBlock, LineRules, check_block, check_line
from sluice.jobs.formats.refusals import takes_prefill
from sluice.jobs.formats.request_line import Defaults, KnownRefusal

MODEL = "claude-haiku-5-5"
RULES = LineRules(Defaults(), 100_000, lambda model, max_tokens: None)
NEWEST = LineRules(Defaults(), 100_000, lambda model, max_tokens: None, version="2026-10-21")
OLDER = LineRules(Defaults(), 100_000, lambda model, max_tokens: None, version="2023-06-01")
TOOL = {"name": "f", "description": "d", "input_schema": {"type": "object", "properties": {}}}
CACHED = {"type": "text", "text": "a", "cache_control": {"type": "ephemeral"}}
OPEN = {"type": "object", "properties": {"a": {"type": "string"}}}
LIMITED = {"a": {"type": "integer", "minimum": 1}}
MANY = {f"p{number}": {"type": "null"} for number in range(26)}
CLOSED = {**OPEN, "required": ["a"], "additionalProperties": False}


def line(**params: Any) -> bytes:
    values = {"model": MODEL, "max_tokens": 4000, "messages": [{"role": "user", "content": "Hi"}], **params}
    return json.dumps({"custom_id": "a", "params": values}).encode()


def said(text: bytes, rules: LineRules = RULES) -> str:
    """Return what is said of a line that is refused, empty where it runs; a block of it must not think otherwise."""
    found = check_line(1, 0, text, rules)
    run = check_block(LineBlock(0, 1, text + b"\n"), rules)
    assert (run is None) == isinstance(found, BadLine)
    if isinstance(found, GoodLine):
        assert run is not None
        assert run.appraisal == found.appraisal
        return ""
    assert isinstance(found.problem, KnownRefusal)
    return found.problem.reason


def turns(*contents: tuple[str, Any], **params: Any) -> bytes:
    return line(messages=[{"role": role, "content": content} for role, content in contents], **params)


def user(content: Any, role: str = "user") -> bytes:
    return line(messages=[{"role": role, "content": content}, {"role": "user", "content": "Hi"}])


def with_schema(schema: object) -> bytes:
    return line(output_config={"format": {"type": "json_schema", "schema": schema}})


TAKEN = [
    line(),
    line(system=[{**CACHED, "cache_control": {"type": "ephemeral", "ttl": "1h"}}]),
    line(thinking={"type": "adaptive"}),
    line(thinking={"type": "enabled", "budget_tokens": 2000}),
    with_schema(CLOSED),
    line(output_config={"effort": "low"}),
    line(tools=[{"type": "web_search_20250305", "name": "web_search", "max_uses": 3}]),
    line(tools=[TOOL], tool_choice={"type": "any"}),
    line(metadata={"user_id": "u1"}, service_tier="auto", stop_sequences=["x"]),
    line(mcp_servers=[{"type": "url", "url": "https://mcp.example.com", "name": "m"}]),
    line(inference_geo="us"),
    line(temperature=0),
    line(top_k=5),
    user("Be short.", "system"),
    user([{"type": "document", "source": {"type": "file", "file_id": "file_011"}}]),
    line(
        model="claude-opus-4-5",
        messages=[*json.loads(line())["params"]["messages"], {"role": "assistant", "content": "{"}],
    ),
    line(
        messages=[
            {"role": "user", "content": "Hi"},
            {"role": "assistant", "content": [{"type": "server_tool_use"}]},
        ]
    ),
]
OF_TOMORROW = [
    line(a_param_of_tomorrow=1),
    user([{"type": "a_block_of_tomorrow"}]),
]


@pytest.mark.parametrize("text", [*TAKEN, *OF_TOMORROW])
def test_what_the_api_takes_is_not_refused(text: bytes) -> None:
    assert said(text) == ""


REFUSED = [
    (user("hi", "developer"), 'messages.0 has the role "developer", which is none of Claude\'s: write "system"'),
    (user("hi", "tool"), 'the role "tool"'),
    (user("hi", "function"), 'a block {"type": "tool_result"'),
    (user(""), "messages.0: there is no content."),
    (user([]), "messages.0: there is no content."),
    (user(None), '"content" has to be text, or a list of blocks.'),
    (user([{"type": "text", "text": ""}]), "messages.0.content.0: the text is empty."),
    (
        user([{"type": "image_url", "image_url": {"url": "https://a"}}]),
        'is of the type "image_url"; write {"type": "image"',
    ),
    (user([{"type": "image"}]), 'messages.0.content.0 has no "source".'),
    (
        line(messages=[{"role": "user", "content": "Hi", "name": "Ann"}]),
        'messages.0 has "name", which Claude refuses.',
    ),
    (
        line(messages=[{"role": "assistant", "content": "Hi"}, {"role": "user", "content": "?"}]),
        "has to be the user's",
    ),
    (
        line(messages=[{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "{"}]),
        "no prefilled answer",
    ),
    (line(thinking={"type": "enabled", "budget_tokens": 1000}), '"budget_tokens" of 1024 or more'),
    (line(thinking={"type": "enabled", "budget_tokens": 4000}), '"max_tokens" is 4000, and has to be more than'),
    (line(temperature=1.5), '"temperature" has to be a number from 0 to 1.'),
    (line(stop_sequences="x"), '"stop_sequences" has to be a list of texts.'),
    (line(anthropic_version="bedrock-2023-05-31"), "set anthropic_version in the folder's sluice.yaml"),
    (line(extra_headers={"anthropic-beta": "x"}), '"params" has "extra_headers", which Claude refuses'),
    (line(response_format={"type": "json_object"}), 'write "output_config"'),
    (line(fallbacks=[]), "a batch does not take it"),
    (line(tools=[{"type": "function", "function": {}}]), 'tools.0 is of the type "function"'),
    (line(tools=[{"name": "f"}]), 'tools.0 has no "input_schema".'),
    (line(tools=[TOOL, TOOL]), 'Two tools are called "f".'),
    (line(tools=[TOOL], tool_choice={"type": "tool", "name": "g"}), '"tool_choice" names "g"'),
    (line(tool_choice={"type": "any"}), 'there are no "tools"'),
    (with_schema(OPEN), 'an object has to say "additionalProperties": false'),
    (with_schema({**CLOSED, "properties": LIMITED}), 'schema.properties.a: Claude refuses "minimum"'),
    (with_schema({**CLOSED, "properties": MANY}), "26 properties are not required"),
    (line(system=[CACHED] * 5), 'More than 4 blocks have "cache_control"'),
]


@pytest.mark.parametrize(("text", "says"), REFUSED)
def test_what_the_api_refuses_is_rejected_with_what_to_write(text: bytes, says: str) -> None:
    assert says in said(text)


def test_sampling_is_refused_only_where_a_version_is_named_that_refuses_it() -> None:
    assert "write anthropic_version: 2023-06-01 in sluice.yaml" in said(line(temperature=0), NEWEST)
    assert said(line(temperature=0), OLDER) == ""


@pytest.mark.parametrize("params", [{"temperature": 0.5}, {"top_p": 1}, {"top_k": 3}])
def test_sampling_has_its_request_sent_under_the_older_version(params: dict[str, Any]) -> None:
    run = check_block(LineBlock(0, 1, line() + b"\n" + line(**params) + b"\n"), RULES)
    assert run is not None
    assert run.appraisal is not None
    assert run.appraisal.older
    plain = check_line(1, 0, line(tools=[TOOL]), RULES)
    assert isinstance(plain, GoodLine)
    assert plain.appraisal is not None
    assert not plain.appraisal.older


@pytest.mark.parametrize(
    ("model", "takes"),
    [
        ("claude-haiku-4-5-20251001", True),
        ("claude-opus-4-5", True),
        ("claude-3-5-haiku-20241022", True),
        ("claude-sonnet-4-6", False),
        ("claude-opus-5", False),
        ("claude-haiku-5-5", False),
        ("claude-sonnet-5-20260520", False),
        ("a-model-of-tomorrow", True),
    ],
)
def test_which_models_take_a_prefilled_answer(model: str, takes: bool) -> None:
    assert takes_prefill(model) is takes


def is_refused_by_the_api(text: bytes) -> bool:
    """Ask the simulator, under the version that the request would be sent under."""
    params = json.loads(text)["params"]
    try:
        read_message(json.dumps(params).encode(), version_for(params), batched=True)
    except ApiError:
        return True
    return False


@pytest.mark.parametrize("text", TAKEN)
def test_the_simulator_takes_what_is_not_refused(text: bytes) -> None:
    assert not is_refused_by_the_api(text)


@pytest.mark.parametrize("text", [text for text, _ in REFUSED])
def test_the_simulator_refuses_what_is_refused_before_it_is_sent(text: bytes) -> None:
    assert is_refused_by_the_api(text)
