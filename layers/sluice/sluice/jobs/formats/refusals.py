"""What the API refuses for certain, found before anything is sent: in a batch it would be an error, hours later. Pure.

Only what is documented as refused is here. What a model of tomorrow may take (a new param, a new type of block) passes,
and the API decides.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from sluice.claude.versions import NEWEST_VERSION, OLDER_VERSION, SAMPLING
from sluice.jobs.formats.request_line import KnownRefusal
from sluice.jobs.schema import find_schema_refusal
from sluice.jobs.wording import shorten

_ROLES = ("user", "assistant", "system")
_ROLE_HINTS = {
    "developer": 'write "system", or put the text into "system" beside "messages"',
    "tool": 'the result of a tool is a block {"type": "tool_result", ...} in a message of the user',
    "function": 'the result of a tool is a block {"type": "tool_result", ...} in a message of the user',
    "human": 'write "user"',
    "model": 'write "assistant"',
}
# Of other APIs, of SDKs, and what batches do not take (Claude API: Message Batches), with what to do instead.
_PARAMS = {
    "anthropic_version": "set anthropic_version in the folder's sluice.yaml",
    "anthropic_beta": "set betas in the folder's sluice.yaml",
    "betas": "they belong into sluice.yaml",
    "extra_headers": "headers cannot be set for a request in a batch; betas belong into sluice.yaml",
    "extra_body": "write its fields into params themselves",
    "extra_query": "leave it out",
    "timeout": "leave it out",
    "speed": "a batch does not take it",
    "store": "a batch does not take it",
    "previous_thread_event_id": "a batch does not take it",
    "cache_hint": "a batch does not take it",
    "context_hint": "a batch does not take it",
    "fallbacks": "a batch does not take it",
    "max_completion_tokens": 'write "max_tokens"',
    "max_output_tokens": 'write "max_tokens"',
    "max_tokens_to_sample": 'write "max_tokens"',
    "stop": 'write "stop_sequences", a list',
    "prompt": 'write "messages"',
    "input": 'write "messages"',
    "instructions": 'write "system"',
    "response_format": 'write "output_config" with a "format"',
    "functions": 'write "tools"',
    "function_call": 'write "tool_choice"',
    "parallel_tool_calls": 'write "disable_parallel_tool_use" into "tool_choice"',
    "reasoning_effort": 'write "effort" into "output_config"',
    "reasoning": 'write "thinking", or "effort" into "output_config"',
    "user": 'write "user_id" into "metadata"',
    **dict.fromkeys(
        ("n", "seed", "logprobs", "top_logprobs", "logit_bias"), "Claude has nothing like it; leave it out"
    ),
    **dict.fromkeys(("frequency_penalty", "presence_penalty"), "Claude has nothing like it; leave it out"),
}
# Types of blocks of other APIs.
_BLOCKS = {
    "image_url": '{"type": "image", "source": {"type": "url", "url": "https://..."}}',
    "input_image": '{"type": "image", "source": {"type": "url", "url": "https://..."}}',
    "input_text": '{"type": "text", "text": "..."}',
    "output_text": '{"type": "text", "text": "..."}',
    "input_file": '{"type": "document", "source": {...}}',
    "file": '{"type": "document", "source": {...}}',
    "input_audio": "text; Claude takes no sound",
}
_TYPES: Mapping[str, tuple[type | tuple[type, ...], str]] = {
    "system": ((str, list), "text, or a list of blocks"),
    "stop_sequences": (list, "a list of texts"),
    "tools": (list, "a list"),
    "thinking": (dict, "an object"),
    "tool_choice": (dict, "an object"),
    "metadata": (dict, "an object"),
    "output_config": (dict, "an object"),
    "temperature": ((int, float), "a number from 0 to 1"),
    "top_p": ((int, float), "a number from 0 to 1"),
    "top_k": (int, "a whole number"),
}
# Claude API: Extended thinking.
_LEAST_BUDGET = 1024
# Claude API: Prompt caching.
_MOST_CACHED_BLOCKS = 4
# Claude API: Prefill. claude-sonnet-4-6, claude-opus-5, claude-3-5-haiku-20241022.
_MODEL_VERSION = re.compile(r"claude-(?:[a-z]+-)?(\d{1,2})(?:-(\d{1,2}))?(?:-|$)")
_NO_PREFILL_SINCE = (4, 6)


def check_params(params: Mapping[str, Any], version: str | None = None) -> None:
    """Check the params of a request, whose model and max_tokens are good. Raises KnownRefusal.

    ``version`` is the one of the API that a person named; without one it is chosen to fit (``claude/versions.py``).
    """
    _check_names(params, version)
    _check_messages(params)
    _check_thinking(params)
    _check_tools(params)
    _check_format(params)
    if _count_cached(params) > _MOST_CACHED_BLOCKS:
        raise KnownRefusal(
            "cache", f'More than {_MOST_CACHED_BLOCKS} blocks have "cache_control", which Claude refuses.'
        )


def _check_names(params: Mapping[str, Any], version: str | None) -> None:
    for name, value in params.items():
        if name in _PARAMS:
            raise KnownRefusal("params", f'"params" has {_quoted(name)}, which Claude refuses: {_PARAMS[name]}.')
        if name == "stream" and value:
            raise KnownRefusal("params", '"params" asks for a stream, which a batch cannot give.')
        if name in SAMPLING and version is not None and version >= NEWEST_VERSION:
            raise KnownRefusal(
                "version",
                f'"params" has "{name}", which the API refuses under the version {version}: leave it out, or write '
                f"anthropic_version: {OLDER_VERSION} in sluice.yaml.",
            )
        kinds, right = _TYPES.get(name, (object, ""))
        if value is not None and (not isinstance(value, kinds) or isinstance(value, bool)) and right:
            raise KnownRefusal("params", f'"{name}" has to be {right}.')
        if name in ("temperature", "top_p") and value is not None and not 0 <= value <= 1:
            raise KnownRefusal("params", f'"{name}" has to be a number from 0 to 1.')


def _check_messages(params: Mapping[str, Any]) -> None:
    messages = params.get("messages")
    if not isinstance(messages, list) or not messages:
        raise KnownRefusal("params", '"messages" has to be a list with a message in it.')
    for number, message in enumerate(messages):
        if not isinstance(message, dict):
            raise KnownRefusal("messages", f"messages.{number} has to be an object with a role and content.")
        _check_role(number, message.get("role"))
        if extra := [name for name in message if name not in ("role", "content")]:
            raise KnownRefusal("messages", f"messages.{number} has {_quoted(extra[0])}, which Claude refuses.")
        _check_content(f"messages.{number}", message.get("content"))
    if messages[0]["role"] == "assistant":
        raise KnownRefusal("messages", "The first message has to be the user's.")
    if _is_prefill(messages[-1]) and not takes_prefill(str(params.get("model"))):
        raise KnownRefusal(
            "prefill",
            f"The last message is the assistant's, and {shorten(str(params['model']), 100)} takes no prefilled answer: "
            "end with a message of the user.",
        )


def _check_role(number: int, role: object) -> None:
    if role not in _ROLES:
        hint = _ROLE_HINTS.get(str(role), "there are user, assistant and system")
        raise KnownRefusal(
            "role", f"messages.{number} has the role {_quoted(role)}, which is none of Claude's: {hint}."
        )


def _check_content(where: str, content: object) -> None:
    if not isinstance(content, str | list):
        raise KnownRefusal("content", f'{where}: "content" has to be text, or a list of blocks.')
    if not content:
        raise KnownRefusal("content", f"{where}: there is no content.")
    for place, block in enumerate(content if isinstance(content, list) else ()):
        kind = block.get("type") if isinstance(block, dict) else None
        if not isinstance(kind, str):
            raise KnownRefusal("content", f'{where}.content.{place} has to be an object with a "type".')
        if kind in _BLOCKS:
            raise KnownRefusal(
                "content", f"{where}.content.{place} is of the type {_quoted(kind)}; write {_BLOCKS[kind]}."
            )
        if kind == "text" and not block.get("text"):
            raise KnownRefusal("content", f"{where}.content.{place}: the text is empty.")
        if kind in ("image", "document") and not isinstance(block.get("source"), dict):
            raise KnownRefusal("content", f'{where}.content.{place} has no "source".')


def _is_prefill(message: Mapping[str, Any]) -> bool:
    """Return whether a last message begins the answer. One with the half turn of a server tool goes on with it."""
    content = message["content"]
    blocks = content if isinstance(content, list) else ()
    return message["role"] == "assistant" and all(block.get("type") == "text" for block in blocks)


def takes_prefill(model: str) -> bool:
    """Return whether a model may take a last message of the assistant; True for one whose name says no version."""
    found = _MODEL_VERSION.match(model)
    return found is None or (int(found[1]), int(found[2] or 0)) < _NO_PREFILL_SINCE


def _check_thinking(params: Mapping[str, Any]) -> None:
    thinking = params.get("thinking") or {}
    if thinking.get("type") != "enabled":
        return
    budget, most = thinking.get("budget_tokens"), params.get("max_tokens")
    if not isinstance(budget, int) or budget < _LEAST_BUDGET:
        raise KnownRefusal("thinking", f'"thinking" has to have a "budget_tokens" of {_LEAST_BUDGET} or more.')
    if isinstance(most, int | float) and budget >= most:
        raise KnownRefusal(
            "thinking", f'"max_tokens" is {most}, and has to be more than the "budget_tokens", {budget}.'
        )


def _check_tools(params: Mapping[str, Any]) -> None:
    names: set[str] = set()
    for number, tool in enumerate(params.get("tools") or ()):
        if not isinstance(tool, dict):
            raise KnownRefusal("tools", f"tools.{number} has to be an object.")
        if tool.get("type") == "function":
            right = '{"name": ..., "description": ..., "input_schema": {...}}'
            raise KnownRefusal("tools", f'tools.{number} is of the type "function"; write {right}.')
        if tool.get("type", "custom") == "custom" and not isinstance(tool.get("input_schema"), dict):
            raise KnownRefusal("tools", f'tools.{number} has no "input_schema".')
        if tool.get("name") in names:
            raise KnownRefusal("tools", f"Two tools are called {_quoted(tool['name'])}.")
        if isinstance(tool.get("name"), str):
            names.add(tool["name"])
    choice = params.get("tool_choice") or {}
    if choice.get("type") in ("any", "tool") and not params.get("tools"):
        raise KnownRefusal("tools", '"tool_choice" asks for a tool, and there are no "tools".')
    if choice.get("type") == "tool" and choice.get("name") not in names and not params.get("mcp_servers"):
        raise KnownRefusal("tools", f'"tool_choice" names {_quoted(choice.get("name"))}, which is not among the tools.')


def _check_format(params: Mapping[str, Any]) -> None:
    form = (params.get("output_config") or {}).get("format")
    if form is None:
        return
    schema = form.get("schema") if isinstance(form, dict) else None
    if not isinstance(schema, dict) or form.get("type") != "json_schema":
        raise KnownRefusal("schema", '"format" has to be {"type": "json_schema", "schema": {...}}.')
    if problem := find_schema_refusal(schema):
        raise KnownRefusal("schema", f"The schema of the answer: {problem}.")


def _count_cached(value: object) -> int:
    """Count the blocks that are to be cached: of the system prompt, of messages, of tools."""
    if isinstance(value, list):
        return sum(map(_count_cached, value))
    if not isinstance(value, dict):
        return 0
    inner = (each for name, each in value.items() if name in ("system", "messages", "tools", "content"))
    return ("type" in value and value.get("cache_control") is not None) + sum(map(_count_cached, inner))


def _quoted(name: object) -> str:
    return f'"{shorten(str(name), 60)}"'
