"""What an error of Claude's API means for the one who asked.

The table is the API's own (Claude API: Errors; Message Batches: results). Unknown types with a 5xx status pass,
other unknown types are permanent: re-sending what was refused for a reason that we do not know costs money.
"""

from __future__ import annotations

from typing import Literal

from sluice.errors import AccountError, ClaudeError, PermanentError, TransientError

ErrorClass = Literal["transient", "permanent", "account"]

TRANSIENT = frozenset({"api_error", "overloaded_error", "timeout_error", "rate_limit_error", "conflict_error"})
ACCOUNT = frozenset({"authentication_error", "permission_error", "billing_error", "not_found_error"})
SPEND_LIMIT = "enforced_spend_limit_reached"

TYPE_OF_STATUS = {
    400: "invalid_request_error",
    401: "authentication_error",
    402: "billing_error",
    403: "permission_error",
    404: "not_found_error",
    408: "timeout_error",
    409: "conflict_error",
    413: "request_too_large",
    429: "rate_limit_error",
    500: "api_error",
    504: "timeout_error",
    529: "overloaded_error",
}

_CLASSES: dict[ErrorClass, type[ClaudeError]] = {
    "transient": TransientError,
    "permanent": PermanentError,
    "account": AccountError,
}


def classify_error(error_type: str, error_code: str | None = None, http_status: int | None = None) -> ErrorClass:
    """Return whether an error passes by itself, never will, or hits every request until a person acts.

    ``error_code`` is ``error.details.error_code``; ``http_status`` decides where the type is unknown.
    """
    if error_code == SPEND_LIMIT or error_type in ACCOUNT:
        return "account"
    if error_type in TRANSIENT or (http_status or 0) >= 500:
        return "transient"
    return "permanent"


def classify_result_error(error_type: str, message: str, error_code: str | None = None) -> ErrorClass:
    """Return the same for the error of one request in a batch.

    What is not found there may be a file that this request alone names; a model is named as ``model: <name>``.
    """
    if error_type == "not_found_error" and not message.startswith("model:"):
        return "permanent"
    return classify_error(error_type, error_code)


def error_from_response(
    http_status: int, body: object, *, retry_after: float | None = None, request_id: str | None = None
) -> ClaudeError:
    """Build the error for an answer with an error status. ``body`` is the decoded JSON, or anything else."""
    error = body.get("error") if isinstance(body, dict) else None
    error = error if isinstance(error, dict) else {}
    error_type = str(error.get("type") or TYPE_OF_STATUS.get(http_status) or "api_error")
    details = error.get("details")
    code = details.get("error_code") if isinstance(details, dict) else None
    message = str(error.get("message") or f"Claude answered with status {http_status} and no explanation.")
    if request_id is None and isinstance(body, dict) and isinstance(body.get("request_id"), str):
        request_id = body["request_id"]
    return _CLASSES[classify_error(error_type, code, http_status)](
        message, error_type=error_type, http_status=http_status, retry_after=retry_after, request_id=request_id
    )


def parse_retry_after(value: str | None) -> float | None:
    """Read a ``retry-after`` header in seconds; None where it is absent or not a number of seconds."""
    try:
        seconds = float(value or "")
    except ValueError:
        return None
    return seconds if 0 <= seconds < float("inf") else None
