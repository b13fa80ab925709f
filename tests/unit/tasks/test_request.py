from __future__ import annotations

import contextlib
import json
import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sluice.callbacks.addresses import AddressPolicy
from sluice.errors import InvalidRequest, RequestTooLarge
from sluice.http.idempotency import parse_idempotency_key
from sluice.http.json_body import MAX_BODY_BYTES
from sluice.tasks.request import TaskRequest, parse_task_request

PARAMS = {"max_tokens": 10, "messages": [{"role": "user", "content": "Hello"}]}


def parse(document: object, headers: dict[str, str] | None = None) -> TaskRequest:
    return parse_task_request(json.dumps(document).encode(), headers or {}, AddressPolicy())


def test_params_are_taken_as_they_came() -> None:
    params = PARAMS | {"model": "claude-opus-5-5", "a_param_of_tomorrow": {"x": [1]}}
    request = parse({"params": params})
    assert request.params == params
    assert request.model == "claude-opus-5-5"


def test_a_prompt_becomes_one_message() -> None:
    request = parse({"prompt": "Hello"})
    assert request.params["messages"] == [{"role": "user", "content": "Hello"}]
    assert request.model is None


def test_streaming_is_not_the_callers_choice() -> None:
    assert "stream" not in parse({"params": PARAMS | {"stream": True}}).params


def test_headers_that_claude_has_to_see_are_kept_and_keys_are_not() -> None:
    headers = {"anthropic-beta": "files-api-2025-04-14", "anthropic-version": "2023-06-01", "x-api-key": "secret"}
    request = parse({"params": PARAMS}, headers)
    assert set(request.headers) == {"anthropic-beta", "anthropic-version"}
    assert b"secret" not in request.document()


@pytest.mark.parametrize(
    ("document", "field"),
    [
        ({}, "params"),
        ({"params": PARAMS, "prompt": "Hello"}, "params"),
        ({"params": []}, "params"),
        ({"params": {"max_tokens": 5}}, "params.messages"),
        ({"params": {"max_tokens": 5, "messages": []}}, "params.messages"),
        ({"params": {"messages": [{}]}}, "params.max_tokens"),
        ({"params": PARAMS | {"max_tokens": True}}, "params.max_tokens"),
        ({"params": PARAMS | {"max_tokens": 0}}, "params.max_tokens"),
        ({"params": PARAMS | {"model": ""}}, "params.model"),
        ({"params": PARAMS | {"model": None}}, "params.model"),
        ({"params": PARAMS | {"model": "m" * 300_000}}, "params.model"),
        ({"prompt": ""}, "prompt"),
        ({"prompt": 5}, "prompt"),
        ({"prompt": "x", "callback": "https://hooks.example.com"}, "callback"),
        ({"prompt": "x", "callback_url": "https://127.0.0.1/"}, "callback_url"),
        ({"prompt": "x", "callback_url": 5}, "callback_url"),
        ({"prompt": "x", "topic_attribute": ""}, "topic_attribute"),
        ({"prompt": "x", "topic_attribute": "a", "callback_url": "https://hooks.example.com"}, "topic_attribute"),
        ({"prompt": "x", "metadata": "text"}, "metadata"),
        ({"prompt": "x", "metadata": {"a": "b" * 9000}}, "metadata"),
        ({"prompt": "x", "delay_seconds": -1}, "delay_seconds"),
        ({"prompt": "x", "delay_seconds": "5"}, "delay_seconds"),
        ({"prompt": "x", "delay_seconds": True}, "delay_seconds"),
        ({"prompt": "x", "delay_seconds": 10**7}, "delay_seconds"),
    ],
)
def test_a_wrong_field_is_named(document: dict[str, Any], field: str) -> None:
    with pytest.raises(InvalidRequest, match=f"^{field}: "):
        parse(document)


@pytest.mark.parametrize(
    "body",
    [b"", b"{", b"[]", b"null", b'"text"', b"\xff\xfe{}", b'{"prompt": NaN}', b'{"prompt": "\\ud800"}', b"[" * 100_000],
)
def test_a_body_that_is_no_json_object_is_refused(body: bytes) -> None:
    with pytest.raises(InvalidRequest):
        parse_task_request(body, {}, AddressPolicy())


@pytest.mark.parametrize(
    ("more", "field"),
    [
        ('"metadata": {"a": 1e999}', "metadata.a"),
        ('"metadata": {"a": [0, -1e999]}', "metadata.a[1]"),
        ('"delay_seconds": 1e999', "delay_seconds"),
        ('"unknown": 1e999', "unknown"),
    ],
)
def test_a_number_that_is_no_number_to_json_is_refused_by_the_name_of_its_field(more: str, field: str) -> None:
    body = f'{{"prompt": "To Infinity", {more}}}'.encode()
    with pytest.raises(InvalidRequest, match=f"^{re.escape(field)}: "):
        parse_task_request(body, {}, AddressPolicy())


def test_a_param_that_is_no_number_to_json_is_refused() -> None:
    body = b'{"params": {"max_tokens": 5, "messages": [{"role": "user", "content": "x"}], "temperature": 1e999}}'
    with pytest.raises(InvalidRequest, match=r"^params\.temperature: "):
        parse_task_request(body, {}, AddressPolicy())


def test_the_word_infinity_is_no_number() -> None:
    assert parse({"prompt": "Infinity", "metadata": {"a": "-Infinity"}}).metadata == '{"a": "-Infinity"}'


def test_a_body_above_the_limit_of_a_url_is_too_large() -> None:
    with pytest.raises(RequestTooLarge):
        parse_task_request(b" " * (MAX_BODY_BYTES + 1), {}, AddressPolicy())


def test_the_fingerprint_tells_bodies_apart_and_not_their_spelling() -> None:
    one = parse_task_request(b'{"prompt": "a", "delay_seconds": 5}', {}, AddressPolicy())
    same = parse_task_request(b'{"delay_seconds":5,\n"prompt":"\\u0061"}', {}, AddressPolicy())
    other = parse_task_request(b'{"prompt": "b", "delay_seconds": 5}', {}, AddressPolicy())
    assert one.fingerprint == same.fingerprint != other.fingerprint


def test_an_idempotency_key_has_a_longest_length() -> None:
    assert parse_idempotency_key({"idempotency-key": "a" * 255}) == "a" * 255
    assert parse_idempotency_key({}) is None
    with pytest.raises(InvalidRequest, match="Idempotency-Key"):
        parse_idempotency_key({"idempotency-key": "a" * 256})


@given(st.binary(max_size=200))
def test_any_bytes_are_read_or_refused(body: bytes) -> None:
    with contextlib.suppress(InvalidRequest):
        assert parse_task_request(body, {}, AddressPolicy()).params
