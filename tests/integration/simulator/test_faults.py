"""Each fault once, over real HTTP, as a client meets it."""

import json
import socket
import time
from typing import Any

import anthropic
import httpx2
import pytest

from simulator.client import Break, Delay, Hide, Lose, Match, Pace, Refuse, Reply, Result, Simulator
from simulator.faults import BreakHow

MODEL = "claude-sonnet-5"
BODY = {"model": MODEL, "max_tokens": 500, "messages": [{"role": "user", "content": "Tell me of the sea"}]}
STREAM = {**BODY, "stream": True}
MESSAGES = Match(operation="messages")
CREATE = Match(operation="batches.create")
RESULTS = Match(operation="batches.results")


def batch_body(count: int) -> dict[str, Any]:
    return {"requests": [{"custom_id": f"r{number}", "params": BODY} for number in range(count)]}


def make_batch(http: httpx2.Client, count: int = 20) -> str:
    batch_id: str = http.post("/v1/messages/batches", json=batch_body(count)).json()["id"]
    return batch_id


def results_of(http: httpx2.Client, batch_id: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in http.get(f"/v1/messages/batches/{batch_id}/results").text.splitlines()]


def received(
    http: httpx2.Client, path: str, body: dict[str, Any] | None = None
) -> tuple[bytes, type[Exception] | None]:
    """What arrived of an answer, and what cut it."""
    data = b""
    try:
        with http.stream("POST" if body else "GET", path, json=body) as response:
            for piece in response.iter_raw():
                data += piece
    except httpx2.TransportError as error:
        return data, type(error)
    return data, None


def wait_until_closed(simulator: Simulator) -> None:
    while simulator.summary().open_calls:
        time.sleep(0.01)


@pytest.mark.parametrize(
    ("status", "error_type"),
    [
        (400, "invalid_request_error"),
        (401, "authentication_error"),
        (402, "billing_error"),
        (403, "permission_error"),
        (404, "not_found_error"),
        (409, "conflict_error"),
        (413, "request_too_large"),
        (429, "rate_limit_error"),
        (500, "api_error"),
        (504, "timeout_error"),
        (529, "overloaded_error"),
    ],
)
def test_any_status_can_be_answered(simulator: Simulator, http: httpx2.Client, status: int, error_type: str) -> None:
    rule = simulator.fail(Refuse(status=status), MESSAGES, times=1)
    response = http.post("/v1/messages", json=BODY)
    assert (response.status_code, response.json()["error"]["type"]) == (status, error_type)
    assert response.json()["request_id"] == response.headers["request-id"]
    assert http.post("/v1/messages", json=BODY).status_code == 200
    assert [call.faults for call in simulator.requests("messages")] == [[rule], []]


def test_a_refusal_has_the_headers_details_and_body_that_were_asked_for(
    simulator: Simulator, http: httpx2.Client
) -> None:
    details = {"error_code": "enforced_spend_limit_reached"}
    simulator.fail(Refuse(status=429, details=details, headers={"retry-after": "7"}, message="Enough"), times=1)
    simulator.fail(Refuse(status=502, body="<html>", headers={"content-type": "text/html"}), times=1)
    first, second = (http.post("/v1/messages", json=BODY) for _ in range(2))
    assert first.headers["retry-after"] == "7"
    assert first.json()["error"] == {"type": "rate_limit_error", "message": "Enough", "details": details}
    assert (second.status_code, second.text, second.headers["content-type"]) == (502, "<html>", "text/html")


def test_a_rule_hits_only_what_it_matches(simulator: Simulator, http: httpx2.Client) -> None:
    simulator.fail(Refuse(), Match(operation="messages", prompt="the sky", model=MODEL, stream=False, key="sk-other"))
    sky = {**BODY, "messages": [{"role": "user", "content": "Tell me of the sky"}]}
    assert http.post("/v1/messages", json=sky).status_code == 200
    assert http.post("/v1/messages", json=sky, headers={"x-api-key": "sk-other"}).status_code == 529
    assert http.post("/v1/messages", json={**sky, "stream": True}, headers={"x-api-key": "sk-other"}).status_code == 200
    assert http.post("/v1/messages/count_tokens", json={k: sky[k] for k in ("model", "messages")}).status_code == 200


def test_an_answer_can_be_delayed(simulator: Simulator, http: httpx2.Client) -> None:
    simulator.fail(Delay(seconds=0.4), MESSAGES)
    assert http.post("/v1/messages", json=BODY).elapsed.total_seconds() >= 0.4


