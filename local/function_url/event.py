"""An HTTP request as the event of a Function URL, payload format 2.0. Format: AWS Lambda, "Invoking Function URLs"."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from urllib.parse import parse_qsl

MAX_EVENT_BYTES = 6_291_556  # Lambda's quota for a synchronous invocation, to the byte
TEXT_TYPES = ("application/json", "application/javascript", "application/xml")


@dataclass(frozen=True, slots=True)
class HttpRequest:
    """A request as a client sent it; `target` is path and query, `fields` the header fields in order."""

    method: str
    target: str
    version: str
    fields: tuple[tuple[str, str], ...]
    body: bytes
    source_ip: str


def encode_event(request: HttpRequest, request_id: str, trace_id: str, received_at: float) -> bytes:
    """The JSON that the function gets. `received_at` is in seconds since the epoch."""
    path, _, query = request.target.partition("?")
    headers = _joined((name.lower(), value) for name, value in request.fields)
    headers |= {"x-amzn-trace-id": trace_id, "x-forwarded-for": request.source_ip, "x-forwarded-proto": "http"}
    body, is_base64 = _encode_body(request.body, headers)
    event: dict[str, object] = {
        "version": "2.0",
        "routeKey": "$default",
        "rawPath": path,
        "rawQueryString": query,
        "headers": headers,
        "requestContext": _request_context(request, path, headers, request_id, received_at),
        "isBase64Encoded": is_base64,
    }
    if query:
        event["queryStringParameters"] = _joined(parse_qsl(query, keep_blank_values=True))
    if "cookie" in headers:
        event["cookies"] = [cookie.strip() for cookie in headers["cookie"].split(";")]
    if body is not None:
        event["body"] = body
    return json.dumps(event, ensure_ascii=False, separators=(",", ":")).encode("utf-8")


def _request_context(
    request: HttpRequest, path: str, headers: dict[str, str], request_id: str, received_at: float
) -> dict[str, object]:
    domain = headers.get("host", "localhost")
    return {
        "accountId": "anonymous",
        "apiId": "local",
        "domainName": domain,
        "domainPrefix": domain.partition(".")[0],
        "http": {
            "method": request.method,
            "path": path,
            "protocol": f"HTTP/{request.version}",
            "sourceIp": request.source_ip,
            "userAgent": headers.get("user-agent", ""),
        },
        "requestId": request_id,
        "routeKey": "$default",
        "stage": "$default",
        "time": datetime.fromtimestamp(received_at, UTC).strftime("%d/%b/%Y:%H:%M:%S +0000"),
        "timeEpoch": int(received_at * 1000),
    }


def _joined(pairs: Iterable[tuple[str, str]]) -> dict[str, str]:
    """Repeated names with their values behind each other, parted by commas (cookies, by RFC 9110, by semicolons)."""
    joined: dict[str, str] = {}
    for name, value in pairs:
        separator = "; " if name == "cookie" else ","
        joined[name] = f"{joined[name]}{separator}{value}" if name in joined else value
    return joined


def _encode_body(body: bytes, headers: dict[str, str]) -> tuple[str | None, bool]:
    if not body:
        return None, False
    if "content-encoding" not in headers and _is_text(headers.get("content-type", "")):
        try:
            return body.decode("utf-8"), False
        except UnicodeDecodeError:
            pass  # called text and is none: it must still arrive as it was sent
    return base64.b64encode(body).decode("ascii"), True


def _is_text(content_type: str) -> bool:
    essence = content_type.partition(";")[0].strip().lower()
    return essence.startswith("text/") or essence in TEXT_TYPES or essence.endswith(("+json", "+xml"))
