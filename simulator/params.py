"""The parameters of a message, read and checked as the API does (Claude API: Messages, Errors)."""

import re
from functools import lru_cache
from typing import Annotated, Any, Literal

import msgspec
from msgspec import UNSET, Meta, Raw, Struct, UnsetType

from simulator.errors import ApiError
from simulator.models import Model, find_model
from simulator.structured import schema_problem

VERSIONS = ("2023-01-01", "2023-06-01", "2026-10-21")
_NO_SAMPLING_SINCE = "2026-10-21"

_NOTHING = Raw()
_MAX_CACHED_BLOCKS = 4
# Content blocks of a request (Claude API: Messages).
_BLOCKS = (
    "text image document search_result thinking redacted_thinking tool_use tool_result server_tool_use "
    "web_search_tool_result web_fetch_tool_result code_execution_tool_result bash_code_execution_tool_result "
    "text_editor_code_execution_tool_result tool_search_tool_result advisor_tool_result container_upload "
    "mcp_tool_use mcp_tool_result compaction fallback mcp_tool_listing"
).split()


class Citations(Struct):
    """Whether a document may be cited."""

    enabled: bool = False


class Source(Struct):
    """Where a document's or an image's content is."""

    type: str
    data: str = ""
    media_type: str = ""


class Block(Struct):
    """A content block; only what the simulator reads of it."""

    type: str
    text: str = ""
    source: Source | None = None
    title: str | None = None
    citations: Citations | None = None
    content: Raw = _NOTHING
    cache_control: Raw = _NOTHING


class InputMessage(Struct, forbid_unknown_fields=True):
    """A turn of the conversation."""

    role: Literal["user", "assistant", "system"]
    content: str | list[Block]


class Tool(Struct):
    """A tool; server tools have a `type` and no schema."""

    name: str
    type: str = "custom"
    description: str | None = None
    input_schema: dict[str, Any] | None = None
    cache_control: Raw = _NOTHING


class ToolChoice(Struct):
    """How tools shall be used."""

    type: Literal["auto", "any", "tool", "none"] = "auto"
    name: str | None = None
    disable_parallel_tool_use: bool = False


class ThinkingConfig(Struct):
    """Whether to think, and how much."""

    type: Literal["enabled", "adaptive", "disabled", "between_tools"]
    budget_tokens: int | None = None
    display: str | None = None


class OutputFormat(Struct):
    """Structured output."""

    type: Literal["json_schema"]
    schema: dict[str, Any]


class OutputConfig(Struct):
    """Effort and format of the output."""

    effort: Literal["low", "medium", "high", "xhigh", "max"] | None = None
    format: OutputFormat | None = None


class TokenParams(Struct, kw_only=True, forbid_unknown_fields=True):
    """What counts as input: the parameters of count_tokens."""

    model: str
    messages: Annotated[list[InputMessage], Meta(min_length=1, max_length=100_000)]
    system: str | list[Block] = ""
    tools: list[Tool] = []
    tool_choice: ToolChoice | None = None
    thinking: ThinkingConfig | None = None
    output_config: OutputConfig | None = None
    output_format: OutputFormat | None = None
    cache_control: Raw = _NOTHING
    context_management: Raw = _NOTHING
    mcp_servers: Raw = _NOTHING
    speed: str | UnsetType | None = UNSET
    user_profile_id: str | None = None


class MessageParams(TokenParams, kw_only=True, forbid_unknown_fields=True):
    """The parameters of a message, streamed or not, or of a request in a batch."""

    max_tokens: int
    stream: bool = False
    stop_sequences: list[str] = []
    temperature: float | UnsetType | None = UNSET
    top_p: float | UnsetType | None = UNSET
    top_k: int | UnsetType | None = UNSET
    metadata: Raw = _NOTHING
    container: Raw = _NOTHING
    diagnostics: Raw = _NOTHING
    inference_geo: str | None = None
    service_tier: str | None = None


_MESSAGE = msgspec.json.Decoder(MessageParams)
_TOKENS = msgspec.json.Decoder(TokenParams)


def read_message(body: bytes | Raw, version: str, *, batched: bool = False) -> MessageParams:
    """The checked parameters of a message; `version` is the value of `anthropic-version`.

    Raises ApiError as the API answers: 400 for most, 404 for a model that is unknown or retired.
    """
    try:
        params = _MESSAGE.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise ApiError(400, describe_decode_error(error)) from None
    model = _check_model(params.model)
    _check_max_tokens(params, model, batched)
    _check_version(params, version)
    _check_messages(params, model)
    _check_sampling(params)
    _check_cached_blocks(params)
    _check_thinking(params)
    _check_format(params)
    _check_tools(params)
    return params


def read_tokens(body: bytes) -> TokenParams:
    """The checked parameters of count_tokens. Raises ApiError."""
    try:
        params = _TOKENS.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise ApiError(400, describe_decode_error(error)) from None
    _check_messages(params, _check_model(params.model))
    return params


def describe_decode_error(error: msgspec.DecodeError | UnicodeDecodeError) -> str:
    """What is wrong with a body, in the API's words: `max_tokens: Field required`."""
    text = str(error)
    if not isinstance(error, msgspec.ValidationError):
        return "The request body is not valid JSON."
    what, _, where = text.partition(" - at `$")
    path = re.sub(r"\[(\d+)\]", r".\1", where.rstrip("`")).replace("[...]", ".*").lstrip(".")
    if found := re.search(r"(missing required|unknown) field `([^`]+)`", what):
        path = ".".join(filter(None, (path, found[2])))
        what = "Field required" if found[1] == "missing required" else "Extra inputs are not permitted"
    return f"{path}: {what}" if path else what


