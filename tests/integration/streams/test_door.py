"""The door as its clients meet it: what passes, what does not, who may call, and what is said of a wrong call."""

from __future__ import annotations

import hashlib
import json
import re
from typing import Any

import pytest

from simulator.client import API_KEY, Delay, Match, Refuse, Reply
from tests.integration.streams.door import MODEL, PARAMS, DoorMaker, StreamDoor, events_of, wait_for

STREAM = {**PARAMS, "stream": True}
ORIGIN = "https://app.example"
KEY_SHA256 = hashlib.sha256(API_KEY.encode()).hexdigest()


def straight(stack: StreamDoor, params: dict[str, Any]) -> bytes:
    """Ask the simulator itself."""
    url = f"{stack.simulator.base_url}/v1/messages"
    headers = {"x-api-key": API_KEY, "anthropic-version": "2023-06-01"}
    return stack.client.post(url, json=params, headers=headers).content


def without_ids(data: bytes) -> bytes:
    """The ids of messages and tool calls differ from call to call."""
    return re.sub(rb'"(msg|toolu)_\w+"', b'"id"', data)


REPLIES = {
    "text": Reply(),
    "unknown events and deltas": Reply(unknown_events=True),
    "pings": Reply(pings=2),
    "thinking": Reply(thinking="Let me think about it."),
    "tool use": Reply(tool="look_up", input={"q": "fox", "n": [1, 2, {"deep": True}]}),
    "citations": Reply(citations=True),
    "refusal": Reply(stop_reason="refusal"),
    "letters of all the world": Reply(text="naïve 東京 🦊 \\u0000 \\n"),
}


@pytest.mark.parametrize("streams", [True, False])
@pytest.mark.parametrize("name", REPLIES)
def test_an_answer_passes_byte_for_byte(stack: StreamDoor, name: str, streams: bool) -> None:
    stack.simulator.answer(REPLIES[name])
    params = {**PARAMS, "stream": streams}

    response = stack.post(params)

    assert without_ids(response.content) == without_ids(straight(stack, params))
    assert response.headers["content-type"].startswith("text/event-stream" if streams else "application/json")


def test_counting_and_models_pass(stack: StreamDoor) -> None:
    count = stack.request("POST", "/v1/messages/count_tokens", json={key: PARAMS[key] for key in ("model", "messages")})
    models = stack.request("GET", "/v1/models?limit=2")
    model = stack.request("GET", f"/v1/models/{MODEL}")

    assert count.json()["input_tokens"] > 0
    assert len(models.json()["data"]) == 2
    assert model.json()["id"] == MODEL


def test_claudes_headers_pass_both_ways(stack: StreamDoor) -> None:
    sent = {
        "anthropic-beta": "one-2026-01-01,two-2026-01-01",
        "x-stainless-lang": "python",
        "user-agent": "someone/1.0",
        "x-of-tomorrow": "yes",
    }

    response = stack.post(STREAM, sent)

    got = stack.simulator.requests("messages")[-1].headers
    assert {name: got[name] for name in sent} == sent
    assert got["anthropic-version"] == "2023-06-01"
    assert response.headers["request-id"] == stack.simulator.requests("messages")[-1].request_id
    assert {"anthropic-organization-id", "anthropic-ratelimit-requests-remaining"} <= set(response.headers)


def test_credentials_cookies_and_hops_do_not_pass(stack: StreamDoor) -> None:
    kept_back = {
        "cookie": "session=1",
        "x-amz-date": "20261122T000000Z",
        "x-amz-security-token": "token",
        "x-forwarded-for": "10.0.0.1",
        "origin": ORIGIN,
        "te": "trailers",
        "sluice-keep": "false",
    }

    stack.post(STREAM, kept_back)

    got = stack.simulator.requests("messages")[-1]
    assert not set(kept_back) & set(got.headers)
    assert stack.key not in json.dumps(got.headers)
    assert got.key_sha256 == KEY_SHA256


