"""What a person can do about requests that failed, by the API's word for the error."""

from __future__ import annotations

from collections.abc import Mapping

_ADVICE = {
    "invalid_request_error": "The API refuses these as they stand. Their messages say why; correct the requests first.",
    "request_too_large": "These requests are larger than the API takes. Shorten their prompts.",
    "not_found_error": "They name what is not there, such as a file that was deleted or a retired model. Correct them.",
    "authentication_error": "The API key was refused. Put a valid one into the stack's secret.",
    "permission_error": "The API key may not do this. Look at its workspace and at the models it may use.",
    "billing_error": "Look at the billing page of the Claude account.",
    "rate_limit_error": "The account's limits were in the way each time. Try again later, or ask for higher ones.",
    "overloaded_error": "The API was overloaded each time. Try again later.",
    "api_error": "The API failed inside each time. Try again later.",
    "timeout_error": "The API ran out of time each time. Try again later, or ask for less in one request.",
    "expired": "Claude did not get to these within 24 hours, each time. Try again later.",
    "canceled": "The job was cancelled before these were run. They cost nothing.",
    "missing": "Claude's results did not hold these, each time. Try again later.",
}
_UNKNOWN = "Look at the messages in errors.jsonl."


def advice_for(error_type: str) -> str:
    """Say in a sentence or two what to do about requests that ended in this error."""
    return _ADVICE.get(error_type, _UNKNOWN)


def retry_hint(errors: Mapping[str, int]) -> str:
    """Say how to run again what failed; empty where nothing did."""
    if not errors:
        return ""
    return "errors.jsonl holds the requests themselves: correct them where needed, and drop it in the Inbox as it is."