def test_a_client_that_does_not_wait_for_a_delayed_answer_is_on_record(
    simulator: Simulator, http: httpx2.Client
) -> None:
    simulator.fail(Delay(seconds=60), MESSAGES)
    with pytest.raises(httpx2.ReadTimeout):
        http.post("/v1/messages", json=BODY, timeout=0.2)
    wait_until_closed(simulator)
    assert simulator.requests()[0].disconnected_at is not None


def test_events_can_come_slowly(simulator: Simulator, http: httpx2.Client) -> None:
    simulator.answer(Reply(words=4))
    simulator.fail(Pace(event_seconds=0.05), MESSAGES)
    response = http.post("/v1/messages", json=STREAM)
    assert response.elapsed.total_seconds() >= 0.05 * 9
    assert "message_stop" in response.text


def test_an_answer_can_dribble(simulator: Simulator, http: httpx2.Client) -> None:
    simulator.fail(Pace(chunk_bytes=100, chunk_seconds=0.01), MESSAGES)
    response = http.post("/v1/messages", json=BODY)
    assert response.json()["type"] == "message"
    assert response.elapsed.total_seconds() >= 0.01 * len(response.content) / 100


@pytest.mark.parametrize(
    ("how", "error"), [("reset", httpx2.ReadError), ("close", httpx2.RemoteProtocolError), ("end", None)]
)
def test_a_stream_can_be_cut_after_some_events(
    simulator: Simulator, http: httpx2.Client, how: BreakHow, error: type[Exception] | None
) -> None:
    simulator.fail(Break(how=how, after_events=5), MESSAGES)
    data, raised = received(http, "/v1/messages", STREAM)
    assert raised is error
    assert data.count(b"event: ") == 5
    assert data.endswith(b"\n\n")
    (call,) = simulator.requests("messages")
    assert (call.events, call.disconnected_at) == (5, None)


@pytest.mark.parametrize("body", [BODY, STREAM])
def test_an_answer_can_be_cut_after_some_bytes(simulator: Simulator, http: httpx2.Client, body: dict[str, Any]) -> None:
    simulator.fail(Break(how="close", after_bytes=123), MESSAGES)
    data, raised = received(http, "/v1/messages", body)
    assert (len(data), raised) == (123, httpx2.RemoteProtocolError)


@pytest.mark.parametrize(("how", "error"), [("reset", httpx2.ReadError), ("close", httpx2.RemoteProtocolError)])
def test_a_call_can_be_cut_before_the_headers(
    simulator: Simulator, http: httpx2.Client, how: BreakHow, error: type[Exception]
) -> None:
    simulator.fail(Break(how=how), MESSAGES)
    with pytest.raises(error):
        http.post("/v1/messages", json=BODY)
    assert simulator.requests()[0].status is None


def test_a_stream_can_stall_for_good(simulator: Simulator, http: httpx2.Client) -> None:
    simulator.fail(Break(how="stall", after_events=4), MESSAGES)
    with pytest.raises(httpx2.ReadTimeout), http.stream("POST", "/v1/messages", json=STREAM, timeout=0.3) as response:
        response.read()
    wait_until_closed(simulator)
    (call,) = simulator.requests("messages")
    assert call.events == 4
    assert call.disconnected_at is not None


def test_a_stalled_stream_goes_on_after_its_time(simulator: Simulator, http: httpx2.Client) -> None:
    simulator.fail(Break(how="stall", after_events=4, seconds=0.3), MESSAGES)
    response = http.post("/v1/messages", json=STREAM)
    assert response.elapsed.total_seconds() >= 0.3
    assert "message_stop" in response.text


def test_a_stalled_stream_can_go_on_pinging(simulator: Simulator, http: httpx2.Client) -> None:
    simulator.fail(Break(how="stall", after_events=4, seconds=0.3, ping_seconds=0.05), MESSAGES)
    assert http.post("/v1/messages", json=STREAM).text.count("event: ping") > 2


def test_a_call_can_stall_before_the_headers(simulator: Simulator, http: httpx2.Client) -> None:
    simulator.fail(Break(how="stall", seconds=0.3), MESSAGES, times=1)
    simulator.fail(Break(how="stall"), MESSAGES, times=1)
    assert http.post("/v1/messages", json=BODY).elapsed.total_seconds() >= 0.3
    with pytest.raises(httpx2.ReadTimeout):
        http.post("/v1/messages", json=BODY, timeout=0.2)


def test_an_error_event_can_come_in_a_stream(simulator: Simulator, claude: anthropic.Anthropic) -> None:
    simulator.fail(Break(how="error_event", after_events=5, error_type="overloaded_error"), MESSAGES)
    with pytest.raises(anthropic.APIStatusError) as caught:
        list(
            claude.messages.create(model=MODEL, max_tokens=9, messages=[{"role": "user", "content": "x"}], stream=True)
        )
    assert caught.value.status_code == 200
    assert caught.value.type == "overloaded_error"


