"""The API's errors: `{"type": "error", "error": {"type", "message", "details"?}, "request_id"}`."""

import msgspec
from msgspec import UNSET, Struct, UnsetType

TYPE_OF_STATUS = {
    400: "invalid_request_error",
    401: "authentication_error",
    402: "billing_error",
    403: "permission_error",
    404: "not_found_error",
    405: "invalid_request_error",
    409: "conflict_error",
    413: "request_too_large",
    429: "rate_limit_error",
    500: "api_error",
    503: "api_error",
    504: "timeout_error",
    529: "overloaded_error",
}

MESSAGE_OF_TYPE = {
    "invalid_request_error": "The request is not valid.",
    "authentication_error": "invalid x-api-key",
    "billing_error": "Your credit balance is too low to access the Anthropic API.",
    "permission_error": "Your API key does not have permission to use the specified resource.",
    "not_found_error": "The requested resource could not be found.",
    "conflict_error": "The resource is in a state that conflicts with this request.",
    "request_too_large": "Request exceeds the maximum size",
    "rate_limit_error": "This request would exceed your organization's rate limit.",
    "api_error": "Internal server error",
    "timeout_error": "The request timed out.",
    "overloaded_error": "Overloaded",
}


class ErrorObject(Struct):
    """What went wrong."""

    type: str
    message: str
    details: dict[str, str] | UnsetType = UNSET


class ErrorResponse(Struct, tag_field="type", tag="error"):
    """The body of an error; also the data of an `error` event, and what an errored result of a batch carries."""

    error: ErrorObject
    request_id: str | UnsetType = UNSET


class ApiError(Exception):
    """A call, or a request in a batch, that the API refuses."""

    def __init__(self, status: int, message: str, error_type: str | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.error_type = error_type or TYPE_OF_STATUS[status]
        self.message = message


def error_body(error_type: str, message: str, request_id: str, details: dict[str, str] | None = None) -> bytes:
    """The JSON of an error."""
    return msgspec.json.encode(ErrorResponse(ErrorObject(error_type, message, details or UNSET), request_id))
