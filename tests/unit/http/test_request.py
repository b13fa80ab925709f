from __future__ import annotations

from typing import Any

import pytest

from sluice.errors import InvalidRequest
from sluice.http.request import base_url, read_body


@pytest.mark.parametrize(
    ("event", "body"),
    [
        ({}, b""),
        ({"body": None, "isBase64Encoded": False}, b""),
        ({"body": "Grüße", "isBase64Encoded": False}, "Grüße".encode()),
        ({"body": "R3LDvMOfZQ==", "isBase64Encoded": True}, "Grüße".encode()),
    ],
)
def test_a_body_is_read_as_the_bytes_that_were_sent(event: dict[str, Any], body: bytes) -> None:
    assert read_body(event) == body


@pytest.mark.parametrize("body", ["R3L", "R3LDvMOf$Q=="])
def test_broken_base64_is_the_callers_error(body: str) -> None:
    with pytest.raises(InvalidRequest, match="could not be decoded"):
        read_body({"body": body, "isBase64Encoded": True})


@pytest.mark.parametrize(
    ("domain", "host", "url"),
    [
        (
            "abc.lambda-url.eu-west-1.on.aws",
            "abc.lambda-url.eu-west-1.on.aws",
            "https://abc.lambda-url.eu-west-1.on.aws",
        ),
        # A proxy in front may leave its own name in the header.
        ("abc.lambda-url.eu-west-1.on.aws", "api.example.com", "https://abc.lambda-url.eu-west-1.on.aws"),
        ("", "api.example.com", "https://api.example.com"),
        ("abc.lambda-url.eu-west-1.on.aws", "127.0.0.1:3002", "http://127.0.0.1:3002"),
        ("", "localhost:3002", "http://localhost:3002"),
    ],
)
def test_the_base_url_is_the_domain_of_the_function_or_the_local_host(domain: str, host: str, url: str) -> None:
    assert base_url({"requestContext": {"domainName": domain}, "headers": {"host": host}}) == url
