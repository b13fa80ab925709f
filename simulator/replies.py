"""Answers: deterministic, of the words of the request, in the shape that the request or a script asks for. Pure."""

import base64
import hashlib
import zlib
from collections.abc import Sequence
from itertools import cycle, islice

import msgspec
from msgspec import UNSET, Struct

from simulator.identifiers import identifier
from simulator.messages import (
    CharLocation,
    ContentBlock,
    Message,
    OutputDetails,
    ServerToolUse,
    StopDetails,
    TextBlock,
    ThinkingBlock,
    ToolUseBlock,
    Usage,
)
from simulator.params import MessageParams, OutputFormat, Tool
from simulator.prompt import (
    CHARACTERS_PER_TOKEN,
    Document,
    answers_a_tool,
    count_tokens,
    documents,
    input_tokens,
    question,
)
from simulator.prompt_cache import PromptCache
from simulator.rules import Entry, Rule, Subject, matches
from simulator.structured import value_for

_READ_CHARACTERS = 400


class Reply(Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """The shape of an answer, where it shall not follow from the request alone. See the package's docstring."""

    text: str | None = None
    words: int | None = None
    thinking: str | None = None
    tool: str | None = None
    input: dict[str, object] | None = None
    citations: bool = False
    pings: int = 0
    unknown_events: bool = False
    stop_reason: str | None = None
    stop_details: StopDetails | None = None
    events_per_second: float | None = None
    first_event_seconds: float = 0.0
    stamped: bool = False


class ReplyRule(Rule, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """A rule that shapes an answer."""

    reply: Reply


PLAIN = Reply()


def compose(
    params: MessageParams, reply: Reply, cache: PromptCache, *, message_id: str, tier: str = "standard"
) -> Message:
    """The answer to a request, no longer than its `max_tokens`."""
    asked = question(params)
    words = asked[:_READ_CHARACTERS].split() or ["nothing"]
    thought = _thinking(params, reply, words)
    thought_tokens = sum(count_tokens(block.thinking) for block in thought)
    budget = max(params.max_tokens - thought_tokens, 0)
    said, stop_reason, stop_sequence = _say(params, reply, asked, words, budget)
    content: list[ContentBlock] = [*thought, *said]
    if stop_reason == "end_turn" and (tool := _chosen_tool(params, reply)):
        content.append(_tool_use(tool, reply, words, message_id))
        stop_reason = "tool_use"
    usage = Usage(input_tokens(params), _output_tokens(content, params.max_tokens), service_tier=tier)
    usage = cache.apply(params, usage)
    usage.inference_geo = params.inference_geo or usage.inference_geo
    usage.speed = params.speed if isinstance(params.speed, str) else UNSET
    if searches := sum(tool.type.startswith("web_search") for tool in params.tools):
        usage.server_tool_use = ServerToolUse(web_search_requests=searches)
    if thought:
        usage.output_tokens_details = OutputDetails(min(thought_tokens, usage.output_tokens))
    stop_reason = reply.stop_reason or stop_reason
    details = reply.stop_details or UNSET
    return Message(message_id, "assistant", params.model, content, stop_reason, stop_sequence, usage, details)


def _say(
    params: MessageParams, reply: Reply, asked: str, words: Sequence[str], budget: int
) -> tuple[list[TextBlock], str, str | None]:
    text = _wanted_text(params, reply, asked, words, budget)
    stop_reason, stop_sequence = "end_turn", None
    for sequence in params.stop_sequences:
        if sequence and (found := text.find(sequence)) >= 0:
            text, stop_reason, stop_sequence = text[:found], "stop_sequence", sequence
    if count_tokens(text) > budget:
        text, stop_reason, stop_sequence = text[: budget * CHARACTERS_PER_TOKEN], "max_tokens", None
    if not text:
        return [], stop_reason, stop_sequence
    cited = documents(params) or ([Document(0, None, question(params))] if reply.citations else [])
    return [TextBlock(text, _citations(cited) or UNSET)], stop_reason, stop_sequence


def _wanted_text(params: MessageParams, reply: Reply, asked: str, words: Sequence[str], budget: int) -> str:
    if reply.text is not None:
        return reply.text
    if reply.words is not None:
        return " ".join(islice(cycle(words), reply.words))
    if (format_ := _output_format(params)) is not None:
        return msgspec.json.encode(value_for(format_.schema, words)).decode()
    return _summary(asked, words, budget)


def _summary(asked: str, words: Sequence[str], budget: int) -> str:
    """A few sentences that quote the prompt; how many, and from where, follows from the whole of it.

    As Claude does, it comes to an end before `budget` tokens where it can; the first sentence is there in any case.
    """
    seed = zlib.crc32(asked.encode())
    parts = [f'You wrote {len(asked)} characters, beginning with "{" ".join(words[:8])}".']
    for number in range(1 + seed % 6):
        start = (seed >> number) % len(words)
        sentence = f'From word {start + 1} on, you say: "{" ".join(words[start : start + 12])}".'
        if count_tokens(" ".join((*parts, sentence))) > budget:
            break
        parts.append(sentence)
    return " ".join(parts)


def _output_format(params: MessageParams) -> OutputFormat | None:
    if params.output_config is not None and params.output_config.format is not None:
        return params.output_config.format
    return params.output_format


def _thinking(params: MessageParams, reply: Reply, words: Sequence[str]) -> list[ThinkingBlock]:
    asked_for = params.thinking is not None and params.thinking.type in ("enabled", "adaptive")
    if reply.thinking is None and not asked_for:
        return []
    text = reply.thinking or f'The user writes about "{" ".join(words[:5])}". I shall quote them and count the words.'
    text = text[: params.max_tokens * CHARACTERS_PER_TOKEN]
    signature = base64.b64encode(hashlib.sha512(text.encode()).digest()).decode()
    return [ThinkingBlock(text, signature)]


def _chosen_tool(params: MessageParams, reply: Reply) -> Tool | None:
    tools = {tool.name: tool for tool in params.tools if tool.type == "custom"}
    choice = params.tool_choice
    if reply.tool is not None:
        return tools.get(reply.tool) or Tool(reply.tool)
    if not tools or (choice is not None and choice.type == "none") or _plainly_scripted(reply):
        return None
    if choice is not None and choice.type == "tool" and choice.name is not None:
        return tools.get(choice.name)
    if answers_a_tool(params) and (choice is None or choice.type == "auto"):
        return None
    return next(iter(tools.values()))


def _plainly_scripted(reply: Reply) -> bool:
    return reply.text is not None or reply.words is not None


def _tool_use(tool: Tool, reply: Reply, words: Sequence[str], message_id: str) -> ToolUseBlock:
    value = reply.input if reply.input is not None else value_for(tool.input_schema or {"type": "object"}, words)
    return ToolUseBlock(identifier("toolu", message_id, tool.name), tool.name, value)


def _citations(cited: list[Document]) -> list[CharLocation]:
    return [
        CharLocation(document.text[:80], document.index, document.title, 0, len(document.text[:80]))
        for document in cited
        if document.text
    ]


def _output_tokens(content: Sequence[ContentBlock], limit: int) -> int:
    total = 0
    for block in content:
        if isinstance(block, TextBlock):
            total += count_tokens(block.text)
        elif isinstance(block, ThinkingBlock):
            total += count_tokens(block.thinking)
        else:
            total += 20 + count_tokens(msgspec.json.encode(block.input).decode())
    return min(max(total, 1), max(limit, 1))


def reply_to(entries: Sequence[Entry[ReplyRule]], subject: Subject) -> Reply:
    """The script for this answer; counts the rule that acts."""
    for entry in entries:
        if matches(entry.rule.match, subject) and entry.take():
            return entry.rule.reply
    return PLAIN