@pytest.mark.parametrize(("header", "sent_as"), [("x-api-key", "x-api-key"), ("authorization", "bearer")])
def test_the_key_is_passed_the_way_the_client_sent_its_own(stack: StreamDoor, header: str, sent_as: str) -> None:
    value = f"Bearer {stack.key}" if header == "authorization" else stack.key
    headers = {header: value, "anthropic-version": "2023-06-01", "content-type": "application/json"}

    response = stack.client.post(f"{stack.url}/v1/messages", content=json.dumps(PARAMS), headers=headers)

    assert response.status_code == 200
    assert stack.simulator.requests("messages")[-1].key_sent_as == sent_as


def test_a_person_needs_nothing_but_a_prompt(stack: StreamDoor) -> None:
    stack.simulator.answer(Reply(text="Hello, you."))
    headers = {"x-api-key": stack.key, "accept": "text/plain"}

    response = stack.client.post(f"{stack.url}/v1/messages", content='{"prompt": "Say hello"}', headers=headers)

    assert response.text == "Hello, you.\n"
    assert response.headers["content-type"] == "text/plain; charset=utf-8"
    assert json.loads(stack.simulator.requests("messages")[-1].body or "")["model"] == MODEL


def test_a_person_is_told_when_an_answer_stops_short(stack: StreamDoor) -> None:
    response = stack.post({**PARAMS, "max_tokens": 3}, {"accept": "text/plain"})

    assert response.text.endswith("\n[stop_reason: max_tokens]\n")


def test_a_client_that_takes_text_last_gets_json(stack: StreamDoor) -> None:
    response = stack.post(PARAMS, {"accept": "application/json, text/plain, */*"})

    assert response.json()["type"] == "message"


WRONG_CALLS: dict[str, tuple[str, str, dict[str, Any], int, str, str]] = {
    "no JSON": ("POST", "/v1/messages", {"content": '{"model": '}, 400, "invalid_request_error", "line 1 column"),
    "no object": ("POST", "/v1/messages", {"content": "[1]"}, 400, "invalid_request_error", "object"),
    "nothing": ("POST", "/v1/messages", {"content": ""}, 400, "invalid_request_error", "empty"),
    "not UTF-8": ("POST", "/v1/messages", {"content": b'{"a": "\xff"}'}, 400, "invalid_request_error", "UTF-8"),
    "no prompt": (
        "POST",
        "/v1/messages",
        {"content": "{}", "headers": {"accept": "text/plain"}},
        400,
        "invalid_request_error",
        "prompt",
    ),
    "unknown path": ("POST", "/v1/complete", {"content": "{}"}, 404, "not_found_error", "POST /v1/messages"),
    "a way out": ("GET", "/v1/models/..%2forganizations", {}, 404, "not_found_error", "/v1/models"),
    "wrong method": ("PUT", "/v1/messages", {"content": "{}"}, 405, "invalid_request_error", "POST"),
    "too large": (
        "POST",
        "/v1/messages",
        {"content": b" " * 6_000_001, "headers": {"content-type": "application/json"}},
        413,
        "request_too_large",
        "6000000",
    ),
}


@pytest.mark.parametrize("name", WRONG_CALLS)
def test_a_wrong_call_is_answered_in_the_apis_own_shape(stack: StreamDoor, name: str) -> None:
    method, path, extra, status, error_type, hint = WRONG_CALLS[name]

    response = stack.request(method, path, **extra)

    assert response.status_code == status
    assert response.json()["type"] == "error"
    assert response.json()["error"]["type"] == error_type
    assert hint in response.json()["error"]["message"]
    assert not stack.simulator.requests()


def test_a_body_in_base64_is_read(stack: StreamDoor) -> None:
    response = stack.request(
        "POST", "/v1/messages", {"content-type": "application/octet-stream"}, content=json.dumps(PARAMS)
    )

    assert response.status_code == 200


