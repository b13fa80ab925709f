"""What a request may cost at most, known before it is sent."""

from __future__ import annotations

import base64
import struct
from typing import Any

import pytest

from sluice.claude.prices import shipped_prices
from sluice.claude.worst_case import MOST_IMAGE_TOKENS, PAGE_TOKENS, bound_request, models_in, worst_cost

OPUS, HAIKU = "claude-opus-5-5", "claude-haiku-5-5"
PNG = b"\x89PNG\r\n\x1a\n" + struct.pack(">I4sII", 13, b"IHDR", 300, 250) + bytes(3000)
PDF = b"%PDF-1.7 /Type /Pages /Type /Page /Type/Page " + bytes(2000)


def params(*content: Any, **more: Any) -> dict[str, Any]:
    return {"model": OPUS, "max_tokens": 10, "messages": [{"role": "user", "content": list(content)}], **more}


def media(kind: str, data: bytes) -> dict[str, Any]:
    return {"type": kind, "source": {"type": "base64", "data": base64.b64encode(data).decode()}}


@pytest.mark.parametrize(
    ("block", "tokens"),
    [
        (media("image", PNG), 101),
        (media("image", b"\xff\xd8\xff" + bytes(5000)), MOST_IMAGE_TOKENS),
        (media("document", PDF), 2 * PAGE_TOKENS),
    ],
)
def test_media_count_by_their_size_and_not_by_their_base64(block: dict[str, Any], tokens: int) -> None:
    bound = bound_request(params(block))

    assert bound.media_tokens == tokens
    assert bound.media_bytes == len(block["source"]["data"])
    assert not bound.unknown


@pytest.mark.parametrize(
    ("asked", "what"),
    [
        (params({"type": "document", "source": {"type": "file", "file_id": "file_1"}}), "files"),
        (params({"type": "image", "source": {"type": "url", "url": "https://a"}}), "documents and images at a URL"),
        (params(media("document", b"%PDF /ObjStm /Type /Page")), "PDFs whose pages cannot be counted"),
        (params(tools=[{"type": "web_search_20250305", "name": "web_search"}]), "tools that Claude runs"),
        (params(mcp_servers=[{"type": "url", "url": "https://a", "name": "a"}]), "MCP servers"),
    ],
)
def test_what_is_only_referred_to_counts_as_the_whole_window(asked: dict[str, Any], what: str) -> None:
    assert bound_request(asked).unknown == {what}
    assert (worst_cost(asked, 100, shipped_prices()) or 0) >= 4.0


def test_a_tool_of_the_clients_is_bounded_by_its_text() -> None:
    tools = [{"name": "a", "input_schema": {}}, {"type": "text_editor_20250728", "name": "b"}]

    assert not bound_request(params(tools=tools)).unknown


def test_a_token_is_a_byte_at_least_and_the_window_is_the_end() -> None:
    def cost(size: int, **more: Any) -> float:
        return worst_cost(params(**more), size, shipped_prices()) or 0.0

    answer = 10 * 20 / 1e6
    assert cost(1000) == pytest.approx(1000 * 4 / 1e6 + answer)
    assert cost(30_000_000) == pytest.approx(4.0 + answer)
    assert cost(1000, inference_geo="us", speed="fast") == pytest.approx(2.2 * cost(1000))
    assert cost(1000, cache_control={"type": "ephemeral", "ttl": "1h"}) == pytest.approx(0.008 + answer)
    searches = [{"type": "web_search_20250305", "name": "web_search", "max_uses": 3}]
    assert cost(1000, tools=searches) == pytest.approx(4.0 + answer + 0.03)


def test_every_model_that_is_named_is_found_and_paid_for() -> None:
    tools = [
        {"type": "advisor_20260301", "name": "advisor", "model": OPUS},
        {"name": "car", "input_schema": {"properties": {"model": {"type": "string"}}, "model": "no model"}},
    ]
    used = {"type": "tool_use", "id": "1", "name": "car", "input": {"model": "Volvo"}}
    asked = params(used, tools=tools, fallbacks=[{"model": "claude-of-tomorrow"}]) | {"model": HAIKU}

    assert models_in(asked) == {HAIKU, OPUS, "claude-of-tomorrow"}
    assert worst_cost(asked, 100, shipped_prices()) is None
