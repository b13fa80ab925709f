"""What a caller gets for each error, and that errors.py draws them all."""

from __future__ import annotations

import importlib
import json
import pkgutil
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest

import sluice
from sluice import errors
from sluice.claude.errors import TYPE_OF_STATUS
from sluice.errors import (
    AccountError,
    AwsError,
    AwsUnavailable,
    ClaudeError,
    InputError,
    MethodNotAllowed,
    RequestError,
    SluiceError,
    TooManyRequests,
)
from sluice.http.errors import ErrorAnswer, answer_for
from sluice.streams.connect import CallRefused
from sluice.streams.errors import StreamCut

_ROW = re.compile(r" {4}((?:[│ ] {3})*(?:[├└]── )?)(\w+) +(\d{3}) (\w+) +(\S.*)")

# Errors that take more than a message.
MADE: dict[type[SluiceError], Callable[[], SluiceError]] = {
    MethodNotAllowed: lambda: MethodNotAllowed("why", "GET, DELETE"),
    TooManyRequests: lambda: TooManyRequests("why", 2.6),
    StreamCut: lambda: StreamCut("connection_cut", "why"),
}


@dataclass(frozen=True, slots=True)
class Row:
    """A line of the drawing: ``depth`` 0 is its root."""

    depth: int
    name: str
    status: int
    error_type: str
    meaning: str


