"""Streamed answers, to the byte."""

from __future__ import annotations

import base64
import json

import pytest

from tests.integration.streaming_runtime.conftest import Gate, Start
from tests.integration.streaming_runtime.scripted_runtime_api import Event, ScriptedRuntimeApi, read_chunks

PRELUDE = b'{"statusCode":200,"headers":{},"cookies":[]}' + b"\0" * 8
ENDLESS = """
    def body():
        try:
            while True:
                yield b"x" * 1000
        finally:
            print("closed")

    def handler(event, context):
        return Response(body())
"""


def framed(data: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(data), data)


def test_a_streamed_answer_is_this_on_the_wire(api: ScriptedRuntimeApi, start: Start) -> None:
    api.hand_out(Event("8476a536-e9f4-11e8-9739-2dfe598c3fcd"))
    start("""
        def handler(event, context):
            headers = {"content-type": "text/event-stream"}
            return Response(iter([b"data: 1\\n\\n", b"data: \\xff\\n\\n"]), 203, headers, ["a=b; Secure"])
    """)
    prelude = b'{"statusCode":203,"headers":{"content-type":"text/event-stream"},"cookies":["a=b; Secure"]}' + b"\0" * 8
    assert api.wait_for_post().raw == (
        b"POST /2018-06-01/runtime/invocation/8476a536-e9f4-11e8-9739-2dfe598c3fcd/response HTTP/1.1\r\n"
        b"Host: " + api.authority.encode() + b"\r\n"
        b"Content-Type: application/vnd.awslambda.http-integration-response\r\n"
        b"Lambda-Runtime-Function-Response-Mode: streaming\r\n"
        b"Transfer-Encoding: chunked\r\n"
        b"Trailer: Lambda-Runtime-Function-Error-Type, Lambda-Runtime-Function-Error-Body\r\n"
        b"\r\n" + framed(prelude) + b"9\r\ndata: 1\n\n\r\n" + b"9\r\ndata: \xff\n\n\r\n" + b"0\r\n\r\n"
    )


def test_each_chunk_is_on_the_wire_before_the_next_is_made(api: ScriptedRuntimeApi, start: Start, gate: Gate) -> None:
    api.hand_out(Event())
    start("""
        def body():
            for letter in "abc":
                yield letter.encode()
                wait_at_gate()

        def handler(event, context):
            return Response(body())
    """)
    for letter in (b"a", b"b", b"c"):
        request = api.wait_for_bytes(framed(letter))
        assert not request.whole
        gate.open()
    assert api.wait_for_post().body == framed(PRELUDE) + framed(b"a") + framed(b"b") + framed(b"c") + b"0\r\n\r\n"


def test_an_empty_chunk_does_not_end_the_body(api: ScriptedRuntimeApi, start: Start) -> None:
    api.hand_out(Event())
    start("""
        def handler(event, context):
            return Response(iter([b"a", b"", b"b", b""]))
    """)
    assert api.wait_for_post().body == framed(PRELUDE) + framed(b"a") + framed(b"b") + b"0\r\n\r\n"


def test_an_empty_chunk_at_the_start_sends_the_head_ahead(api: ScriptedRuntimeApi, start: Start, gate: Gate) -> None:
    api.hand_out(Event())
    start("""
        def body():
            yield b""
            wait_at_gate()
            yield b"late"

        def handler(event, context):
            return Response(body())
    """)
    assert not api.wait_for_bytes(framed(PRELUDE)).whole
    gate.open()
    assert api.wait_for_post().body == framed(PRELUDE) + framed(b"late") + b"0\r\n\r\n"


def test_a_body_without_a_byte_is_a_head_and_an_end(api: ScriptedRuntimeApi, start: Start) -> None:
    api.hand_out(Event())
    start("""
        def handler(event, context):
            return Response([])
    """)
    assert api.wait_for_post().body == framed(PRELUDE) + b"0\r\n\r\n"


def test_the_connection_of_a_streamed_answer_is_not_used_again(api: ScriptedRuntimeApi, start: Start) -> None:
    api.hand_out(Event())
    start("""
        def handler(event, context):
            return Response(iter([b"a"]))
    """)
    first, answer, second = api.wait_for(3)
    assert first.connection == answer.connection != second.connection


def test_a_failure_before_the_first_byte_fails_the_invocation(api: ScriptedRuntimeApi, start: Start) -> None:
    api.hand_out(Event("id-7"))
    start("""
        def body():
            raise LookupError("no such stream")
            yield b""

        def handler(event, context):
            return Response(body())
    """)
    request = api.wait_for_post()
    assert request.line == "POST /2018-06-01/runtime/invocation/id-7/error HTTP/1.1"
    assert request.headers["lambda-runtime-function-error-type"] == "LookupError"
    document = json.loads(request.body)
    assert (document["errorType"], document["errorMessage"]) == ("LookupError", "no such stream")
    assert [line.split(",")[-1].strip() for line in document["stackTrace"]] == [
        'in body\n    raise LookupError("no such stream")'
    ]


def test_a_failure_after_the_first_byte_is_told_in_trailers(api: ScriptedRuntimeApi, start: Start) -> None:
    api.hand_out(Event())
    process = start("""
        def body():
            yield b"half of "
            raise LookupError("no such stream")

        def handler(event, context):
            return Response(body())
    """)
    whole = read_chunks(api.wait_for_post().body)
    assert whole is not None
    chunks, trailers = whole
    assert chunks == [PRELUDE, b"half of "]
    assert set(trailers) == {"lambda-runtime-function-error-type", "lambda-runtime-function-error-body"}
    assert trailers["lambda-runtime-function-error-type"] == "LookupError"
    document = json.loads(base64.b64decode(trailers["lambda-runtime-function-error-body"], validate=True))
    assert (document["errorType"], document["errorMessage"]) == ("LookupError", "no such stream")
    assert process.stderr is not None
    logged = json.loads(process.stderr.readline())
    # The stack is in the log alone: it may be longer than trailers can be.
    assert len(logged.pop("stackTrace")) == 1
    assert logged == {"level": "ERROR", "requestId": "id-1", **document}


