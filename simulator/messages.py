"""A message as the API sends it. Field order is the order on the wire."""

from typing import Any

from msgspec import UNSET, Struct, UnsetType


class CharLocation(Struct, tag_field="type", tag="char_location"):
    """Where in a plain-text document a citation is from."""

    cited_text: str
    document_index: int
    document_title: str | None
    start_char_index: int
    end_char_index: int


class TextBlock(Struct, tag_field="type", tag="text"):
    """Text, with its citations."""

    text: str
    citations: list[CharLocation] | UnsetType = UNSET


class ThinkingBlock(Struct, tag_field="type", tag="thinking"):
    """Thinking, signed."""

    thinking: str
    signature: str


class ToolUseBlock(Struct, tag_field="type", tag="tool_use"):
    """A call of a tool."""

    id: str
    name: str
    input: dict[str, Any]


ContentBlock = TextBlock | ThinkingBlock | ToolUseBlock


class CacheCreation(Struct, frozen=True):
    """Tokens written to the prompt cache, by how long they stay."""

    ephemeral_5m_input_tokens: int = 0
    ephemeral_1h_input_tokens: int = 0


class OutputDetails(Struct):
    """What the output tokens were spent on."""

    thinking_tokens: int


class ServerToolUse(Struct, frozen=True):
    """Calls of tools that run at Claude; each search is charged for (Claude API: Web search tool)."""

    web_fetch_requests: int = 0
    web_search_requests: int = 0


class Usage(Struct):
    """Tokens of a message, and what else it is charged for."""

    input_tokens: int
    output_tokens: int
    cache_creation_input_tokens: int = 0
    cache_read_input_tokens: int = 0
    cache_creation: CacheCreation = CacheCreation()
    output_tokens_details: OutputDetails | UnsetType = UNSET
    service_tier: str = "standard"
    inference_geo: str = "not_available"
    server_tool_use: ServerToolUse | UnsetType = UNSET
    speed: str | UnsetType = UNSET


class StopDetails(Struct, frozen=True, kw_only=True, tag_field="type", tag="refusal"):
    """Why an answer was refused (Claude API: Stop reasons)."""

    category: str | None = None
    explanation: str | None = None


class Message(Struct, tag_field="type", tag="message"):
    """An answer."""

    id: str
    role: str
    model: str
    content: list[ContentBlock]
    stop_reason: str | None
    stop_sequence: str | None
    usage: Usage
    stop_details: StopDetails | UnsetType = UNSET
