"""Pages of browsers: which may call, and what they may send."""

from __future__ import annotations

import pytest

from sluice.http.cors import cors_headers, preflight_headers

ORIGIN = "https://app.example.com"


def test_a_page_of_an_allowed_origin_may_read() -> None:
    assert cors_headers(ORIGIN, (ORIGIN,))["access-control-allow-origin"] == ORIGIN
    assert cors_headers(ORIGIN, ("*",))["access-control-allow-origin"] == ORIGIN


@pytest.mark.parametrize(("origin", "allowed"), [(None, (ORIGIN,)), (ORIGIN, ()), ("https://evil.example", (ORIGIN,))])
def test_no_other_page_may(origin: str | None, allowed: tuple[str, ...]) -> None:
    assert "access-control-allow-origin" not in cors_headers(origin, allowed)


def test_a_preflight_allows_what_it_was_asked() -> None:
    headers = {"origin": ORIGIN, "access-control-request-headers": "x-api-key,anthropic-beta"}

    answer = preflight_headers(headers, (ORIGIN,))

    assert answer["access-control-allow-headers"] == "x-api-key,anthropic-beta"
    assert "DELETE" in answer["access-control-allow-methods"]
    assert answer["content-type"] == "text/plain"


@pytest.mark.parametrize(
    "sent", ["traceparent", "sentry-trace, x-stainless-lang", "anthropic-dangerous-direct-browser-access"]
)
def test_headers_that_tracing_and_sdks_add_are_allowed(sent: str) -> None:
    answer = preflight_headers({"origin": ORIGIN, "access-control-request-headers": sent}, (ORIGIN,))

    assert answer["access-control-allow-headers"] == sent
    assert answer["access-control-expose-headers"] == "*"