@lru_cache(64)
def _check_model(name: str) -> Model:
    model = find_model(name)
    if model is None or model.lifecycle == "retired":
        raise ApiError(404, f"model: {name}")
    return model


def _check_max_tokens(params: MessageParams, model: Model, batched: bool) -> None:
    if params.max_tokens < (1 if batched else 0):
        raise ApiError(400, f"max_tokens: must be greater than or equal to {1 if batched else 0}")
    if params.max_tokens > model.max_tokens:
        raise ApiError(
            400,
            f"max_tokens: {params.max_tokens} > {model.max_tokens}, which is the maximum allowed number of output "
            f"tokens for {model.id}",
        )
    if batched and params.stream:
        raise ApiError(400, "stream: Streaming is not supported in batches")
    if batched and params.speed is not UNSET:
        raise ApiError(400, "speed: Extra inputs are not permitted")


def _check_version(params: MessageParams, version: str) -> None:
    if version < _NO_SAMPLING_SINCE or (params.temperature is params.top_p is params.top_k is UNSET):
        return
    given = {"temperature": params.temperature, "top_p": params.top_p, "top_k": params.top_k}
    name = next(name for name, value in given.items() if value is not UNSET)
    raise ApiError(400, f"{name}: Extra inputs are not permitted with anthropic-version {version}")


def _check_messages(params: TokenParams, model: Model) -> None:
    for number, message in enumerate(params.messages):
        content = message.content
        if not content:
            raise ApiError(400, f"messages.{number}: all messages must have non-empty content")
        for place, block in enumerate(content if isinstance(content, list) else ()):
            _check_block(f"messages.{number}.content.{place}", block)
    if params.messages[0].role == "assistant":
        raise ApiError(400, "messages: first message must use the user role")
    if _is_prefill(params.messages[-1]) and not model.prefill:
        raise ApiError(
            400,
            "This model does not support assistant message prefill. The conversation must end with a user message.",
        )


def _is_prefill(message: InputMessage) -> bool:
    """Whether an answer shall begin so. The half turn of a server tool is gone on with instead (`pause_turn`)."""
    blocks = message.content if isinstance(message.content, list) else []
    return message.role == "assistant" and all(block.type == "text" for block in blocks)


def _check_block(where: str, block: Block) -> None:
    if block.type not in _BLOCKS:
        expected = ", ".join(f"'{name}'" for name in _BLOCKS)
        raise ApiError(
            400,
            f"{where}: Input tag '{block.type}' found using 'type' does not match any of the expected tags: {expected}",
        )
    if block.type == "text" and not block.text:
        raise ApiError(400, f"{where.partition('.content')[0]}: text content blocks must be non-empty")
    if block.type in ("image", "document") and block.source is None:
        raise ApiError(400, f"{where}.{block.type}.source: Field required")


def _check_sampling(params: MessageParams) -> None:
    for name, value in (("temperature", params.temperature), ("top_p", params.top_p)):
        if isinstance(value, float | int) and not 0 <= value <= 1:
            raise ApiError(400, f"{name}: range: 0..1")


def _check_cached_blocks(params: TokenParams) -> None:
    """Check how many blocks are to be cached (Claude API: Prompt caching)."""
    blocks: list[Block | Tool] = [*params.tools, *(params.system if isinstance(params.system, list) else ())]
    for message in params.messages:
        blocks += message.content if isinstance(message.content, list) else ()
    found = sum(bytes(block.cache_control) not in (b"", b"null") for block in blocks)
    if found > _MAX_CACHED_BLOCKS:
        raise ApiError(
            400, f"A maximum of {_MAX_CACHED_BLOCKS} blocks with cache_control may be provided. Found {found}."
        )


def _check_thinking(params: MessageParams) -> None:
    thinking = params.thinking
    if thinking is None or thinking.type != "enabled":
        return
    if thinking.budget_tokens is None or thinking.budget_tokens < 1024:
        raise ApiError(400, "thinking.enabled.budget_tokens: Input should be greater than or equal to 1024")
    if thinking.budget_tokens >= params.max_tokens:
        raise ApiError(400, "`max_tokens` must be greater than `thinking.budget_tokens`.")


def _check_format(params: MessageParams) -> None:
    form = params.output_config.format if params.output_config else None
    if form is not None and (problem := schema_problem(form.schema)):
        raise ApiError(400, f"output_config.format.schema: {problem}")


def _check_tools(params: MessageParams) -> None:
    if not params.tools and params.tool_choice is None:
        return
    names = [tool.name for tool in params.tools]
    if len(set(names)) < len(names):
        raise ApiError(400, "tools: Tool names must be unique.")
    for number, tool in enumerate(params.tools):
        if tool.type == "custom" and tool.input_schema is None:
            raise ApiError(400, f"tools.{number}.custom.input_schema: Field required")
    choice = params.tool_choice
    if choice is not None and choice.type in ("any", "tool") and not names:
        raise ApiError(400, "tool_choice: tools must be given to use this tool_choice")
    if choice is not None and choice.type == "tool" and choice.name not in names:
        raise ApiError(400, f"tool_choice: Tool '{choice.name}' not found in provided tools")
