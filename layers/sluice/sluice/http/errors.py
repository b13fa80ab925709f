"""How the doors say that something went wrong: every error as an answer over HTTP, and as the last event of a stream.

As an answer: the API's error body with its status (Claude API: Errors). In a stream that has begun: the API's ``error``
event (Claude API: Streaming). ``details.error_code`` says what cut a stream. On the standard library alone, since the
streaming door imports it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass

from sluice.errors import AccountError, ClaudeError, MethodNotAllowed, RequestError, SluiceError, TooManyRequests

# What went wrong at AWS or in our code names tables, buckets and roles, and who reads this may be anybody.
_UNTOLD = "Sluice could not do this now; the same call may work later."
# A 401 would tell a client that its own key is wrong.
_KEY_REFUSED = "Claude refuses this stack's key; its operator has to act."


@dataclass(frozen=True, slots=True)
class ErrorAnswer:
    """``headers`` have their names in lower case; ``body`` is JSON."""

    status: int
    headers: Mapping[str, str]
    body: bytes


def answer_for(error: Exception, request_id: str) -> ErrorAnswer:
    """Return what a caller over HTTP gets for an error. One that is none of Sluice's own is a defect: 500."""
    known = error if isinstance(error, SluiceError) else SluiceError()
    headers = {"content-type": "application/json", "request-id": request_id}
    if isinstance(known, TooManyRequests):
        headers["retry-after"] = str(max(round(known.retry_after), 1))
    if isinstance(known, MethodNotAllowed):
        headers["allow"] = known.allow
    if isinstance(known, RequestError) and not known.retryable:
        # SDKs take their verdict from this header first. Without it some try again for minutes before they show why.
        headers["x-should-retry"] = "false"
    message = str(known) if isinstance(known, (RequestError, ClaudeError)) else _UNTOLD
    if isinstance(known, AccountError) and known.error_type == "authentication_error":
        headers["x-should-retry"] = "false"  # To the SDKs: asking again is of no use until a person acts.
        return ErrorAnswer(503, headers, error_body("api_error", _KEY_REFUSED, request_id))
    # Claude's refusal of the stack's account would read as one of the caller's.
    error_type = ClaudeError.error_type if isinstance(known, AccountError) else known.error_type
    return ErrorAnswer(known.status, headers, error_body(error_type, message, request_id, known.code))


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