def drawn() -> list[Row]:
    rows = [_ROW.fullmatch(line) for line in (errors.__doc__ or "").splitlines()]
    return [Row(len(row[1]) // 4, row[2], int(row[3]), row[4], row[5]) for row in rows if row]


def drawn_parents() -> dict[str, str]:
    """Return each name of the drawing with the one it hangs from."""
    path: list[str] = []
    parents = {}
    for row in drawn():
        del path[row.depth :]
        parents[row.name] = path[-1] if path else "Exception"
        path.append(row.name)
    return parents


def walk(error_class: type[SluiceError]) -> Iterator[type[SluiceError]]:
    yield error_class
    for each in error_class.__subclasses__():
        yield from walk(each)


def all_errors() -> list[type[SluiceError]]:
    """Return every error of the library, with all of its modules imported."""
    for module in pkgutil.walk_packages(sluice.__path__, "sluice."):
        if not module.name.endswith("__main__"):
            importlib.import_module(module.name)
    return [each for each in walk(SluiceError) if each.__module__.startswith("sluice.")]


ERRORS = all_errors()
REFUSALS = [each for each in ERRORS if issubclass(each, RequestError) and each is not RequestError]


def error_of(answer: ErrorAnswer) -> dict[str, Any]:
    body = json.loads(answer.body)
    assert (body["type"], body["request_id"]) == ("error", "req_1")
    error: dict[str, Any] = body["error"]
    return error


def answer_to(error_class: type[SluiceError]) -> ErrorAnswer:
    return answer_for(MADE[error_class]() if error_class in MADE else error_class("why"), "req_1")


def test_the_drawing_has_each_error_once_and_where_it_belongs() -> None:
    assert len(ERRORS) >= 30
    assert len(drawn_parents()) == len(drawn())
    assert drawn_parents() == {each.__name__: each.__bases__[0].__name__ for each in ERRORS}


@pytest.mark.parametrize("row", drawn(), ids=lambda row: row.name)
def test_the_drawing_says_of_an_error_what_its_class_says(row: Row) -> None:
    error_class = next(each for each in ERRORS if each.__name__ == row.name)

    assert (row.status, row.error_type) == (error_class.status, error_class.error_type)
    assert row.meaning.startswith("retryable") == error_class.retryable


@pytest.mark.parametrize("error_class", [each for each in ERRORS if each is not CallRefused])
def test_each_error_has_an_answer_with_its_status_and_type(error_class: type[SluiceError]) -> None:
    answer = answer_to(error_class)

    assert (answer.status, error_of(answer)["type"]) == (error_class.status, error_class.error_type)
    assert error_class.error_type in TYPE_OF_STATUS.values()
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["request-id"] == "req_1"


def test_a_caller_can_tell_any_two_refusals_apart() -> None:
    codes = [(each.status, each.error_type) for each in REFUSALS]

    assert len(codes) == len(set(codes)) == 9
    assert all(400 <= status < 500 for status, _ in codes)


def test_the_type_of_a_refusal_is_the_one_that_claude_has_for_its_status() -> None:
    unknown_to_claude = {405}
    for each in REFUSALS:
        if each.status not in unknown_to_claude:
            assert TYPE_OF_STATUS[each.status] == each.error_type


@pytest.mark.parametrize(("seconds", "header"), [(0.2, "1"), (2.6, "3"), (60.0, "60")])
def test_who_has_to_wait_is_told_how_long_in_whole_seconds(seconds: float, header: str) -> None:
    assert answer_for(TooManyRequests("why", seconds), "req_1").headers["retry-after"] == header


def test_a_wrong_method_is_answered_with_the_right_ones() -> None:
    answer = answer_to(MethodNotAllowed)

    assert (answer.status, answer.headers["allow"]) == (405, "GET, DELETE")


@pytest.mark.parametrize("error_class", [*REFUSALS, ClaudeError], ids=lambda each: each.__name__)
def test_what_the_caller_or_claude_did_is_told(error_class: type[SluiceError]) -> None:
    assert error_of(answer_to(error_class))["message"] == "why"


@pytest.mark.parametrize(
    "error",
    [
        SluiceError("why"),
        InputError("why"),
        AwsError("why"),
        AwsUnavailable("why"),
        KeyError("why"),
        RuntimeError("why"),
    ],
    ids=lambda each: type(each).__name__,
)
def test_what_went_wrong_inside_is_not_told(error: Exception) -> None:
    answer = answer_for(error, "req_1")

    assert "why" not in answer.body.decode()
    assert error_of(answer)["message"] == "Sluice could not do this now; the same call may work later."


def test_a_defect_is_an_internal_error() -> None:
    answer = answer_for(KeyError("why"), "req_1")

    assert (answer.status, error_of(answer)["type"]) == (500, "api_error")


def test_a_refused_key_of_the_stack_reads_as_a_stack_out_of_order() -> None:
    answer = answer_for(AccountError("invalid x-api-key", error_type="authentication_error"), "req_1")

    assert (answer.status, error_of(answer)["type"]) == (503, "api_error")
    assert answer.headers["x-should-retry"] == "false"
    assert "operator" in error_of(answer)["message"]


@pytest.mark.parametrize("error_type", ["permission_error", "billing_error"])
def test_trouble_with_the_stacks_own_account_does_not_read_as_the_callers(error_type: str) -> None:
    answer = answer_for(AccountError("why", error_type=error_type), "req_1")

    assert (answer.status, error_of(answer)["type"]) == (502, "api_error")


@pytest.mark.parametrize(
    ("cut", "status", "error_type"),
    [
        (StreamCut("connection_cut", "why"), 502, "api_error"),
        (StreamCut("stalled", "why"), 504, "timeout_error"),
        (StreamCut("claude_error", "why", error_type="overloaded_error", frame=b"x"), 529, "overloaded_error"),
    ],
    ids=lambda value: value.code if isinstance(value, StreamCut) else "",
)
def test_a_cut_before_the_first_byte_says_what_cut_the_stream(cut: StreamCut, status: int, error_type: str) -> None:
    answer = answer_for(cut, "req_1")

    assert (answer.status, error_of(answer)) == (
        status,
        {"type": error_type, "message": "why", "details": {"error_code": cut.code}},
    )


def test_no_other_error_has_a_code() -> None:
    coded = [each for each in ERRORS if each is not CallRefused and "details" in error_of(answer_to(each))]

    assert coded == [StreamCut]


@pytest.mark.parametrize(
    "error_class",
    [
        errors.InvalidRequest,
        errors.Unauthenticated,
        errors.BudgetSpent,
        errors.Forbidden,
        errors.NotFound,
        errors.Conflict,
        errors.RequestTooLarge,
    ],
)
def test_a_refusal_that_will_not_change_says_that_trying_again_is_of_no_use(error_class: type[SluiceError]) -> None:
    assert answer_for(error_class("why"), "req_1").headers["x-should-retry"] == "false"


def test_who_has_to_wait_may_try_again() -> None:
    assert "x-should-retry" not in answer_for(TooManyRequests("why", 3.0), "req_1").headers