@pytest.mark.parametrize(
    ("how", "error"), [("bad_json", json.JSONDecodeError), ("cut_utf8", UnicodeDecodeError), ("not_sse", None)]
)
def test_garbage_can_come_in_a_stream(
    simulator: Simulator, claude: anthropic.Anthropic, how: BreakHow, error: type[Exception] | None
) -> None:
    simulator.fail(Break(how=how, after_events=5), MESSAGES)
    kinds: list[str] = []
    stream = claude.messages.create(
        model=MODEL, max_tokens=90, messages=[{"role": "user", "content": "Hello"}], stream=True
    )
    if error is None:
        kinds = [event.type for event in stream]
        assert kinds[-1] == "message_stop"
    else:
        with pytest.raises(error):
            kinds.extend(event.type for event in stream)


def test_a_batch_can_be_invisible_after_its_creation(simulator: Simulator, http: httpx2.Client) -> None:
    simulator.fail(Hide(seconds=30), Match(operation="batches.retrieve"))
    batch_id = make_batch(http)
    assert http.get(f"/v1/messages/batches/{batch_id}").status_code == 404
    assert [batch["id"] for batch in http.get("/v1/messages/batches").json()["data"]] == [batch_id]
    simulator.advance(30)
    assert http.get(f"/v1/messages/batches/{batch_id}").status_code == 200


def test_results_can_be_missing_right_after_the_end(simulator: Simulator, http: httpx2.Client) -> None:
    simulator.fail(Hide(seconds=5, since="ended"), RESULTS)
    batch_id = make_batch(http)
    assert http.get(f"/v1/messages/batches/{batch_id}").json()["processing_status"] == "ended"
    assert http.get(f"/v1/messages/batches/{batch_id}/results").status_code == 404
    simulator.advance(5)
    assert len(results_of(http, batch_id)) == 20


def test_a_list_can_be_late(simulator: Simulator, http: httpx2.Client) -> None:
    simulator.fail(Hide(seconds=60), Match(operation="batches.list"))
    old = make_batch(http)
    simulator.advance(60)
    young = make_batch(http)
    assert [batch["id"] for batch in http.get("/v1/messages/batches").json()["data"]] == [old]
    simulator.advance(60)
    assert [batch["id"] for batch in http.get("/v1/messages/batches").json()["data"]] == [young, old]


@pytest.mark.parametrize(("how", "error"), [("reset", httpx2.ReadError), ("close", httpx2.RemoteProtocolError)])
def test_a_batch_can_be_made_and_its_reply_lost(
    simulator: Simulator, http: httpx2.Client, how: Any, error: type[Exception]
) -> None:
    simulator.fail(Lose(how=how), CREATE, times=1)
    with pytest.raises(error):
        make_batch(http)
    assert len(simulator.batches()) == 1
    make_batch(http)
    assert len(simulator.batches()) == 2


def test_a_batch_can_be_made_and_answered_with_an_error(simulator: Simulator, http: httpx2.Client) -> None:
    simulator.fail(Lose(how="status", status=529), CREATE)
    response = http.post("/v1/messages/batches", json=batch_body(3))
    assert (response.status_code, response.json()["error"]["type"]) == (529, "overloaded_error")
    assert [batch.count for batch in simulator.batches()] == [3]


def test_an_upload_that_breaks_off_makes_no_batch(simulator: Simulator) -> None:
    url = httpx2.URL(simulator.base_url)
    with socket.create_connection((url.host, url.port or 0)) as wire:
        wire.sendall(b"POST /v1/messages/batches HTTP/1.1\r\nhost: x\r\ncontent-length: 1000\r\n\r\n")
        wire.sendall(b'{"requests":[')
        while not simulator.requests("batches.create"):
            time.sleep(0.01)
    wait_until_closed(simulator)
    (call,) = simulator.requests("batches.create")
    assert call.disconnected_at is not None
    assert (call.status, simulator.batches()) == (None, [])


def test_a_refused_batch_is_not_made(simulator: Simulator, http: httpx2.Client) -> None:
    simulator.fail(Refuse(status=429), CREATE)
    assert http.post("/v1/messages/batches", json=batch_body(3)).status_code == 429
    assert simulator.batches() == []


