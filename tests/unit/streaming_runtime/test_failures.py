from __future__ import annotations

import json

import pytest

from streaming_runtime.failures import MAX_MESSAGE_CHARACTERS, AnswerNotEncodable, Failure


def fall(depth: int) -> None:
    if depth == 0:
        raise ValueError("the floor")
    fall(depth - 1)


def test_a_failure_is_told_by_type_message_and_stack() -> None:
    with pytest.raises(ValueError) as caught:
        fall(2)
    failure = Failure(caught.value)
    document = json.loads(failure.document)
    assert failure.error_type == "ValueError"
    assert (document["errorType"], document["errorMessage"]) == ("ValueError", "the floor")
    assert len(document["stackTrace"]) == 4
    assert 'raise ValueError("the floor")' in document["stackTrace"][-1]


def test_the_runtimes_own_failures_carry_lambdas_names() -> None:
    assert Failure(AnswerNotEncodable("a set")).error_type == "Runtime.MarshalError"


def test_a_failure_fits_into_a_trailer_however_long_its_message_and_stack_are() -> None:
    with pytest.raises(ValueError) as caught:
        fall(200)
    assert len(Failure(caught.value).document) < 16_384
    document = json.loads(Failure(ValueError("x" * 1_000_000)).document)
    assert document["errorMessage"] == "x" * MAX_MESSAGE_CHARACTERS


def test_a_message_in_any_script_leaves_as_ascii() -> None:
    assert json.loads(Failure(ValueError("größer \ud800")).document)["errorMessage"] == "größer \ud800"
