"""The catalogue of models (Claude API: Models): their limits, what they can do, when they retire."""

from dataclasses import dataclass
from typing import Literal

import msgspec
from msgspec import Struct

Lifecycle = Literal["active", "deprecated", "retired"]


@dataclass(frozen=True, slots=True)
class Model:
    """One model. Times are RFC 3339."""

    id: str
    display_name: str
    line: str
    created_at: str
    max_input_tokens: int
    max_tokens: int
    prefill: bool = False
    lifecycle: Lifecycle = "active"
    deprecated_at: str | None = None
    retires_at: str | None = None
    alias: str | None = None
    batch: bool = True


def _model(model_id: str, name: str, line: str, created: str, max_tokens: int = 128_000) -> Model:
    return Model(model_id, name, line, f"{created}T00:00:00Z", 1_000_000, max_tokens)


CATALOGUE: tuple[Model, ...] = (
    _model("claude-fable-5-2", "Claude Fable 5.2", "fable", "2026-10-21"),
    _model("claude-haiku-5-5", "Claude Haiku 5.5", "haiku", "2026-10-07", 64_000),
    _model("claude-sonnet-5-5", "Claude Sonnet 5.5", "sonnet", "2026-09-30"),
    _model("claude-opus-5-5", "Claude Opus 5.5", "opus", "2026-09-16"),
    _model("claude-opus-5", "Claude Opus 5", "opus", "2026-06-03"),
    _model("claude-sonnet-5", "Claude Sonnet 5", "sonnet", "2026-05-20"),
    _model("claude-sonnet-4-6", "Claude Sonnet 4.6", "sonnet", "2026-02-17", 64_000),
    _model("claude-opus-4-6", "Claude Opus 4.6", "opus", "2026-02-04"),
    Model(
        "claude-opus-4-5-20251101",
        "Claude Opus 4.5",
        "opus",
        "2025-11-24T00:00:00Z",
        200_000,
        64_000,
        prefill=True,
        alias="claude-opus-4-5",
    ),
    Model(
        "claude-haiku-4-5-20251001",
        "Claude Haiku 4.5",
        "haiku",
        "2025-10-15T00:00:00Z",
        200_000,
        64_000,
        prefill=True,
        alias="claude-haiku-4-5",
    ),
    Model(
        "claude-sonnet-4-5-20250929",
        "Claude Sonnet 4.5",
        "sonnet",
        "2025-09-29T00:00:00Z",
        200_000,
        64_000,
        prefill=True,
        lifecycle="deprecated",
        deprecated_at="2026-09-30T00:00:00Z",
        retires_at="2026-11-30T00:00:00Z",
        alias="claude-sonnet-4-5",
    ),
    Model(
        "claude-sonnet-4-20250514",
        "Claude Sonnet 4",
        "sonnet",
        "2025-05-22T00:00:00Z",
        200_000,
        64_000,
        prefill=True,
        lifecycle="retired",
        deprecated_at="2026-04-14T00:00:00Z",
        retires_at="2026-06-15T00:00:00Z",
        alias="claude-sonnet-4-0",
    ),
)

_BY_NAME = {name: model for model in CATALOGUE for name in (model.id, model.alias) if name}


def find_model(name: str) -> Model | None:
    """The model of that id or alias."""
    return _BY_NAME.get(name)


class Support(Struct):
    """Whether a capability is supported."""

    supported: bool


class ThinkingTypes(Struct):
    """Which values of `thinking.type` a model takes."""

    adaptive: Support
    between_tools: Support
    disabled: Support
    enabled: Support


class Thinking(Struct):
    """Thinking, by type."""

    supported: bool
    types: ThinkingTypes


class Effort(Struct):
    """Levels of effort."""

    supported: bool
    low: Support
    medium: Support
    high: Support
    xhigh: Support
    max: Support


class ContextManagement(Struct):
    """Strategies to keep a context small."""

    supported: bool
    clear_thinking_20251015: Support
    clear_tool_uses_20250919: Support
    compact_20260112: Support


class ServerTools(Struct):
    """Tools that the API itself runs."""

    supported: bool
    code_execution: Support
    web_search: Support


class Capabilities(Struct):
    """What a model can do; each key is always there."""

    batch: Support
    citations: Support
    code_execution: Support
    context_management: ContextManagement
    effort: Effort
    image_input: Support
    pdf_input: Support
    server_tools: ServerTools
    structured_outputs: Support
    thinking: Thinking


class ModelInfo(Struct, tag_field="type", tag="model"):
    """One model as the API shows it."""

    id: str
    display_name: str
    line: str
    created_at: str
    lifecycle: Lifecycle
    deprecated_at: str | None
    retires_at: str | None
    max_input_tokens: int
    max_tokens: int
    capabilities: Capabilities


class ModelPage(Struct):
    """A page of models, newest first."""

    data: list[ModelInfo]
    has_more: bool
    first_id: str | None
    last_id: str | None


def describe(model: Model) -> ModelInfo:
    """The model as the API shows it."""
    return ModelInfo(
        model.id,
        model.display_name,
        model.line,
        model.created_at,
        model.lifecycle,
        model.deprecated_at,
        model.retires_at,
        model.max_input_tokens,
        model.max_tokens,
        _capabilities(model),
    )


def _capabilities(model: Model) -> Capabilities:
    yes, adaptive = Support(True), Support(not model.prefill)
    return Capabilities(
        batch=Support(model.batch),
        citations=yes,
        code_execution=yes,
        context_management=ContextManagement(True, yes, yes, adaptive),
        effort=Effort(not model.prefill, adaptive, adaptive, adaptive, adaptive, adaptive),
        image_input=yes,
        pdf_input=yes,
        server_tools=ServerTools(True, yes, yes),
        structured_outputs=yes,
        thinking=Thinking(True, ThinkingTypes(adaptive, Support(False), yes, Support(model.prefill))),
    )


def encode_page(models: list[Model], has_more: bool) -> bytes:
    """A page of the list of models."""
    infos = [describe(model) for model in models]
    first, last = (infos[0].id, infos[-1].id) if infos else (None, None)
    return msgspec.json.encode(ModelPage(infos, has_more, first, last))
