from __future__ import annotations

import base64
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from local.function_url.event import HttpRequest, encode_event


def event_of(
    *fields: tuple[str, str], method: str = "POST", target: str = "/v1/messages", body: bytes = b""
) -> dict[str, Any]:
    request = HttpRequest(method, target, "1.1", (("Host", "127.0.0.1:8000"), *fields), body, "127.0.0.9")
    event: dict[str, Any] = json.loads(encode_event(request, "id-1", "Root=1-2-3", 1_583_348_638.39))
    return event


def test_a_request_becomes_an_event_of_payload_format_2() -> None:
    event = event_of(("User-Agent", "curl/8"), ("Content-Type", "application/json"), body=b'{"a": "\xc3\xa9"}')
    assert event == {
        "version": "2.0",
        "routeKey": "$default",
        "rawPath": "/v1/messages",
        "rawQueryString": "",
        "headers": {
            "host": "127.0.0.1:8000",
            "user-agent": "curl/8",
            "content-type": "application/json",
            "x-amzn-trace-id": "Root=1-2-3",
            "x-forwarded-for": "127.0.0.9",
            "x-forwarded-proto": "http",
        },
        "requestContext": {
            "accountId": "anonymous",
            "apiId": "local",
            "domainName": "127.0.0.1:8000",
            "domainPrefix": "127",
            "http": {
                "method": "POST",
                "path": "/v1/messages",
                "protocol": "HTTP/1.1",
                "sourceIp": "127.0.0.9",
                "userAgent": "curl/8",
            },
            "requestId": "id-1",
            "routeKey": "$default",
            "stage": "$default",
            "time": "04/Mar/2020:19:03:58 +0000",
            "timeEpoch": 1583348638390,
        },
        "body": '{"a": "é"}',
        "isBase64Encoded": False,
    }


def test_repeated_fields_and_parameters_are_joined_by_commas() -> None:
    event = event_of(("X-A", "1"), ("x-a", "2"), target="/p%20q?a=1&b=&a=2%203")
    assert event["headers"]["x-a"] == "1,2"
    assert (event["rawPath"], event["rawQueryString"]) == ("/p%20q", "a=1&b=&a=2%203")
    assert event["queryStringParameters"] == {"a": "1,2 3", "b": ""}


def test_cookies_stand_apart_and_stay_in_their_header() -> None:
    event = event_of(("Cookie", "a=1; b=2"), ("Cookie", "c=3"))
    assert event["cookies"] == ["a=1", "b=2", "c=3"]
    assert event["headers"]["cookie"] == "a=1; b=2; c=3"


def test_a_request_without_query_cookies_and_body_has_none_of_them() -> None:
    assert {"queryStringParameters", "cookies", "body"} & set(event_of(method="GET")) == set()


@pytest.mark.parametrize(
    ("content_type", "body", "is_base64"),
    [
        ("application/json; charset=utf-8", b"{}", False),
        ("Text/Plain", b"a", False),
        ("application/problem+json", b"{}", False),
        ("application/octet-stream", b"a", True),
        ("application/x-www-form-urlencoded", b"a=1", True),
        ("", b"a", True),
        ("application/json", b"\xff", True),
    ],
)
def test_what_is_no_text_arrives_as_base64(content_type: str, body: bytes, is_base64: bool) -> None:
    event = event_of(("Content-Type", content_type), body=body)
    assert event["isBase64Encoded"] is is_base64
    assert (base64.b64decode(event["body"]) if is_base64 else event["body"].encode()) == body


def test_a_compressed_body_arrives_as_base64() -> None:
    event = event_of(("Content-Type", "application/json"), ("Content-Encoding", "gzip"), body=b"abc")
    assert (event["isBase64Encoded"], event["body"]) == (True, "YWJj")


@given(st.binary(max_size=200), st.sampled_from(["text/plain", "application/json", "image/png", ""]))
def test_no_byte_of_a_body_is_lost(body: bytes, content_type: str) -> None:
    event = event_of(("Content-Type", content_type), body=body)
    text = event.get("body", "")
    assert (base64.b64decode(text) if event["isBase64Encoded"] else text.encode()) == body
