"""What every door reads from the event of a Function URL in the same way (Lambda: payload format 2.0). Pure."""

from __future__ import annotations

import base64
import re
from collections.abc import Mapping
from typing import Any, Literal

from sluice.errors import InvalidRequest

_AT_STREAM_URL = "It is at the stream URL (the stack's output StreamUrl)."
_AT_API_URL = "It is at the API URL (the stack's output ApiUrl)."
_DIRECTIONS = tuple(
    (re.compile(rf"/v1/(?:{paths})(?:/|$)"), sentence)
    for paths, sentence in (
        ("messages/batches", "Batches are made by dropping a file in the Inbox (docs/jobs.md), at the same price."),
        ("messages|models|streams", _AT_STREAM_URL),
        ("tasks|jobs|incidents", _AT_API_URL),
        ("files", "Files are not kept here; name them by their URL in the request, or send their content with it."),
        ("skills|agents|sessions|environments", "Sluice does not offer it; send what it would hold with each request."),
        ("complete", "Text completions are not offered; ask POST /v1/messages."),
        ("organizations", "The account is managed at Claude itself, not here."),
    )
)
_WITHOUT_VERSION = re.compile(r"/(?:messages|models|streams|tasks|jobs|incidents)(?:/|$)")


def read_body(event: Mapping[str, Any]) -> bytes:
    """Return the bytes of a Function URL event's body. Raises InvalidRequest on broken base64."""
    body = event.get("body") or ""
    if not event.get("isBase64Encoded"):
        return str(body).encode("utf-8", "surrogatepass")
    try:
        return base64.b64decode(body, validate=True)
    except ValueError:
        raise InvalidRequest("The body could not be decoded.") from None


def clean_path(path: str) -> str:
    """Return the path that a caller can only have meant: base URLs are written with ``/v1`` and without, and joined
    with a slash too many or too few. Clients that got a 404 for it would tell people that the model does not exist.
    """
    cleaned = re.sub(r"/{2,}", "/", path)
    cleaned = cleaned.rstrip("/") or "/"
    cleaned = re.sub(r"^(?:/v1)+(?=/|$)", "/v1", cleaned)
    return f"/v1{cleaned}" if _WITHOUT_VERSION.match(cleaned) else cleaned


def direct_elsewhere(path: str, door: Literal["stream", "api"]) -> str | None:
    """Return where to turn with a call that Claude's API, or the other door, has and this one has not; or None."""
    own = _AT_STREAM_URL if door == "stream" else _AT_API_URL
    return next((each for beginning, each in _DIRECTIONS if beginning.match(path) and each != own), None)


def base_url(event: Mapping[str, Any]) -> str:
    """Return where the called function is reached, without a slash at the end."""
    domain = str((event.get("requestContext") or {}).get("domainName") or "")
    host = str((event.get("headers") or {}).get("host") or "")
    local = host.partition(":")[0] in ("127.0.0.1", "localhost")
    return f"http://{host}" if local else f"https://{domain or host}"
