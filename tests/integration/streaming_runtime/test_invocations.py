"""Everything about an invocation but streaming: buffered answers, events, context, start-up."""

from __future__ import annotations

import json
import re

import pytest

from tests.integration.streaming_runtime.conftest import Start
from tests.integration.streaming_runtime.scripted_runtime_api import PATIENCE_SECONDS, Event, ScriptedRuntimeApi


@pytest.mark.parametrize(
    ("returned", "document"),
    [
        ("{'statusCode': 200, 'body': 'grün'}", '{"statusCode":200,"body":"grün"}'),
        ("'text'", '"text"'),
        ("None", "null"),
        ("[1, 2.5, True]", "[1,2.5,true]"),
    ],
)
def test_a_plain_answer_is_json_on_the_wire(
    api: ScriptedRuntimeApi, start: Start, returned: str, document: str
) -> None:
    api.hand_out(Event("id-3"))
    start(f"""
        def handler(event, context):
            return {returned}
    """)
    body = document.encode()
    assert api.wait_for_post().raw == (
        b"POST /2018-06-01/runtime/invocation/id-3/response HTTP/1.1\r\n"
        b"Host: " + api.authority.encode() + b"\r\n"
        b"Content-Type: application/json\r\n"
        b"Content-Length: " + str(len(body)).encode() + b"\r\n\r\n" + body
    )


@pytest.mark.parametrize(
    "source",
    ["return 'whole'", "return Response([b'streamed'])", "raise ValueError('failed')"],
    ids=["whole", "streamed", "failed"],
)
def test_an_answer_carries_the_id_of_its_invocation_and_of_no_other(
    api: ScriptedRuntimeApi, start: Start, source: str
) -> None:
    """So Lambda can refuse what comes too late, even under a request id that is used again."""
    for invocation_id in ("first", "second", ""):
        api.hand_out(Event("same", invocation_id=invocation_id))
    start(f"""
        def handler(event, context):
            {source}
    """)
    posts = [api.wait_for_post(number) for number in (1, 2, 3)]
    assert [post.headers.get("lambda-runtime-invocation-id") for post in posts] == ["first", "second", None]


def test_plain_answers_share_one_connection(api: ScriptedRuntimeApi, start: Start) -> None:
    api.hand_out(Event("id-1"))
    api.hand_out(Event("id-2"))
    start("""
        def handler(event, context):
            return context.aws_request_id
    """)
    requests = api.wait_for(5)
    assert [request.body for request in requests] == [b"", b'"id-1"', b"", b'"id-2"', b""]
    assert {request.connection for request in requests} == {1}


@pytest.mark.parametrize("returned", ["{1, 2}", "'\\ud800'", "object()"])
def test_an_answer_that_is_no_json_fails_the_invocation(api: ScriptedRuntimeApi, start: Start, returned: str) -> None:
    api.hand_out(Event())
    start(f"""
        def handler(event, context):
            return {returned}
    """)
    request = api.wait_for_post()
    assert request.line.endswith("/error HTTP/1.1")
    assert json.loads(request.body)["errorType"] == "Runtime.MarshalError"


def test_a_failing_handler_fails_its_invocation_and_no_other(api: ScriptedRuntimeApi, start: Start) -> None:
    api.hand_out(Event("id-1", body=b"0"))
    api.hand_out(Event("id-2", body=b"4"))
    start("""
        def handler(event, context):
            return 8 // event
    """)
    assert json.loads(api.wait_for_post(1).body)["errorType"] == "ZeroDivisionError"
    assert api.wait_for_post(2).body == b"2"


def test_a_refused_answer_does_not_stop_the_function(api: ScriptedRuntimeApi, start: Start) -> None:
    api.answer = b"HTTP/1.1 413 Payload Too Large\r\nContent-Length: 0\r\n\r\n"
    api.hand_out(Event())
    process = start("""
        def handler(event, context):
            return "too much"
    """)
    assert process.stderr is not None
    assert "refused with status 413" in json.loads(process.stderr.readline())["errorMessage"]
    api.wait_for(3)


def test_an_event_that_is_no_json_fails_the_invocation(api: ScriptedRuntimeApi, start: Start) -> None:
    api.hand_out(Event(body=b"\xff{"))
    start("""
        def handler(event, context):
            return event
    """)
    assert json.loads(api.wait_for_post().body)["errorType"] == "Runtime.UnmarshalError"


