"""Reading calls: the sample events, routes, bodies, prompts."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from sluice.errors import InvalidRequest, MethodNotAllowed, NotFound, RequestTooLarge
from sluice.streams.request import Request, Route, complete_prompt, find_route, parse_event, parse_params

EVENTS = Path(__file__).resolve().parents[3] / "events"


def call(method: str, path: str, body: bytes = b"") -> Request:
    return Request(method, path, "", {}, body, {})


def sample(case: str) -> Request:
    return parse_event(json.loads((EVENTS / f"stream_messages_{case}.json").read_text()))


def test_a_signed_call_is_read() -> None:
    request = sample("signed")

    assert (request.method, request.path) == ("POST", "/v1/messages")
    assert parse_params(request.body)["stream"] is True
    assert request.context["authorizer"]["iam"]["userArn"].startswith("arn:aws:sts:")


def test_a_body_in_base64_is_read() -> None:
    assert parse_params(sample("base64").body)["messages"][0]["content"] == "Grüße aus Köln 🦊"


def test_a_preflight_is_known() -> None:
    assert sample("preflight").is_preflight
    assert not sample("signed").is_preflight


def test_a_person_is_known() -> None:
    request = sample("prompt")

    assert request.wants_text
    assert not sample("signed").wants_text


@pytest.mark.parametrize("event", [{}, {"Records": []}, {"requestContext": {}}, {"httpMethod": "GET"}])
def test_what_is_no_call_is_told(event: dict[str, object]) -> None:
    with pytest.raises(InvalidRequest, match="Function URL"):
        parse_event(event)


@pytest.mark.parametrize(
    ("method", "path", "route"),
    [
        ("POST", "/v1/messages", Route("messages")),
        ("POST", "/v1/messages/count_tokens", Route("count_tokens")),
        ("GET", "/v1/models", Route("models")),
        ("GET", "/v1/models/claude-sonnet-4-5@20250929", Route("models")),
        ("GET", "/v1/streams/stream_abc", Route("stream", "stream_abc")),
        ("DELETE", "/v1/streams/stream_abc", Route("stream", "stream_abc")),
        ("POST", "/v1/streams/stream_abc/lease", Route("lease", "stream_abc")),
    ],
)
def test_what_the_door_has_is_found(method: str, path: str, route: Route) -> None:
    assert find_route(call(method, path)) == route


@pytest.mark.parametrize(
    "path",
    [
        "/",
        "/v1",
        "/v1/message",
        "/v1/models/../x",
        "/v1/models/%2e%2e",
        "/v1/models/a/b",
        "/v1/streams/" + "s" * 3000,
    ],
)
def test_what_the_door_has_not_is_not_found(path: str) -> None:
    with pytest.raises(NotFound, match="POST /v1/messages"):
        find_route(call("POST", path))


@pytest.mark.parametrize(
    ("path", "meant"),
    [
        ("/v1/v1/messages", "/v1/messages"),
        ("/v1/v1/v1/messages/count_tokens", "/v1/messages/count_tokens"),
        ("/messages", "/v1/messages"),
        ("/models/claude-haiku-5-5", "/v1/models/claude-haiku-5-5"),
        ("//v1/messages", "/v1/messages"),
        ("/v1//messages/", "/v1/messages"),
        ("/v1/models/", "/v1/models"),
    ],
)
def test_a_path_that_can_only_mean_one_thing_is_taken_for_it_and_claude_gets_that(path: str, meant: str) -> None:
    event = {"rawPath": path, "requestContext": {"http": {"method": "POST"}}}

    assert parse_event(event).path == parse_event(event).target == meant


@pytest.mark.parametrize(
    ("path", "where"),
    [
        ("/v1/messages/batches", "Inbox"),
        ("/v1/messages/batches/msgbatch_1/results", "Inbox"),
        ("/v1/files", "by their URL"),
        ("/v1/tasks", "ApiUrl"),
        ("/v1/jobs/j", "ApiUrl"),
        ("/v1/complete", "POST /v1/messages"),
        ("/v1/organizations/me", "at Claude itself"),
    ],
)
def test_a_call_that_belongs_elsewhere_is_told_where(path: str, where: str) -> None:
    with pytest.raises(NotFound, match=where):
        find_route(call("POST", path))


@pytest.mark.parametrize(("method", "path", "allow"), [("GET", "/v1/messages", "POST"), ("POST", "/v1/models", "GET")])
def test_a_wrong_method_is_told_the_right_one(method: str, path: str, allow: str) -> None:
    with pytest.raises(MethodNotAllowed) as refused:
        find_route(call(method, path))

    assert refused.value.allow == allow


def test_a_body_that_is_too_large_is_told() -> None:
    with pytest.raises(RequestTooLarge, match="6000001 bytes"):
        find_route(call("POST", "/v1/messages", b" " * 6_000_001))


def test_a_lone_surrogate_is_no_crash() -> None:
    event = {"requestContext": {"http": {"method": "POST"}}, "body": '{"a": "\ud800"}'}

    assert parse_params(parse_event(event).body) == {"a": "\ud800"}


def test_an_integer_that_is_too_long_is_told() -> None:
    with pytest.raises(InvalidRequest, match="digits"):
        parse_params(b'{"max_tokens": ' + b"1" * 5000 + b"}")


def test_a_body_in_broken_base64_is_told() -> None:
    event = {"requestContext": {"http": {"method": "POST"}}, "body": "x", "isBase64Encoded": True}

    with pytest.raises(InvalidRequest, match="decoded"):
        parse_event(event)


@pytest.mark.parametrize(
    ("path", "query", "target"),
    [
        ("/v1/models", "", "/v1/models"),
        ("/v1/models", "limit=2&after_id=a%20b+c", "/v1/models?limit=2&after_id=a%20b+c"),
        ("/v1/models", 'a=1&&b&c="<|>', '/v1/models?a=1&&b&c="<|>'),
        ("/v1/models", "X-Amz-Signature=ab&limit=2&x-amz-security-token=t", "/v1/models?limit=2"),
        ("/v1/models", "X%2DAmz-Signature=ab&X-AMZ-Date", "/v1/models"),
        ("/v1/models", "q=x-amz-date&my-x-amz-date=1", "/v1/models?q=x-amz-date&my-x-amz-date=1"),
        ("/v1/models/modèle", "q=é ü", "/v1/models/mod%C3%A8le?q=%C3%A9%20%C3%BC"),
    ],
)
def test_claude_gets_path_and_query_without_the_callers_signature(path: str, query: str, target: str) -> None:
    assert Request("GET", path, query, {}, b"", {}).target == target


def test_a_name_that_stands_twice_is_refused_where_it_matters() -> None:
    body = b'{"model": "a", "model": "b"}'

    assert parse_params(body) == {"model": "b"}
    with pytest.raises(InvalidRequest, match="twice"):
        parse_params(body, refuse_repeats=True)


def test_a_prompt_is_made_a_whole_request() -> None:
    assert complete_prompt({"prompt": "Hi"}, "m") == {
        "messages": [{"role": "user", "content": "Hi"}],
        "model": "m",
        "max_tokens": 4096,
        "stream": True,
    }


def test_what_a_person_says_stays() -> None:
    params = {"prompt": "Hi", "model": "mine", "max_tokens": 5, "system": "Be brief", "stream": False}

    completed = complete_prompt(params, "m")

    assert (completed["model"], completed["max_tokens"], completed["system"]) == ("mine", 5, "Be brief")
    assert completed["stream"] is True
    assert "prompt" not in completed


@pytest.mark.parametrize("params", [{}, {"prompt": ""}, {"prompt": 3}])
def test_a_prompt_that_is_missing_is_told(params: dict[str, object]) -> None:
    with pytest.raises(InvalidRequest, match="prompt"):
        complete_prompt(params, "m")


def test_a_model_that_is_missing_is_told() -> None:
    with pytest.raises(InvalidRequest, match="model"):
        complete_prompt({"prompt": "Hi"}, "")
