"""How the streaming door says that something went wrong, before and after the first byte.

Before it: the API's error body with its status (Claude API: Errors). After it: the API's ``error`` event (Claude API:
Streaming), whose ``details.error_code`` says what cut the stream.
"""

from __future__ import annotations

import json


def error_body(error_type: str, message: str, request_id: str, code: str | None = None) -> bytes:
    """Return an error in the API's shape."""
    error: dict[str, object] = {"type": error_type, "message": message}
    if code is not None:
        error["details"] = {"error_code": code}
    body = {"type": "error", "error": error, "request_id": request_id}
    # Half a surrogate pair, which UTF-8 does not have, becomes the escape that it is in JSON.
    return json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "backslashreplace")


def error_event(error_type: str, message: str, request_id: str, code: str | None = None) -> bytes:
    """Return an error as the API's event."""
    return b"event: error\ndata: " + error_body(error_type, message, request_id, code) + b"\n\n"
