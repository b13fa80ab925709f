"""The API's errors: `{"type": "error", "error": {"type", "message", "details"?}, "request_id"}`."""

from collections.abc import Mapping
from dataclasses import dataclass

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


@dataclass(frozen=True, slots=True)
class Cause:
    """What really goes wrong with an account, as the API says it: status, type, `error_code` and message."""

    status: int
    error_type: str
    code: str | None
    message: str

    @property
    def details(self) -> dict[str, str] | None:
        return {"error_code": self.code} if self.code else None


CAUSES: Mapping[str, Cause] = {
    "no_credit": Cause(
        400,
        "invalid_request_error",
        None,
        "Your credit balance is too low to access the Anthropic API. Please go to Plans & Billing to upgrade or "
        "purchase credits.",
    ),
    "no_credit_402": Cause(402, "billing_error", None, "Your credit balance is too low to access the Anthropic API."),
    "own_spend_limit": Cause(
        400,
        "invalid_request_error",
        None,
        "You have reached your specified API usage limits. You will regain access on 2026-12-01 at 00:00 UTC.",
    ),
    "workspace_spend_limit": Cause(
        400,
        "invalid_request_error",
        None,
        "You have reached your specified workspace API usage limits. You will regain access on 2026-12-01.",
    ),
    "tier_spend_limit": Cause(
        429, "rate_limit_error", "enforced_spend_limit_reached", "You have reached the API usage limit of your tier."
    ),
    "contract_spend_limit": Cause(
        429, "rate_limit_error", "contract_spend_limit_reached", "The spend limit of your contract is reached."
    ),
    "organization_on_hold": Cause(
        400, "invalid_request_error", "organization_on_hold", "This organization has been disabled."
    ),
    "cmek_key_disabled": Cause(
        400, "invalid_request_error", "cmek_key_disabled", "The workspace's encryption key is disabled."
    ),
    "cmek_key_unreachable": Cause(
        400, "invalid_request_error", "cmek_key_unreachable", "The workspace's encryption key could not be reached."
    ),
    "human_review_disabled": Cause(
        400, "invalid_request_error", "workspace_human_review_disabled", "Human review is disabled in this workspace."
    ),
    "ramp_limit": Cause(429, "rate_limit_error", "ramp_limit_exceeded", "This request would exceed your ramp limit."),
    "key_refused": Cause(401, "authentication_error", None, "invalid x-api-key"),
    "no_permission": Cause(
        403, "permission_error", None, "Your API key does not have permission to use the specified resource."
    ),
    "unknown_refusal": Cause(400, "invalid_request_error", None, "This request was refused for a reason of tomorrow."),
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
