"""What passes to Claude and back."""

from __future__ import annotations

import pytest

from sluice.streams.headers import headers_to_claude, headers_to_client


@pytest.mark.parametrize(
    "name",
    [
        "authorization",
        "x-api-key",
        "cookie",
        "host",
        "x-amz-security-token",
        "x-forwarded-for",
        "sluice-keep",
        "origin",
    ],
)
def test_what_is_the_clients_own_stays_here(name: str) -> None:
    sent = headers_to_claude({name: "theirs", "anthropic-version": "2023-06-01"}, "ours")

    assert "theirs" not in sent.values()


def test_headers_of_tomorrow_pass() -> None:
    headers = {"anthropic-version": "2027-01-01", "anthropic-beta": "x", "x-new": "1", "accept": "text/event-stream"}

    assert headers.items() <= headers_to_claude(headers, "ours").items()


def test_what_the_connection_names_is_a_hop() -> None:
    assert "x-hop" not in headers_to_claude({"connection": "close, X-Hop", "x-hop": "1"}, "ours")


def test_no_answer_comes_compressed() -> None:
    assert headers_to_claude({"accept-encoding": "gzip, br"}, "ours")["accept-encoding"] == "identity"


@pytest.mark.parametrize(
    ("headers", "name", "value"),
    [
        ({"authorization": "Bearer theirs"}, "authorization", "Bearer ours"),
        ({"x-api-key": "theirs"}, "x-api-key", "ours"),
        ({"x-api-key": "theirs", "anthropic-version": "2026-10-21"}, "x-api-key", "ours"),
        ({"authorization": "AWS4-HMAC-SHA256 x", "anthropic-version": "2026-10-21"}, "authorization", "Bearer ours"),
        ({"authorization": "AWS4-HMAC-SHA256 x", "anthropic-version": "2023-06-01"}, "x-api-key", "ours"),
    ],
)
def test_our_key_goes_the_way_the_clients_own_would(headers: dict[str, str], name: str, value: str) -> None:
    sent = headers_to_claude(headers, "ours")

    assert sent[name] == value
    assert ("authorization" in sent) != ("x-api-key" in sent)


def test_claudes_headers_come_back_without_hops() -> None:
    answer = [
        ("Request-Id", "req_1"),
        ("Anthropic-RateLimit-Requests-Remaining", "9"),
        ("Transfer-Encoding", "chunked"),
        ("Set-Cookie", "a=b"),
        ("X-Two", "1"),
        ("x-two", "2"),
        ("Access-Control-Allow-Origin", "*"),
    ]

    assert headers_to_client(answer) == {
        "request-id": "req_1",
        "anthropic-ratelimit-requests-remaining": "9",
        "x-two": "1, 2",
    }
