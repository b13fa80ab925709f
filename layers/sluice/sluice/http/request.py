"""What every door reads from the event of a Function URL in the same way (Lambda: payload format 2.0). Pure."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from typing import Any

from sluice.errors import InvalidRequest


def read_body(event: Mapping[str, Any]) -> bytes:
    """Return the bytes of a Function URL event's body. Raises InvalidRequest on broken base64."""
    body = event.get("body") or ""
    if not event.get("isBase64Encoded"):
        return str(body).encode("utf-8", "surrogatepass")
    try:
        return base64.b64decode(body, validate=True)
    except ValueError:
        raise InvalidRequest("The body could not be decoded.") from None


def base_url(event: Mapping[str, Any]) -> str:
    """Return where the called function is reached, without a slash at the end."""
    domain = str((event.get("requestContext") or {}).get("domainName") or "")
    host = str((event.get("headers") or {}).get("host") or "")
    local = host.partition(":")[0] in ("127.0.0.1", "localhost")
    return f"http://{host}" if local else f"https://{domain or host}"
