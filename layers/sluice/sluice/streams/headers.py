"""Which headers pass, and which do not: to Claude, back to the client, and for browsers. Pure.

Everything passes that is not named here, so that what the API adds tomorrow works today.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from sluice.errors import InvalidRequest

# RFC 9110, section 7.6.1, and what stands for a connection's framing.
_HOP_BY_HOP = frozenset(
    {
        "connection",
        "content-length",
        "expect",
        "host",
        "keep-alive",
        "proxy-authenticate",
        "proxy-authorization",
        "proxy-connection",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
    }
)
# The client's credentials, cookies and whereabouts; and an encoding that we could not read.
_KEPT_BACK = _HOP_BY_HOP | {
    "accept-encoding",
    "authorization",
    "cookie",
    "forwarded",
    "last-event-id",
    "origin",
    "priority",
    "referer",
    "via",
    "x-api-key",
    "x-real-ip",
}
_KEPT_BACK_PREFIXES = ("x-amz-", "x-amzn-", "x-forwarded-", "cloudfront-", "sec-", "access-control-", "sluice-")
_NOT_RETURNED = _HOP_BY_HOP | {"alt-svc", "date", "server", "set-cookie", "strict-transport-security", "via"}
_NOT_RETURNED_PREFIXES = ("access-control-", "cf-")
# RFC 9110, sections 5.1 and 5.5, for lower-cased names.
_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9a-z-]+")
_VALUE = re.compile(r"[\t\x20-\x7e\x80-\xff]*")
# Claude API: Versioning. From this version on, SDKs send the key as a bearer token.
_BEARER_SINCE = "2026"


def headers_to_claude(headers: Mapping[str, str], key: str) -> dict[str, str]:
    """Choose from a client's headers (lower-cased) what Claude gets, with our key sent as the client sent its own.

    Raises InvalidRequest.
    """
    passed = passing_headers(headers)
    if _sends_bearer(headers):
        passed["authorization"] = f"Bearer {key}"
    else:
        passed["x-api-key"] = key
    return passed


def passing_headers(headers: Mapping[str, str]) -> dict[str, str]:
    """Choose from a client's headers (lower-cased) what may pass, without any credentials.

    Raises InvalidRequest for one that HTTP has no way to write.
    """
    named = {each.strip().lower() for each in headers.get("connection", "").split(",")}
    passed = {
        name: value
        for name, value in headers.items()
        if name not in _KEPT_BACK and name not in named and not name.startswith(_KEPT_BACK_PREFIXES)
    }
    for name, value in passed.items():
        if not _NAME.fullmatch(name) or not _VALUE.fullmatch(value):
            raise InvalidRequest(f"The header {name!a} cannot be passed on: it has characters that no header may have.")
    passed["accept-encoding"] = "identity"
    return passed


def headers_to_client(headers: Iterable[tuple[str, str]]) -> dict[str, str]:
    """Choose from Claude's headers what the client gets; several of one name are joined."""
    passed: dict[str, str] = {}
    for name, value in headers:
        name = name.lower()
        if name not in _NOT_RETURNED and not name.startswith(_NOT_RETURNED_PREFIXES):
            passed[name] = f"{passed[name]}, {value}" if name in passed else value
    return passed


def _sends_bearer(headers: Mapping[str, str]) -> bool:
    if headers.get("authorization", "").lower().startswith("bearer "):
        return True
    return "x-api-key" not in headers and headers.get("anthropic-version", "") >= _BEARER_SINCE
