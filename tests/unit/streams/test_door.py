"""No caller is left without an answer, and no answer tells of what is ours."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest

from sluice.aws.dynamodb import Table
from sluice.aws.stdlib_client import ServiceError
from sluice.errors import AccountError
from sluice.incidents import Incidents
from sluice.settings import StreamSettings
from sluice.streams import messages
from sluice.streams.encoding import EventEncoder
from sluice.streams.resumable import log_writer
from tests.unit.streams.scripted import DELTA, PARAMS, START, STOP, ScriptedClaude, ScriptedDoor, frame
from tests.world.lambdas import Context

ARN = "arn:aws:dynamodb:eu-west-1:123456789012:table/sluice-Table"
QUOTED = "what somebody has sent"


class Denying:
    """A DynamoDB that refuses everything, in its own words."""

    def __getattr__(self, name: str) -> Any:
        def refuse(**_: Any) -> None:
            error = {"Code": "AccessDeniedException", "Message": f"No permission on resource: {ARN}"}
            raise ServiceError({"Error": error, "ResponseMetadata": {"HTTPStatusCode": 400}}, name)

        return refuse


def break_with_quote(*_: Any, **__: Any) -> Any:
    raise KeyError(QUOTED)


def error_of(data: bytes) -> dict[str, Any]:
    """Read the error of a body, or of the last event of a stream."""
    error: dict[str, Any] = json.loads(data.rpartition(b"data: ")[2])["error"]
    return error


def check_log(door: ScriptedDoor, outcome: str) -> None:
    """Check that the log has the class and the place of a defect and not its text, and that it is counted."""
    call, metric = door.lines
    assert (call["level"], call["outcome"], call["error_code"]) == ("ERROR", outcome, "internal_error")
    assert call["error_class"] == "KeyError"
    assert "test_door.py" in call["place"]
    assert QUOTED not in json.dumps(door.lines)
    assert (metric["Defects"], metric["service"]) == (1, "stack")
    assert metric["_aws"]["CloudWatchMetrics"][0]["Metrics"][0]["Name"] == "Defects"


def test_a_defect_is_answered_in_the_apis_own_shape(table: Table, monkeypatch: pytest.MonkeyPatch) -> None:
    door = ScriptedDoor(table)
    monkeypatch.setattr(messages, "parse_params", break_with_quote)

    response, data = door.call()

    assert (response.status, error_of(data)["type"]) == (500, "api_error")
    assert json.loads(data)["request_id"] == Context.aws_request_id
    assert QUOTED not in data.decode()
    check_log(door, "refused")


def test_an_event_that_cannot_be_read_at_all_is_answered(table: Table) -> None:
    response, data = ScriptedDoor(table).call(headers=["not", "a", "mapping"])

    assert (response.status, error_of(data)["type"]) == (500, "api_error")


def test_a_defect_in_the_middle_of_a_stream_is_a_typed_error(table: Table, monkeypatch: pytest.MonkeyPatch) -> None:
    door = ScriptedDoor(table)
    monkeypatch.setattr(EventEncoder, "encode", break_with_quote)

    response, data = door.call()

    assert response.status == 200
    assert data.startswith(b"event: error\n")
    assert (error_of(data)["type"], error_of(data)["details"]) == ("api_error", {"error_code": "internal_error"})
    check_log(door, "cut")


def test_a_defect_in_the_middle_of_a_kept_stream_is_a_typed_error_that_is_kept(
    table: Table, monkeypatch: pytest.MonkeyPatch
) -> None:
    door = ScriptedDoor(table)
    append, seen = log_writer.LogWriter.append, []

    def break_at_the_second(self: log_writer.LogWriter, frames: Any) -> bytes:
        seen.append(frames)
        return append(self, frames) if len(seen) != 2 else break_with_quote()

    monkeypatch.setattr(log_writer.LogWriter, "append", break_at_the_second)

    response, data = door.call(headers={"sluice-keep": "true"})

    assert error_of(data)["details"] == {"error_code": "internal_error"}
    assert door.follow(response.headers["sluice-stream-id"])[0] == data
    check_log(door, "cut")


def test_an_account_that_cannot_be_kept_loses_no_line_of_the_log(table: Table, monkeypatch: pytest.MonkeyPatch) -> None:
    start = frame("message_start", message={"model": "m", "usage": {"input_tokens": 9}})
    door = ScriptedDoor(table, claude=ScriptedClaude((start, DELTA, STOP)))
    monkeypatch.setattr("sluice.access.guard.Guard.account", break_with_quote)

    door.call()

    assert [line["message"] for line in door.lines] == ["not accounted", "call"]


def test_what_aws_says_is_for_the_log_and_not_for_the_caller() -> None:
    door = ScriptedDoor(Table(Denying(), "t"), auth_mode="keys")

    response, data = door.call(headers={"x-api-key": "sk-sluice-abcdefgh-" + "A" * 43})

    assert (response.status, error_of(data)["type"]) == (500, "api_error")
    assert "123456789012" not in data.decode()
    assert ARN in door.lines[0]["error"]
    assert (door.lines[0]["level"], door.lines[0]["error_class"]) == ("ERROR", "AwsError")


def test_what_a_caller_did_wrong_is_told_and_not_logged(table: Table) -> None:
    door = ScriptedDoor(table)

    _, data = door.call(path=f"/v1/{QUOTED}")

    assert QUOTED in error_of(data)["message"]
    assert QUOTED not in json.dumps(door.lines)
    assert "error_class" not in door.lines[0]


@pytest.mark.parametrize(
    "headers", [{"x-title": "日本"}, {"x-título": "yes"}, {"x-title": "two\r\nlines"}, {"x title": "yes"}]
)
def test_a_header_that_no_request_can_have_is_refused(table: Table, headers: dict[str, str]) -> None:
    door = ScriptedDoor(table)

    for more in ({}, {"sluice-keep": "true"}):
        response, data = door.call(headers={**headers, **more})

        assert (response.status, error_of(data)["type"]) == (400, "invalid_request_error")
        assert "header" in error_of(data)["message"]
    assert not door.claude.targets


def test_a_path_in_another_alphabet_reaches_claude_percent_encoded(table: Table) -> None:
    door = ScriptedDoor(table)

    door.call("GET", "/v1/models/modèle")

    assert door.claude.targets == ["/v1/models/mod%C3%A8le"]


def test_the_callers_signature_reaches_neither_claude_nor_the_log_of_a_stream(table: Table) -> None:
    door = ScriptedDoor(table)
    query = "X-Amz-Security-Token=token&beta=true&X-Amz-Signature=ab"

    response, _ = door.call(rawQueryString=query, headers={"sluice-keep": "true"})

    kept = door.streams.find_request(response.headers["sluice-stream-id"])
    assert kept is not None
    assert [kept.target] == door.claude.targets == ["/v1/messages?beta=true"]


def test_a_number_that_is_too_long_is_a_wrong_call(table: Table) -> None:
    response, data = ScriptedDoor(table).call(body='{"model":"m","max_tokens":' + "1" * 5000 + "}")

    assert (response.status, error_of(data)["type"]) == (400, "invalid_request_error")


def test_a_delta_of_the_message_that_is_no_object_cuts_the_stream(table: Table) -> None:
    door = ScriptedDoor(table, claude=ScriptedClaude((START, frame("message_delta", delta="x"), STOP)))

    _, data = door.call()

    assert error_of(data)["details"] == {"error_code": "garbage"}
    assert (door.lines[0]["outcome"], door.lines[0]["error_code"]) == ("cut", "garbage")


def test_half_a_character_ends_no_stream_of_text(table: Table) -> None:
    half = frame("content_block_delta", index=0, delta={"type": "text_delta", "text": "a\ud83d"})
    door = ScriptedDoor(table, claude=ScriptedClaude((START, half, STOP)))

    _, data = door.call(headers={"accept": "text/plain"})

    assert data.decode() == "a\N{REPLACEMENT CHARACTER}\n"
    assert door.lines[0]["outcome"] == "succeeded"


ASKED = [{"sluice-keep": "true"}, {"sluice-continue": "true"}, {"sluice-lease": "30"}]


@pytest.mark.parametrize("asked", ASKED)
@pytest.mark.parametrize("wish", [{"accept": "text/plain"}, {}])
def test_headers_that_a_client_sends_with_all_its_calls_hurt_none_of_them(
    table: Table, asked: dict[str, str], wish: dict[str, str]
) -> None:
    door = ScriptedDoor(table)
    body = json.dumps({**PARAMS, "stream": bool(wish)})

    response, _ = door.call(headers={**asked, **wish}, body=body)

    assert response.status == 200
    assert "sluice-stream-id" not in response.headers


def test_a_post_that_says_what_it_has_seen_buys_nothing_again(table: Table) -> None:
    door = ScriptedDoor(table)

    response, data = door.call(headers={"last-event-id": "24"})

    assert (response.status, response.headers["x-should-retry"]) == (409, "false")
    assert "GET /v1/streams/{id}" in error_of(data)["message"]
    assert not door.claude.targets


def test_a_post_that_names_its_stream_goes_on_with_it(table: Table) -> None:
    door = ScriptedDoor(table)
    kept, whole = door.call(headers={"sluice-keep": "true"})
    asked = len(door.claude.targets)

    response, rest = door.call(headers={"last-event-id": "1", "sluice-stream-id": kept.headers["sluice-stream-id"]})

    assert response.status == 200
    assert whole.endswith(rest)
    assert len(rest) < len(whole)
    assert len(door.claude.targets) == asked


@pytest.mark.parametrize(
    "accept", ["text/plain, application/json, application/*+json, */*", "text/plain;q=0.2,application/json", "*/*"]
)
def test_a_program_that_also_takes_text_gets_what_claude_answers(table: Table, accept: str) -> None:
    response, data = ScriptedDoor(table).call(headers={"accept": accept})

    assert response.headers["content-type"] == "text/event-stream"
    assert b"message_stop" in data


@pytest.mark.parametrize(
    "accept", ["text/plain", "text/plain; charset=utf-8", "text/plain, */*;q=0", "text/plain, text/html"]
)
def test_who_takes_only_text_gets_text(table: Table, accept: str) -> None:
    assert ScriptedDoor(table).call(headers={"accept": accept})[1] == b"Hello\n"


def test_a_prompt_alone_is_answered_as_text_to_whoever_takes_text(table: Table) -> None:
    body = json.dumps({"prompt": "Hi", "model": "m"})

    assert ScriptedDoor(table).call(headers={"accept": "text/plain, */*"}, body=body)[1] == b"Hello\n"


@pytest.mark.parametrize("headers", [{}, {"sluice-keep": "false"}])
def test_a_stack_that_keeps_every_stream_takes_calls_for_text(table: Table, headers: dict[str, str]) -> None:
    door = ScriptedDoor(table, settings=StreamSettings("t", "s", keep_streams="always"))

    response, data = door.call(headers={**headers, "accept": "text/plain"})

    assert (response.status, data) == (200, b"Hello\n")


def test_a_refused_key_is_the_stacks_fault_and_opens_the_incident_of_all_doors(table: Table) -> None:
    class RefusedKey(ScriptedClaude):
        def send(self, *_: Any) -> Any:
            raise AccountError("invalid x-api-key", error_type="authentication_error", http_status=401)

    response, data = ScriptedDoor(table, claude=RefusedKey()).call()

    assert (response.status, response.headers["x-should-retry"]) == (503, "false")
    assert error_of(data)["type"] == "api_error"
    assert "operator has to act" in error_of(data)["message"]
    assert [each.kind for each in Incidents(table).list_open()] == ["authentication_error"]


@dataclass
class LockedClaude(ScriptedClaude):
    """It refuses the key while ``locked``, and lets something happen meanwhile."""

    locked: bool = True
    meanwhile: Callable[[], object] = lambda: None

    def send(self, *args: Any) -> Any:
        if self.locked:
            self.meanwhile()
            raise AccountError("invalid x-api-key", error_type="authentication_error", http_status=401)
        return super().send(*args)


def test_a_refusal_of_before_a_release_opens_no_incident_and_the_next_one_does(table: Table) -> None:
    claude, incidents = LockedClaude(), Incidents(table)
    door = ScriptedDoor(table, claude=claude)
    door.call()
    claude.meanwhile = lambda: incidents.release("authentication_error")

    response, _ = door.call()

    assert response.status == 503
    assert incidents.list_open() == ()
    claude.meanwhile = lambda: None
    door.call()
    assert [each.kind for each in incidents.list_open()] == ["authentication_error"]


def test_answers_end_the_incidents_that_they_disprove_and_no_others(table: Table) -> None:
    incidents, model = Incidents(table), PARAMS["model"]
    for kind in ("billing_error", f"permission_error:{model}", "permission_error:other", "permission_error:batches"):
        incidents.open_incident(kind, "No.", seen=0)
    door = ScriptedDoor(table)

    door.call()
    assert len(incidents.list_open()) == 4
    door.call()

    assert {each.kind for each in incidents.list_open()} == {"permission_error:other", "permission_error:batches"}


def test_an_answer_ends_no_incident_that_began_after_it_was_asked_for(table: Table) -> None:
    incidents = Incidents(table)
    door = ScriptedDoor(table)
    door.call()
    incidents.open_incident("billing_error", "No credit.", seen=0)

    door.call()

    assert [each.kind for each in incidents.list_open()] == ["billing_error"]
