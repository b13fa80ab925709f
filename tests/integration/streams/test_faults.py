"""Every fault of the simulator, in every mode: what the client sees, and what the log says."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, get_args

import httpx2
import pytest

from simulator.client import Break, Delay, Lose, Pace, Refuse
from simulator.faults import Action, BreakHow
from tests.integration.streams.door import PARAMS, StreamDoor, events_of, text_of

Mode = Literal["stream", "whole", "text", "kept"]
MODES: tuple[Mode, ...] = get_args(Mode)
EVENT_MODES = ("stream", "kept")


def upstream_call(stack: StreamDoor, mode: Mode, headers: Mapping[str, str] | None = None) -> httpx2.Response:
    """Ask in one of the modes."""
    own = {"stream": {}, "whole": {}, "text": {"accept": "text/plain"}, "kept": {"sluice-keep": "true"}}[mode]
    return stack.post({**PARAMS, "stream": mode in EVENT_MODES}, {**own, **(headers or {})})


def check_complete(mode: Mode, response: httpx2.Response) -> None:
    """Check that the client has the whole answer."""
    assert response.status_code == 200
    match mode:
        case "whole":
            assert response.json()["stop_reason"] == "end_turn"
        case "text":
            assert response.text.startswith("You wrote 43 characters")
            assert response.text.endswith('".\n')
        case _:
            events = events_of(response.content)
            assert events[-1].name == "message_stop"
            assert text_of(events).startswith("You wrote 43 characters")


TRANSIENT: dict[str, Action] = {
    "refused with 500": Refuse(status=500),
    "refused with 529": Refuse(status=529),
    "refused with 504": Refuse(status=504),
    "refused with 409": Refuse(status=409),
    "refused with 429 for a moment": Refuse(status=429, headers={"retry-after": "1"}),
    "refused by a gateway in HTML": Refuse(status=502, body="<html>Bad Gateway</html>"),
    "reset before the headers": Break(how="reset"),
    "closed before the headers": Break(how="close"),
    "answered late": Delay(seconds=0.3),
    "lost by a reset": Lose(how="reset"),
    "lost by a status": Lose(how="status"),
    "dribbled": Pace(chunk_bytes=97, chunk_seconds=0.001),
    "an error in place of the first event": Break(how="error_event", after_events=0),
    "reset in the first event": Break(how="reset", after_bytes=20),
    "broken JSON first": Break(how="bad_json", after_events=0),
    "HTML first": Break(how="not_sse", after_events=0),
}


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("fault", TRANSIENT)
def test_a_failure_that_passes_before_the_first_byte_is_never_seen(stack: StreamDoor, fault: str, mode: Mode) -> None:
    stack.simulator.fail(TRANSIENT[fault], times=1)

    response = upstream_call(stack, mode)

    check_complete(mode, response)
    line = stack.log_line(response)
    assert line["outcome"] == "succeeded"
    assert line["tries"] == len(stack.simulator.requests("messages"))


@dataclass(frozen=True)
class Refusal:
    """An answer of Claude's own that passes; ``tries``: at least so many are made."""

    action: Refuse
    status: int
    error_type: str
    most_tries: int = 1


REFUSALS: dict[str, Refusal] = {
    "bad request": Refusal(Refuse(status=400), 400, "invalid_request_error"),
    "unpaid": Refusal(Refuse(status=402), 402, "billing_error"),
    "not permitted": Refusal(Refuse(status=403), 403, "permission_error"),
    "no such model": Refusal(Refuse(status=404), 404, "not_found_error"),
    "too large": Refusal(Refuse(status=413), 413, "request_too_large"),
    "limited for long": Refusal(Refuse(status=429, headers={"retry-after": "86400"}), 429, "rate_limit_error"),
    "spend limit": Refusal(
        Refuse(status=429, details={"error_code": "enforced_spend_limit_reached"}), 429, "rate_limit_error"
    ),
    "told not to retry": Refusal(Refuse(status=529, headers={"x-should-retry": "false"}), 529, "overloaded_error"),
    "down for long": Refusal(Refuse(status=500), 500, "api_error", most_tries=99),
    "overloaded for long": Refusal(Refuse(status=529), 529, "overloaded_error", most_tries=99),
}


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("name", REFUSALS)
def test_an_answer_of_claudes_own_passes_unchanged(stack: StreamDoor, name: str, mode: Mode) -> None:
    refusal = REFUSALS[name]
    stack.simulator.fail(refusal.action)

    response = upstream_call(stack, mode)

    calls = stack.simulator.requests("messages")
    assert response.status_code == refusal.status
    assert response.json()["error"]["type"] == refusal.error_type
    assert response.headers["request-id"] == response.json()["request_id"] == calls[-1].request_id
    assert {name: response.headers[name] for name in refusal.action.headers} == refusal.action.headers
    assert len(calls) == 1 if refusal.most_tries == 1 else 2 <= len(calls) <= refusal.most_tries
    assert stack.log_line(response)["outcome"] == "refused"