@pytest.mark.parametrize(
    "message", ["x" * 10_000, "ü" * 10_000, "\U0001f300" * 10_000], ids=["ascii", "latin", "beyond"]
)
def test_the_trailers_of_any_failure_fit_into_what_the_runtime_api_reads_them_with(
    api: ScriptedRuntimeApi, start: Start, message: str
) -> None:
    """Go's net/http has a buffer of 4 KiB for trailers and the line that ends them; we stay below 3 KB."""
    api.hand_out(Event())
    start(f"""
        def fall(depth):
            if depth:
                fall(depth - 1)
            raise type("Error" * 100, (Exception,), {{}})({message[0]!r} * {len(message)})

        def body():
            yield b"one"
            fall(200)

        def handler(event, context):
            return Response(body())
    """)
    raw = api.wait_for_post().body
    trailers = raw[raw.rindex(b"\r\n0\r\n") + len(b"\r\n0\r\n") :]
    assert len(trailers) < 3_000
    whole = read_chunks(raw)
    assert whole is not None
    document = json.loads(base64.b64decode(whole[1]["lambda-runtime-function-error-body"]))
    assert document["errorType"] == whole[1]["lambda-runtime-function-error-type"] == ("Error" * 100)[:256]
    assert document["errorMessage"] == message[: len(document["errorMessage"])]
    assert len(document["errorMessage"]) > 100


def test_the_connection_of_a_failed_stream_is_closed_and_the_next_invocation_served(
    api: ScriptedRuntimeApi, start: Start
) -> None:
    api.hand_out(Event("id-1"))
    api.hand_out(Event("id-2"))
    start("""
        def body(event, context):
            yield b"one"
            if context.aws_request_id == "id-1":
                raise ValueError

        def handler(event, context):
            return Response(body(event, context))
    """)
    _, failed, _, well, _ = api.wait_for(5)
    assert failed.connection != well.connection
    assert well.line.startswith("POST /2018-06-01/runtime/invocation/id-2/response")
    assert well.body.endswith(b"0\r\n\r\n")


@pytest.mark.parametrize(
    ("response", "error_type"),
    [
        ('Response(iter(["text"]))', "TypeError"),
        ("Response(42)", "TypeError"),
        ("Response(iter([b'a']), headers={'a': {1, 2}})", "TypeError"),
        ("type('Half', (), {'body': iter([b'a'])})()", "AttributeError"),
    ],
)
def test_a_response_that_breaks_the_contract_fails_the_invocation(
    api: ScriptedRuntimeApi, start: Start, response: str, error_type: str
) -> None:
    api.hand_out(Event())
    start(f"""
        def handler(event, context):
            return {response}
    """)
    request = api.wait_for_post()
    assert request.line.endswith("/error HTTP/1.1")
    assert request.headers["lambda-runtime-function-error-type"] == error_type


def test_text_among_the_chunks_ends_the_stream_in_trailers(api: ScriptedRuntimeApi, start: Start) -> None:
    api.hand_out(Event())
    start("""
        def handler(event, context):
            return Response(iter([b"bytes", "text"]))
    """)
    whole = read_chunks(api.wait_for_post().body)
    assert whole is not None
    assert whole[1]["lambda-runtime-function-error-type"] == "TypeError"


@pytest.mark.parametrize("answer", [b"", b"HTTP/1.1 413 Payload Too Large\r\nContent-Length: 0\r\n\r\n"])
def test_a_response_that_the_runtime_api_closes_closes_the_body(
    api: ScriptedRuntimeApi, start: Start, answer: bytes
) -> None:
    api.on_body = lambda recorded: answer if b"x" * 1000 in recorded.raw else None
    api.hand_out(Event("id-9"))
    process = start(ENDLESS)
    assert process.stdout is not None
    assert process.stderr is not None
    assert process.stdout.readline() == "closed\n"
    line = json.loads(process.stderr.readline())
    assert (line["level"], line["requestId"], line["errorType"]) == ("WARN", "id-9", "Runtime.ResponseClosed")
    api.wait_until(lambda requests: sum(request.line.startswith("GET") for request in requests) == 2)


def test_an_answer_that_is_never_confirmed_does_not_stop_the_function(api: ScriptedRuntimeApi, start: Start) -> None:
    api.answer = b""
    api.hand_out(Event())
    process = start("""
        def handler(event, context):
            return Response(iter([b"a"]))
    """)
    api.wait_for_post()
    api.hang_up()
    assert process.stderr is not None
    assert json.loads(process.stderr.readline())["errorType"] == "Runtime.ResponseClosed"
    api.wait_for(3)


def test_a_body_is_closed_at_its_end(api: ScriptedRuntimeApi, start: Start) -> None:
    api.hand_out(Event())
    process = start("""
        class Body:
            def __iter__(self):
                return iter([b"a"])

            def close(self):
                print("closed")
                raise OSError("already gone")

        def handler(event, context):
            return Response(Body())
    """)
    assert process.stdout is not None
    assert process.stderr is not None
    assert process.stdout.readline() == "closed\n"
    assert json.loads(process.stderr.readline())["errorMessage"] == "already gone"
    assert api.wait_for(3)[1].body.endswith(b"0\r\n\r\n")