def test_the_sdk_makes_three_batches_when_replies_are_lost(simulator: Simulator) -> None:
    simulator.fail(Lose(how="reset"), CREATE)
    requests: Any = batch_body(1)["requests"]
    with (
        anthropic.Anthropic(base_url=simulator.base_url, api_key="k", max_retries=2) as claude,
        pytest.raises(anthropic.APIConnectionError),
    ):
        claude.messages.batches.create(requests=requests)
    assert len(simulator.batches()) == 3


@pytest.mark.parametrize("fault", [Break(how="reset", after_bytes=2_000), Break(how="close", after_events=3)])
def test_results_can_be_cut_midway(simulator: Simulator, http: httpx2.Client, fault: Break) -> None:
    batch_id = make_batch(http)
    simulator.fail(fault, RESULTS, times=1)
    data, raised = received(http, f"/v1/messages/batches/{batch_id}/results")
    assert raised in (httpx2.ReadError, httpx2.RemoteProtocolError)
    assert len(data) == 2_000 if fault.after_bytes else data.count(b"\n") == 3
    assert len(results_of(http, batch_id)) == 20


def test_results_can_end_early_without_an_error(simulator: Simulator, http: httpx2.Client) -> None:
    batch_id = make_batch(http)
    simulator.fail(Break(how="end", after_events=7), RESULTS)
    assert len(results_of(http, batch_id)) == 7


@pytest.mark.parametrize("how", ["bad_json", "cut_utf8", "not_sse"])
def test_garbage_can_come_in_results(simulator: Simulator, http: httpx2.Client, how: BreakHow) -> None:
    batch_id = make_batch(http)
    simulator.fail(Break(how=how, after_events=2), RESULTS)
    lines = http.get(f"/v1/messages/batches/{batch_id}/results").content.splitlines()
    good = 0
    for line in lines:
        try:
            good += json.loads(line)["custom_id"].startswith("r")
        except (ValueError, UnicodeDecodeError):
            continue
    assert (len(lines), good) == (20, 19)


def test_a_share_of_requests_can_expire(simulator: Simulator, http: httpx2.Client) -> None:
    simulator.fail(Result(outcome="expired"), Match(custom_id="r1?\\d"), share=0.5, seed=3)
    requests = [
        {"custom_id": f"r{number}", "params": {**BODY, "messages": [{"role": "user", "content": f"Q{number}"}]}}
        for number in range(20)
    ]
    batch_id = http.post("/v1/messages/batches", json={"requests": requests}).json()["id"]
    expired = [line for line in results_of(http, batch_id) if line["result"]["type"] == "expired"]
    assert 2 < len(expired) < 18
    assert simulator.batches()[0].request_counts.expired == len(expired)


@pytest.mark.parametrize("error_type", ["overloaded_error", "api_error", "invalid_request_error", "billing_error"])
def test_requests_can_fail_by_type_once(
    simulator: Simulator, claude: anthropic.Anthropic, http: httpx2.Client, error_type: str
) -> None:
    simulator.fail(Result(error_type=error_type), times=1)
    outcomes = []
    for _ in range(2):
        (result,) = list(claude.messages.batches.results(make_batch(http, 1)))
        outcomes.append(result.result.error.error.type if result.result.type == "errored" else result.result.type)
    assert outcomes == [error_type, "succeeded"]


def test_answers_can_be_cut_by_max_tokens(simulator: Simulator, http: httpx2.Client) -> None:
    simulator.fail(Result(outcome="max_tokens"))
    (line,) = results_of(http, make_batch(http, 1))
    message = line["result"]["message"]
    assert (message["stop_reason"], message["usage"]["output_tokens"]) == ("max_tokens", 500)


def test_one_fault_or_all_can_be_healed(simulator: Simulator, http: httpx2.Client) -> None:
    rule = simulator.fail(Refuse(status=429), MESSAGES)
    simulator.fail(Refuse(status=529), MESSAGES)
    assert http.post("/v1/messages", json=BODY).status_code == 429
    simulator.heal(rule)
    assert http.post("/v1/messages", json=BODY).status_code == 529
    assert [(state.matched, state.acted) for state in simulator.faults()] == [(1, 1)]
    simulator.heal()
    assert http.post("/v1/messages", json=BODY).status_code == 200


@pytest.mark.parametrize(
    "rule",
    [{"action": {"type": "explode"}}, {"action": {"type": "refuse"}, "match": {"colour": "red"}}, {"match": {}}, "x"],
)
def test_a_rule_that_makes_no_sense_is_refused(simulator: Simulator, rule: object) -> None:
    response = httpx2.post(f"{simulator.base_url}/_simulator/faults", json=rule)
    assert response.status_code == 400
    assert simulator.faults() == []