@dataclass(frozen=True)
class Cut:
    """What cuts an answer after its beginning, and what the client is told."""

    action: Break
    error_type: str
    code: str


CUTS: dict[str, Cut] = {
    "reset": Cut(Break(how="reset"), "api_error", "connection_cut"),
    "close": Cut(Break(how="close"), "api_error", "connection_cut"),
    "end": Cut(Break(how="end"), "api_error", "ended_early"),
    "stall": Cut(Break(how="stall"), "timeout_error", "stalled"),
    "pings only": Cut(Break(how="stall", ping_seconds=0.3), "timeout_error", "no_content"),
    "error_event": Cut(Break(how="error_event"), "overloaded_error", "claude_error"),
    "error for good": Cut(
        Break(how="error_event", error_type="invalid_request_error"), "invalid_request_error", "claude_error"
    ),
    "bad_json": Cut(Break(how="bad_json"), "api_error", "garbage"),
    "cut_utf8": Cut(Break(how="cut_utf8"), "api_error", "garbage"),
    "not_sse": Cut(Break(how="not_sse"), "api_error", "garbage"),
}


def test_every_way_to_break_a_stream_is_in_the_table() -> None:
    assert {cut.action.how for cut in CUTS.values()} == set(get_args(BreakHow))


def broken(action: Break, **where: Any) -> Break:
    return Break(
        how=action.how, seconds=action.seconds, ping_seconds=action.ping_seconds, error_type=action.error_type, **where
    )


@pytest.mark.parametrize("mode", ["stream", "kept", "text"])
@pytest.mark.parametrize("name", CUTS)
def test_a_stream_that_is_cut_ends_in_a_typed_error(stack: StreamDoor, name: str, mode: Mode) -> None:
    cut = CUTS[name]
    stack.simulator.fail(broken(cut.action, after_events=6))

    response = upstream_call(stack, mode)

    assert response.status_code == 200
    if mode == "text":
        answer, _, last_line = response.text.rstrip("\n").rpartition("\n")
        assert answer.startswith("You wrote")
        assert last_line.startswith(f"[{cut.error_type}: ")
    else:
        events = events_of(response.content)
        error = events[-1].decode()["error"]
        assert [event.name for event in events].count("error") == 1
        assert "message_stop" not in [event.name for event in events]
        assert error["type"] == cut.error_type
        assert cut.code == "claude_error" or error["details"]["error_code"] == cut.code
    line = stack.log_line(response)
    assert (line["outcome"], line["error_type"], line["error_code"]) == ("cut", cut.error_type, cut.code)
    assert len(stack.simulator.requests("messages")) == 1


@pytest.mark.parametrize("name", [name for name, cut in CUTS.items() if cut.action.how != "error_event"])
def test_an_answer_in_one_piece_that_is_cut_is_an_error(stack: StreamDoor, name: str) -> None:
    cut = CUTS[name]
    stack.simulator.fail(broken(cut.action, after_bytes=100))

    response = upstream_call(stack, "whole")

    expected = (504, "timeout_error") if cut.action.how == "stall" else (502, "api_error")
    assert (response.status_code, response.json()["error"]["type"]) == expected
    assert stack.log_line(response)["outcome"] == "refused"


@pytest.mark.parametrize("mode", MODES)
def test_claude_that_cannot_be_reached_is_a_502(stack: StreamDoor, mode: Mode) -> None:
    stack.simulator.fail(Break(how="reset"))

    response = upstream_call(stack, mode)

    assert response.status_code == 502
    assert response.json()["error"]["type"] == "api_error"
    assert len(stack.simulator.requests("messages")) > 1


@pytest.mark.parametrize("mode", MODES)
def test_claude_that_does_not_answer_is_a_504(stack: StreamDoor, mode: Mode) -> None:
    stack.simulator.fail(Break(how="stall"))

    response = upstream_call(stack, mode)

    assert response.status_code == 504
    assert response.json()["error"]["type"] == "timeout_error"


@pytest.mark.parametrize("name", [name for name, cut in CUTS.items() if cut.action.how != "stall"])
def test_what_a_cut_client_has_seen_is_what_is_kept(stack: StreamDoor, name: str) -> None:
    stack.simulator.fail(broken(CUTS[name].action, after_events=6))

    response = upstream_call(stack, "kept")
    kept = stack.request("GET", f"/v1/streams/{response.headers['sluice-stream-id']}")

    assert kept.content == response.content
    assert [event.id for event in events_of(kept.content)] == [
        str(number + 1) for number in range(len(events_of(kept.content)))
    ]