class TestBrowsers:
    def test_a_preflight_is_answered_without_a_key(self, stack: StreamDoor) -> None:
        headers = {
            "origin": ORIGIN,
            "access-control-request-method": "POST",
            "access-control-request-headers": "authorization,content-type,anthropic-version",
        }

        response = stack.client.request("OPTIONS", f"{stack.url}/v1/messages", headers=headers)

        # Not 204: see the test of answers without a byte in the unit tests.
        assert (response.status_code, response.text) == (200, "ok\n")
        assert response.headers["access-control-allow-origin"] == ORIGIN
        assert "POST" in response.headers["access-control-allow-methods"]
        assert "authorization" in response.headers["access-control-allow-headers"]
        assert response.headers["vary"] == "origin"

    def test_another_origin_is_not_allowed(self, stack: StreamDoor) -> None:
        headers = {"origin": "https://evil.example", "access-control-request-method": "POST"}

        response = stack.client.request("OPTIONS", f"{stack.url}/v1/messages", headers=headers)

        assert "access-control-allow-origin" not in response.headers

    @pytest.mark.parametrize("key", ["right", "wrong"])
    def test_every_answer_can_be_read_by_the_page(self, stack: StreamDoor, key: str) -> None:
        response = stack.post(STREAM, {"origin": ORIGIN} | ({} if key == "right" else {"x-api-key": "wrong"}))

        assert response.headers["access-control-allow-origin"] == ORIGIN
        assert response.headers["access-control-expose-headers"] == "*"


def test_a_key_of_claudes_that_was_rotated_is_picked_up_at_once(make_stack: DoorMaker, simulator: Any) -> None:
    with make_stack(copies=1) as stack:
        secrets = stack.aws.client("secretsmanager")
        assert stack.post(PARAMS).status_code == 200
        simulator.fail(Refuse(status=401), Match(key=API_KEY))
        try:
            secrets.put_secret_value(SecretId=stack.aws.claude_secret, SecretString="sk-ant-rotated")
            wait_for(lambda: stack.post(PARAMS).status_code == 200, seconds=20)
        finally:
            secrets.put_secret_value(SecretId=stack.aws.claude_secret, SecretString=API_KEY)


def test_an_answer_signed_for_by_iam_needs_no_key(make_stack: DoorMaker, simulator: Any) -> None:
    with make_stack(auth_mode="iam") as stack:
        headers = {"authorization": "AWS4-HMAC-SHA256 Credential=AKIA/20261122", "x-amz-date": "20261122T000000Z"}
        response = stack.client.post(
            f"{stack.url}/v1/messages", json=PARAMS, headers={**headers, "anthropic-version": "2026-10-21"}
        )

    assert response.status_code == 200
    assert simulator.requests("messages")[-1].key_sha256 == KEY_SHA256


def test_a_slow_beginning_is_waited_for(stack: StreamDoor) -> None:
    stack.simulator.fail(Delay(seconds=0.8))

    assert events_of(stack.post(STREAM).content)[-1].name == "message_stop"


@pytest.mark.parametrize(
    ("params", "named", "version"),
    [
        ({}, None, "2026-10-21"),
        ({"temperature": 0}, None, "2023-06-01"),
        ({"temperature": 0}, "2023-06-01", "2023-06-01"),
        ({}, "2023-06-01", "2023-06-01"),
    ],
)
def test_a_caller_who_names_no_version_gets_the_newest_that_takes_the_params(
    stack: StreamDoor, params: dict[str, object], named: str | None, version: str
) -> None:
    headers = {"x-api-key": stack.key, **({"anthropic-version": named} if named else {})}

    response = stack.client.post(f"{stack.url}/v1/messages", json={**PARAMS, **params}, headers=headers)

    assert response.status_code == 200
    assert stack.simulator.requests("messages")[-1].headers["anthropic-version"] == version
