"""What a request may cost at most, known before it is sent. Pure; stands on the standard library alone.

Text has no more tokens than bytes in UTF-8, whatever it is written in: each token is at least one of them. Images and
PDFs that are in the request are counted by their size, not by the length of their base64. What a request only refers to
(a file, a URL), and what a tool of Claude's own brings in, is counted at the model's whole context window.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from sluice.claude.prices import PriceList

# Claude API: Vision. Tokens are about width times height / 750; larger images are scaled down to about this many.
MOST_IMAGE_TOKENS = 1600
_PIXELS_PER_TOKEN = 750
# Claude API: PDF support. The text of a page has 1,500 to 3,000 tokens, and it comes as an image besides.
PAGE_TOKENS = 3000 + MOST_IMAGE_TOKENS
# What the API writes into a prompt for tools and schemas, beside what the request says of them.
_TOOL_TOKENS = 1000
# Claude API: Tool use. Those that run at the client bring in nothing by themselves.
_CLIENT_TOOLS = ("bash_2", "browser_toolset_", "computer_", "memory_", "text_editor_", "tool_search_tool_")
# A search tool without "max_uses": nothing bounds it, and no answer is known to have made so many.
_SEARCHES = 20
# Places in which "model" is a word of somebody's own.
_NOT_PARAMS = frozenset({"input", "input_schema", "schema", "metadata", "data", "text"})
_PDF_PAGE = re.compile(rb"/Type\s*/Page(?![A-Za-z])")
# A PDF that packs its objects does not show how many pages it has.
_PACKED = b"/ObjStm"


@dataclass(frozen=True, slots=True)
class RequestBound:
    """Bounds of one request. ``unknown`` names what makes its prompt as long as the window can be; empty: nothing does.

    ``media_bytes`` of the request are base64 that counts as ``media_tokens``. ``cache_factor`` is what a token of the
    prompt costs at most, in prices of input; ``passes`` is how often the prompt may be read; ``models`` are all that
    it names.
    """

    media_bytes: int = 0
    media_tokens: int = 0
    unknown: frozenset[str] = frozenset()
    cache_factor: float = 1.0
    passes: int = 1
    searches: int = 0
    containers: int = 0
    models: frozenset[str] = frozenset()
    inference_geo: object = None
    fast: bool = False

    def prompt_tokens(self, request_bytes: int, window: int | None) -> int:
        """Return how many tokens the prompt has at most, of a request with so many bytes."""
        tokens = max(request_bytes - self.media_bytes, 0) + self.media_tokens
        if window is None:
            return tokens
        return window if self.unknown else min(tokens, window)


def bound_request(params: Mapping[str, Any]) -> RequestBound:
    """Look through the params of a request."""
    finder = _Finder()
    finder.look(params)
    finder.look_at_tools(params.get("tools"))
    if params.get("mcp_servers"):
        finder.unknown.add("MCP servers")
    return RequestBound(
        finder.media_bytes,
        finder.media_tokens,
        frozenset(finder.unknown),
        finder.cache_factor,
        2 if params.get("compaction") or "compact" in str(params.get("context_management")) else 1,
        finder.searches,
        finder.containers,
        frozenset(_models(params)),
        params.get("inference_geo"),
        params.get("speed") == "fast",
    )


def worst_cost(params: Mapping[str, Any], request_bytes: int, prices: PriceList) -> float | None:
    """Return what one call may cost at most, of all models that it names, in US dollars; None without a price."""
    return most_cost(bound_request(params), request_bytes, _most_tokens(params), prices)


def most_cost(
    bound: RequestBound, request_bytes: int, max_tokens: int, prices: PriceList, *, batch: bool = False
) -> float | None:
    """Return what a request with that bound may cost at most, in US dollars; None without a price of each model."""
    fees = bound.searches * prices.fees.web_search + bound.containers * prices.fees.container_hour
    total = 0.0
    for model in bound.models:
        found = prices.find(model)
        if found is None:
            return None
        prompt = bound.prompt_tokens(request_bytes, found.context_tokens) * bound.passes
        price = found.of_prompt(prompt)
        tokens = prompt * price.input * bound.cache_factor + max_tokens * price.output
        fast = (found.fast or prices.fees.unknown_fast) if bound.fast else 1.0
        total += tokens / 1e6 * fast * prices.geo_factor(bound.inference_geo)
    return total * (1 - prices.batch_discount if batch else 1.0) + fees


def models_in(params: Mapping[str, Any]) -> set[str]:
    """Return all models that a request names, wherever it does: its own, its advisor's, its fallbacks."""
    return set(_models(params))