def test_an_event_arrives_whole_however_it_is_sent(api: ScriptedRuntimeApi, start: Start) -> None:
    event = json.dumps({"text": "Zürich " * 10_000}).encode()
    head = Event().encode().partition(b"Content-Length")[0]
    chunks = [b"%x\r\n%b\r\n" % (len(part), part) for part in (event[:1], event[1:4097], event[4097:])]
    api.events.put([head[:40], head[40:] + b"Transfer-Encoding: chunked\r\n\r\n", *chunks, b"0\r\n", b"\r\n"])
    start("""
        def handler(event, context):
            return event
    """)
    assert json.loads(api.wait_for_post().body) == json.loads(event)


def test_a_handler_knows_its_invocation_and_its_function(api: ScriptedRuntimeApi, start: Start) -> None:
    api.hand_out(Event("id-5", trace_id="Root=1-2-3"))
    api.hand_out(Event("id-6"))
    start(
        """
        def handler(event, context):
            remaining = context.get_remaining_time_in_millis()
            return [
                context.aws_request_id, context.function_name, context.memory_limit_in_mb, 0 < remaining <= 60_000,
                context.invoked_function_arn, os.environ.get("_X_AMZN_TRACE_ID"),
            ]
        """,
        AWS_LAMBDA_FUNCTION_NAME="f",
        AWS_LAMBDA_FUNCTION_MEMORY_SIZE="128",
    )
    arn = "arn:aws:lambda:us-east-1:000000000000:function:f"
    assert json.loads(api.wait_for_post(1).body) == ["id-5", "f", 128, True, arn, "Root=1-2-3"]
    assert json.loads(api.wait_for_post(2).body) == ["id-6", "f", 128, True, arn, None]


@pytest.mark.parametrize(
    ("source", "error_type"),
    [
        ("import absent_package", "Runtime.ImportModuleError"),
        ("def (", "Runtime.UserCodeSyntaxError"),
        ("", "Runtime.HandlerNotFound"),
        ("os.environ['SLUICE_TABLE']", "KeyError"),
        ("raise SystemExit(0)", "SystemExit"),
    ],
)
def test_a_function_that_cannot_start_says_so_and_exits(
    api: ScriptedRuntimeApi, start: Start, source: str, error_type: str
) -> None:
    process = start(source)
    assert process.wait(PATIENCE_SECONDS) == 1
    (request,) = api.requests
    assert request.line == "POST /2018-06-01/runtime/init/error HTTP/1.1"
    assert request.headers["lambda-runtime-function-error-type"] == error_type
    assert json.loads(request.body)["errorType"] == error_type
    assert process.stderr is not None
    assert json.loads(process.stderr.readline())["errorType"] == error_type


def test_the_interpreters_own_options_are_kept(api: ScriptedRuntimeApi, start: Start) -> None:
    api.hand_out(Event())
    start(
        """
        import sys

        def handler(event, context):
            return [sys.flags.optimize, sys.flags.utf8_mode, sys.argv[1:]]
        """,
        options=("-O", "-X", "utf8"),
    )
    assert json.loads(api.wait_for_post().body) == [1, 1, []]


def test_a_function_may_import_what_lies_beside_it(api: ScriptedRuntimeApi, start: Start) -> None:
    api.hand_out(Event())
    start("""
        import sys
        import front_door

        def handler(event, context):
            return [sys.path[0] == os.environ["LAMBDA_TASK_ROOT"], front_door.handler is handler]
    """)
    assert json.loads(api.wait_for_post().body) == [True, True]


def test_a_snapshot_is_taken_before_the_first_invocation_is_asked_for(api: ScriptedRuntimeApi, start: Start) -> None:
    api.events.put([b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"])
    start("def handler(event, context): pass", AWS_LAMBDA_INITIALIZATION_TYPE="snap-start")
    restore, following = api.wait_for(2)
    assert restore.line == "GET /2018-06-01/runtime/restore/next HTTP/1.1"
    assert following.line == "GET /2018-06-01/runtime/invocation/next HTTP/1.1"
    assert restore.connection != following.connection


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (b"HTTP/1.1 500 Internal Server Error\r\nContent-Length: 0\r\n\r\n", "was answered with status 500"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}", "without its id or deadline"),
        (b"", "ended before the answer did"),
    ],
)
def test_without_a_runtime_api_the_process_ends(
    api: ScriptedRuntimeApi, start: Start, answer: bytes, message: str
) -> None:
    api.events.put([answer] if answer else [])
    process = start("def handler(event, context): pass")
    assert process.wait(PATIENCE_SECONDS) == 1
    assert process.stderr is not None
    assert re.search(message, process.stderr.read())
