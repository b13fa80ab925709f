"""What an error of Claude's API means."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import anthropic
import pytest
from hypothesis import given
from hypothesis import strategies as st

from simulator.errors import CAUSES
from sluice.claude import errors
from sluice.claude.errors import (
    ErrorClass,
    build_error,
    classify_error,
    concerns_message,
    error_from_response,
    is_disproved_by_batch,
    is_disproved_by_refusal,
    kind_of_failure,
    parse_retry_after,
    type_of_kind,
)
from sluice.errors import AccountError, ClaudeError, ModelError, PermanentError, TransientError


@pytest.mark.parametrize(
    ("status", "error_type", "meaning"),
    [
        (400, "invalid_request_error", PermanentError),
        (401, "authentication_error", AccountError),
        (402, "billing_error", AccountError),
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


MODEL = "claude-haiku-5-5"
KINDS = {
    "no_credit": "billing_error",
    "no_credit_402": "billing_error",
    "own_spend_limit": "spend_limit_reached",
    "workspace_spend_limit": "spend_limit_reached",
    "tier_spend_limit": "enforced_spend_limit_reached",
    "contract_spend_limit": "contract_spend_limit_reached",
    "organization_on_hold": "organization_on_hold",
    "cmek_key_disabled": "cmek_key_disabled",
    "cmek_key_unreachable": "cmek_key_unreachable",
    "human_review_disabled": "workspace_human_review_disabled",
    "ramp_limit": None,
    "key_refused": "authentication_error",
    "no_permission": f"permission_error:{MODEL}",
    "unknown_refusal": None,
}


@pytest.mark.parametrize("name", CAUSES)
def test_what_an_account_meets_is_known_in_every_disguise(name: str) -> None:
    cause = CAUSES[name]
    failure = build_error(cause.error_type, cause.message, cause.code, http_status=cause.status)

    assert (kind_of_failure(failure, MODEL) if isinstance(failure, AccountError) else None) == KINDS[name]


@pytest.mark.parametrize(
    ("error_type", "message", "meaning"),
    [
        ("not_found_error", f"model: {MODEL}", ModelError),
        ("not_found_error", "File not found: file_1", PermanentError),
        ("permission_error", f"Your key may not use the model {MODEL}.", ModelError),
        ("permission_error", "File file_1 belongs to another workspace.", PermanentError),
        ("invalid_request_error", 'messages: "Your credit balance is too low" is no role', PermanentError),
    ],
)
def test_what_one_request_names_concerns_nobody_else(error_type: str, message: str, meaning: type[ClaudeError]) -> None:
    assert type(build_error(error_type, message)) is meaning


@pytest.mark.parametrize("error_type", ["permission_error", "not_found_error"])
def test_a_call_that_is_no_message_is_refused_for_all_batches(error_type: str) -> None:
    failure = error_from_response(403, {"error": {"type": error_type, "message": "Not here."}}, of_message=False)

    assert type(failure) is AccountError
    kind = kind_of_failure(failure, MODEL)
    assert (kind, type_of_kind(kind)) == (f"{error_type}:batches", error_type)
    assert not concerns_message(kind, MODEL)
    assert is_disproved_by_batch(kind)


@pytest.mark.parametrize(
    ("kind", "message", "batch", "refusal"),
    [
        ("authentication_error", True, True, True),
        ("billing_error", True, False, False),
        (f"permission_error:{MODEL}", True, False, False),
        ("permission_error:claude-other", False, False, False),
        ("permission_error:batches", False, True, False),
    ],
)
def test_what_shows_that_the_cause_of_an_incident_is_gone(kind: str, message: bool, batch: bool, refusal: bool) -> None:
    assert concerns_message(kind, MODEL) is message
    assert is_disproved_by_batch(kind) is batch
    assert is_disproved_by_refusal(kind) is refusal


def sdk_codes() -> Iterator[str]:
    """Read the codes out of the SDK: each stands as a literal in a module of its own."""
    for module in (Path(anthropic.__file__).parent / "types").rglob("*_error_details.py"):
        for literal in re.findall(r"error_code: Literal\[([^\]]*)\]", module.read_text()):
            yield from re.findall(r'"([a-z0-9_]+)"', literal)


def test_each_code_that_the_sdk_knows_has_one_class() -> None:
    sets = (errors.ACCOUNT_CODES, errors.TRANSIENT_CODES, errors.REQUEST_CODES, errors.FOREIGN_CODES)
    known: frozenset[str] = frozenset().union(*sets)

    assert len(set(sdk_codes())) >= 100
    assert sorted(set(sdk_codes()) - known) == []
    assert sum(map(len, sets)) == len(known)


@pytest.mark.parametrize("code", sorted(errors.ACCOUNT_CODES))
def test_a_code_of_the_account_beats_the_type_and_names_the_incident(code: str) -> None:
    failure = error_from_response(429, {"error": {"type": "rate_limit_error", "details": {"error_code": code}}})

    assert isinstance(failure, AccountError)
    assert (type(failure), failure.error_code) == (AccountError, code)
    assert kind_of_failure(failure, MODEL) == code


@pytest.mark.parametrize(
    ("error_type", "status", "kind"),
    [
        ("new_error", 503, "transient"),
        ("new_error", 418, "request"),
        ("new_error", None, "request"),
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
