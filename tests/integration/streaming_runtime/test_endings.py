"""What ends an invocation from outside: the deadline, and SIGTERM."""

from __future__ import annotations

import base64
import json
import signal

import pytest

from tests.integration.streaming_runtime.conftest import Gate, Start
from tests.integration.streaming_runtime.scripted_runtime_api import (
    PATIENCE_SECONDS,
    Event,
    ScriptedRuntimeApi,
    read_chunks,
)

WAITS_WITHIN = """
    def body():
        try:
            yield b"one"
            wait_at_gate()
            yield b"two"
        except Exception:
            print("caught")
        finally:
            print("closed")

    def handler(event, context):
        return Response(body())
"""
WAITS_BEFORE = """
    def handler(event, context):
        if event == "wait":
            wait_at_gate()
        return "through"
"""


def test_a_deadline_before_the_first_byte_fails_the_invocation_and_spares_the_copy(
    api: ScriptedRuntimeApi, start: Start
) -> None:
    api.hand_out(Event("id-1", body=b'"wait"', seconds=0.5))
    api.hand_out(Event("id-2"))
    start(WAITS_BEFORE)
    late, following = api.wait_for_post(1), api.wait_for_post(2)
    assert late.line.endswith("/invocation/id-1/error HTTP/1.1")
    assert json.loads(late.body)["errorType"] == "Runtime.DeadlineReached"
    assert following.body == b'"through"'


def test_a_deadline_in_a_stream_ends_it_in_trailers_and_closes_the_body(api: ScriptedRuntimeApi, start: Start) -> None:
    api.hand_out(Event("id-1", seconds=0.5))
    process = start(WAITS_WITHIN)
    whole = read_chunks(api.wait_for_post().body)
    assert whole is not None
    chunks, trailers = whole
    assert chunks[1:] == [b"one"]
    assert trailers["lambda-runtime-function-error-type"] == "Runtime.DeadlineReached"
    document = json.loads(base64.b64decode(trailers["lambda-runtime-function-error-body"]))
    assert document["errorMessage"] == "the deadline of the invocation has come"
    assert process.stdout is not None
    assert process.stdout.readline() == "closed\n"
    api.wait_for(3)


def test_a_deadline_within_a_chunk_cuts_the_connection(api: ScriptedRuntimeApi, start: Start) -> None:
    """Trailers in the middle of a chunk would be read as its bytes."""
    api.hand_out(Event("id-1", seconds=2.0))
    api.hand_out(Event("id-2"))
    api.read_limit = 100_000
    process = start("""
        def body():
            try:
                yield b"x" * 20_000_000
            finally:
                print("closed")

        def handler(event, context):
            return Response(body())
    """)
    assert process.stdout is not None
    assert process.stdout.readline() == "closed\n"
    api.wait_until(lambda requests: len(requests) >= 3)
    assert not api.requests[1].whole
    assert b"Lambda-Runtime-Function-Error-Type:" not in api.requests[1].body


def test_sigterm_ends_a_copy_that_waits_for_work(api: ScriptedRuntimeApi, start: Start) -> None:
    process = start("def handler(event, context): pass")
    api.wait_for(1)
    process.send_signal(signal.SIGTERM)
    assert process.wait(PATIENCE_SECONDS) == 0
    assert process.stderr is not None
    assert process.stderr.read() == ""


def test_sigterm_in_a_stream_ends_it_in_trailers_closes_the_body_and_ends_the_copy(
    api: ScriptedRuntimeApi, start: Start
) -> None:
    api.hand_out(Event())
    process = start(WAITS_WITHIN)
    api.wait_for_bytes(b"3\r\none\r\n")
    process.send_signal(signal.SIGTERM)
    whole = read_chunks(api.wait_for_post().body)
    assert whole is not None
    assert whole[1]["lambda-runtime-function-error-type"] == "Runtime.Terminated"
    assert process.wait(PATIENCE_SECONDS) == 0
    assert process.stdout is not None
    assert process.stdout.read() == "closed\n"
    assert len(api.wait_for(2)) == 2


def test_sigterm_while_a_body_closes_waits_until_it_is_closed(
    api: ScriptedRuntimeApi, start: Start, gate: Gate
) -> None:
    api.hand_out(Event())
    process = start("""
        class Body:
            def __iter__(self):
                return iter([b"a"])

            def close(self):
                print("closing")
                wait_at_gate()
                print("closed")

        def handler(event, context):
            return Response(Body())
    """)
    assert process.stdout is not None
    assert process.stdout.readline() == "closing\n"
    process.send_signal(signal.SIGTERM)
    gate.open()
    assert process.wait(PATIENCE_SECONDS) == 0
    assert process.stdout.read() == "closed\n"
    assert api.wait_for_post().body.endswith(b"0\r\n\r\n")


@pytest.mark.parametrize("source", ["raise SystemExit(4)", "raise KeyboardInterrupt"])
def test_a_handler_that_ends_the_process_fails_its_invocation_first(
    api: ScriptedRuntimeApi, start: Start, source: str
) -> None:
    api.hand_out(Event())
    process = start(f"""
        def handler(event, context):
            {source}
    """)
    assert process.wait(PATIENCE_SECONDS) != 0
    assert api.wait_for_post().line.endswith("/error HTTP/1.1")