def _models(value: Any) -> Iterator[str]:
    if isinstance(value, Mapping):
        for name, inner in value.items():
            if name == "model" and isinstance(inner, str):
                yield inner
            elif name not in _NOT_PARAMS:
                yield from _models(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _models(inner)


def _most_tokens(params: Mapping[str, Any]) -> int:
    value = params.get("max_tokens")
    return value if isinstance(value, int) and value > 0 else 0


class _Finder:
    """Walks through params, and notes what is more than text."""

    def __init__(self) -> None:
        self.media_bytes = self.media_tokens = self.searches = self.containers = 0
        self.unknown: set[str] = set()
        self.cache_factor = 1.0

    def look(self, value: Any) -> None:
        if isinstance(value, list):
            for inner in value:
                self.look(inner)
        elif isinstance(value, Mapping):
            source = value.get("source")
            if value.get("type") in ("image", "document") and isinstance(source, Mapping):
                self._take_source(str(value["type"]), source)
            if isinstance(control := value.get("cache_control"), Mapping):
                # Claude API: Pricing. A write costs 1.25 (five minutes) or 2 times the input.
                self.cache_factor = max(self.cache_factor, 2.0 if control.get("ttl") == "1h" else 1.25)
            if value.get("type") == "container_upload":
                self.unknown.add("files")
            for name, inner in value.items():
                if name not in ("input", "input_schema", "metadata"):
                    self.look(inner)

    def look_at_tools(self, tools: Any) -> None:
        for tool in tools if isinstance(tools, list) else ():
            kind = tool.get("type") if isinstance(tool, Mapping) else None
            self.media_tokens += _TOOL_TOKENS
            if not isinstance(kind, str) or kind == "custom" or kind.startswith(_CLIENT_TOOLS):
                continue
            self.unknown.add("tools that Claude runs")
            if kind.startswith("web_search"):
                uses = tool.get("max_uses")
                self.searches += uses if isinstance(uses, int) and uses > 0 else _SEARCHES
            self.containers += kind.startswith("code_execution")

    def _take_source(self, kind: str, source: Mapping[str, Any]) -> None:
        data = source.get("data")
        if source.get("type") != "base64" or not isinstance(data, str):
            if source.get("type") in ("url", "file"):
                self.unknown.add("files" if source["type"] == "file" else "documents and images at a URL")
            return
        self.media_bytes += len(data)
        if kind == "image":
            self.media_tokens += _image_tokens(data)
        elif (pages := _count_pages(data)) is None:
            self.unknown.add("PDFs whose pages cannot be counted")
        else:
            self.media_tokens += pages * PAGE_TOKENS


def _image_tokens(data: str) -> int:
    """Return how many tokens an image has at most: by its size where the head of a PNG or GIF says it."""
    head = _decode(data[:64])
    if head[:8] == b"\x89PNG\r\n\x1a\n" and len(head) >= 24:  # PNG: 11.2.2, IHDR.
        width, height = int.from_bytes(head[16:20], "big"), int.from_bytes(head[20:24], "big")
    elif head[:4] == b"GIF8" and len(head) >= 10:  # GIF89a: 18, logical screen descriptor.
        width, height = int.from_bytes(head[6:8], "little"), int.from_bytes(head[8:10], "little")
    else:
        return MOST_IMAGE_TOKENS
    return min(-(-width * height // _PIXELS_PER_TOKEN) + 1, MOST_IMAGE_TOKENS)


def _count_pages(data: str) -> int | None:
    document = _decode(data)
    pages = len(_PDF_PAGE.findall(document))
    return pages if pages and _PACKED not in document else None


def _decode(data: str) -> bytes:
    try:
        return base64.b64decode(data)
    except (ValueError, binascii.Error):
        return b""
