"""What an error of Claude's API means."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sluice.claude.errors import SPEND_LIMIT, ErrorClass, classify_error, error_from_response, parse_retry_after
from sluice.errors import AccountError, ClaudeError, PermanentError, TransientError


@pytest.mark.parametrize(
    ("status", "error_type", "meaning"),
    [
        (400, "invalid_request_error", PermanentError),
        (401, "authentication_error", AccountError),
        (402, "billing_error", AccountError),
        (403, "permission_error", AccountError),
        (404, "not_found_error", AccountError),
        (409, "conflict_error", TransientError),
        (413, "request_too_large", PermanentError),
        (429, "rate_limit_error", TransientError),
        (500, "api_error", TransientError),
        (504, "timeout_error", TransientError),
        (529, "overloaded_error", TransientError),
    ],
)
@pytest.mark.parametrize("explained", [True, False])
def test_each_error_of_the_api_has_its_meaning(
    status: int, error_type: str, meaning: type[ClaudeError], explained: bool
) -> None:
    body = {"type": "error", "error": {"type": error_type, "message": "Because."}, "request_id": "req_1"}

    failure = error_from_response(status, body if explained else None)

    assert type(failure) is meaning
    assert (failure.error_type, failure.http_status) == (error_type, status)
    assert (str(failure) == "Because.") is explained
    assert failure.request_id == ("req_1" if explained else None)


def test_a_spend_limit_waits_for_a_person_although_it_looks_like_a_rate() -> None:
    body = {"error": {"type": "rate_limit_error", "message": "", "details": {"error_code": SPEND_LIMIT}}}

    assert type(error_from_response(429, body, retry_after=5.0)) is AccountError


@pytest.mark.parametrize(
    ("error_type", "status", "kind"),
    [
        ("new_error", 503, "transient"),
        ("new_error", 418, "permanent"),
        ("new_error", None, "permanent"),
        ("", 502, "transient"),
    ],
)
def test_what_is_not_known_passes_only_where_the_server_failed(
    error_type: str, status: int | None, kind: ErrorClass
) -> None:
    assert classify_error(error_type, None, status) == kind


anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=10),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["error", "type", "message", "details", "error_code", "request_id"]), inner)
    ),
)


@given(st.integers(400, 599), anything)
def test_any_body_makes_a_failure(status: int, body: object) -> None:
    failure = error_from_response(status, body, request_id="req_2")

    assert isinstance(failure, ClaudeError)
    assert failure.http_status == status
    assert str(failure)


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        ("0", 0.0),
        ("12.5", 12.5),
        ("86400", 86400.0),
        (None, None),
        ("", None),
        ("soon", None),
        ("-1", None),
        ("inf", None),
        ("nan", None),
    ],
)
def test_a_wait_is_read_in_seconds(header: str | None, seconds: float | None) -> None:
    assert parse_retry_after(header) == seconds
