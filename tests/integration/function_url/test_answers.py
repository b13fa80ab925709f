"""Requests in, answers out."""

from __future__ import annotations

import http.client
import json
import socket

import pytest

from local.function_url import invocation
from tests.integration.function_url.conftest import PATIENCE_SECONDS, Function, Run

MIB = 1024 * 1024


def exchange(function: Function, data: bytes) -> bytes:
    """Sends bytes and returns all that comes back until the connection ends."""
    with socket.create_connection(function.address, PATIENCE_SECONDS) as connection:
        connection.sendall(data)
        received = b""
        while piece := connection.recv(65_536):
            received += piece
        return received


def test_the_first_chunk_arrives_before_the_function_has_made_the_last(function: Function) -> None:
    with function.stream("/gated") as response:
        assert response.read1().isdigit()
        function.open_gate()
        assert response.read() == b" done"


def test_a_request_reaches_the_function_as_an_event(function: Function) -> None:
    answer = function.request(
        "/echo?a=1", "POST", b"\x00\xff", **{"Content-Type": "image/png", "Cookie": "a=1; b=2", "X-Mixed": "Case"}
    )
    event = json.loads(answer.body)
    assert (event["version"], event["rawPath"], event["rawQueryString"]) == ("2.0", "/echo", "a=1")
    assert event["requestContext"]["http"]["method"] == "POST"
    assert event["headers"]["x-mixed"] == "Case"
    assert (event["body"], event["isBase64Encoded"], event["cookies"]) == ("AP8=", True, ["a=1", "b=2"])
    assert event["requestContext"]["requestId"] == answer.headers["x-amzn-requestid"]


def test_status_headers_and_cookies_are_the_functions(function: Function) -> None:
    answer = function.request("/head")
    assert (answer.status, answer.body) == (203, b"a")
    assert answer.headers["x-answer"] == "42"
    assert answer.headers.get_all("set-cookie") == ["a=1", "b=2"]
    assert answer.headers["transfer-encoding"] == "chunked"
    assert answer.headers["content-type"] == "application/octet-stream"
    assert "content-length" not in answer.headers


def test_a_buffered_answer_is_read_as_payload_format_2(function: Function) -> None:
    answer = function.request("/buffered")
    assert (answer.status, answer.headers["x-a"], answer.headers["set-cookie"], answer.body) == (
        201,
        "1",
        "c=3",
        b"abc",
    )


def test_the_function_knows_its_deadline_and_its_name(run: Run) -> None:
    with run(timeout_seconds=60) as function:
        facts = function.json("/facts")
    assert 0 < facts["remaining"] <= 60_000
    assert facts["arn"] == "arn:aws:lambda:us-east-1:000000000000:function:function"


def test_answers_that_have_no_body_leave_the_connection_usable(function: Function) -> None:
    connection = function.connect()
    for method, path, status in (("HEAD", "/head", 203), ("GET", "/no_content", 204), ("GET", "/head", 203)):
        connection.request(method, path)
        response = connection.getresponse()
        assert (response.status, response.read()) == (status, b"a" if (method, status) == ("GET", 203) else b"")
    connection.close()


def test_requests_sent_behind_each_other_are_answered_in_order(function: Function) -> None:
    first, last = (
        b"GET /head HTTP/1.1\r\nHost: a\r\n\r\n",
        b"GET /echo HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
    )
    received = exchange(function, first + last)
    assert [part[:3] for part in received.split(b"HTTP/1.1 ")[1:]] == [b"203", b"200"]
    assert received.count(b"\r\n0\r\n\r\n") == 2


def test_an_http_1_0_client_gets_a_body_that_the_connection_ends(function: Function) -> None:
    head, _, body = exchange(function, b"GET /head HTTP/1.0\r\n\r\n").partition(b"\r\n\r\n")
    assert b"transfer-encoding" not in head
    assert body == b"a"


def test_a_client_that_asks_before_it_sends_its_body_is_let(function: Function) -> None:
    head = b"POST /echo HTTP/1.1\r\nHost: a\r\nConnection: close\r\nExpect: 100-continue\r\nContent-Length: 1\r\n\r\n"
    assert exchange(function, head + b"a").startswith(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\n")


def test_what_is_no_http_is_refused(function: Function) -> None:
    assert exchange(function, b"SSH-2.0-x\r\n\r\n").startswith(b"HTTP/1.1 400 Bad Request\r\n")


def test_a_request_to_change_the_protocol_is_answered_as_if_it_were_none(function: Function) -> None:
    fields = b"Host: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
    with socket.create_connection(function.address, PATIENCE_SECONDS) as connection:
        connection.sendall(b"GET /head HTTP/1.1\r\n" + fields + b"\r\n")
        assert connection.recv(100).startswith(b"HTTP/1.1 203 ")


@pytest.mark.parametrize(
    ("size", "status"), [(5 * MIB, 200), (6 * MIB + 1, 413), (20 * MIB, 413)], ids=["below", "above", "far above"]
)
def test_six_megabytes_are_the_limit_of_a_request(run: Run, size: int, status: int) -> None:
    source = "def handler(event, context): return len(event['body'])"
    with run(source) as function:
        answer = function.request("/", "POST", b"x" * size, **{"Content-Type": "text/plain"})
    assert answer.status == status
    assert json.loads(answer.body) == (size if status == 200 else {"Message": "Request Entity Too Large"})


def test_a_large_answer_arrives_whole_however_slowly_it_is_read(function: Function) -> None:
    with function.stream("/large?500") as response:
        for number in range(500):
            assert response.read(65_536) == b"%07d\n" % number * 8192
        assert response.read() == b""


def test_an_answer_over_the_limit_is_cut_and_the_functions_writes_fail(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(invocation, "MAX_STREAMED_BYTES", 100_000)
    with run() as function:
        with pytest.raises(http.client.IncompleteRead):
            function.request("/endless")
        assert function.hear() == "closed"
        assert function.request("/head").status == 203


@pytest.mark.parametrize("path", ["/raise", "/exit", "/bad_head", "/big"])
def test_a_failure_before_the_first_byte_is_a_bad_gateway(function: Function, path: str) -> None:
    answer = function.request(path)
    assert answer.status == 502
    assert json.loads(answer.body) == {"Message": "Internal Server Error"}
    assert function.request("/head").status == 203


@pytest.mark.parametrize("path", ["/cut", "/crash_within"])
def test_a_failure_after_the_first_byte_cuts_the_answer(function: Function, path: str) -> None:
    with pytest.raises(http.client.IncompleteRead) as cut:
        function.request(path)
    assert cut.value.partial == b"half"
    assert function.request("/head").status == 203
