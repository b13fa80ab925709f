"""The answer to one invocation: sent whole, streamed, or failed. Wire format: Lambda Runtime API, response streaming.

nothing sent ──> streaming ──> done        start, write …, finish
             ╲             ╲─> done        fail: error trailers, or the bare end of the connection within a chunk
              ╲──────────────> done        send_whole, or fail: a call to the `error` path
"""

from __future__ import annotations

from binascii import b2a_base64

from streaming_runtime.runtime_api import ERROR_BODY_FIELD, ERROR_TYPE_FIELD, ROOT
from streaming_runtime.wire import LAST_CHUNK, chunk, last_chunk, prelude, request_head

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from streaming_runtime.failures import Failure
    from streaming_runtime.interruptions import Interruptions
    from streaming_runtime.runtime_api import Invocation, RuntimeApi

STREAM_FIELDS = (
    ("Content-Type", "application/vnd.awslambda.http-integration-response"),
    ("Lambda-Runtime-Function-Response-Mode", "streaming"),
    ("Transfer-Encoding", "chunked"),
    ("Trailer", f"{ERROR_TYPE_FIELD}, {ERROR_BODY_FIELD}"),
)
NOTHING_SENT, STREAMING, DONE = "nothing sent", "streaming", "done"


class ResponseClosed(Exception):
    """The Runtime API takes no more of a response."""


class Exchange:
    """Answers an invocation once. Calls out of order are the loop's mistake and not checked for."""

    __slots__ = ("_api", "_interruptions", "_invocation", "_path", "_state", "_whole_chunks")

    def __init__(self, api: RuntimeApi, interruptions: Interruptions, invocation: Invocation) -> None:
        self._api = api
        self._interruptions = interruptions
        self._invocation = invocation
        self._path = f"{ROOT}/invocation/{invocation.request_id}/response"
        self._state = NOTHING_SENT
        self._whole_chunks = True

    def send_whole(self, document: bytes) -> None:
        """Answers with one JSON document. Raises ResponseClosed when the Runtime API refuses it (413: too large)."""
        self._state = DONE
        fields = [
            ("Content-Type", "application/json"),
            ("Content-Length", str(len(document))),
            *self._invocation.echo,
        ]
        connection = self._api.connection
        try:
            connection.begin(request_head("POST", self._path, connection.authority, fields) + document)
            status = connection.read_answer().status
        except OSError as error:
            raise self._closed(str(error)) from error
        if status >= 400:
            raise ResponseClosed(f"the answer was refused with status {status}")

    def start(self, status: int, headers: Mapping[str, str], cookies: Sequence[str], first: bytes) -> None:
        """Begins a streamed answer; `first` leaves together with the head, and may be empty."""
        connection = self._api.connection
        opening = chunk(prelude(status, headers, cookies)) + (chunk(first) if first else b"")
        head = request_head("POST", self._path, connection.authority, STREAM_FIELDS + self._invocation.echo)
        try:
            connection.make_ready()
            self._state = STREAMING
            self._send(head + opening)
        except OSError as error:
            raise self._closed(str(error)) from error

    def write(self, data: bytes) -> None:
        """Sends a piece of the body at once; nothing for an empty one, which would end the body."""
        if not data:
            return
        if self._api.connection.has_input():
            raise self._closed("it answered before the response was over")
        framed = chunk(data)
        try:
            self._send(framed)
        except OSError as error:
            raise self._closed(str(error)) from error

    def finish(self) -> None:
        """Ends a streamed answer well, and its connection with it, as the Runtime API asks."""
        self._state = DONE
        try:
            self._end_stream(LAST_CHUNK)
        except OSError as error:
            raise self._closed(str(error)) from error

    def fail(self, failure: Failure) -> None:
        """Tells of a failure in the way that is still open; after `finish` or `send_whole` there is none."""
        state, self._state = self._state, DONE
        if state == NOTHING_SENT:
            self._api.report_failure(self._invocation, failure)
        elif state == STREAMING and self._whole_chunks:
            self._send_trailers(failure)
        else:
            self._api.connection.close()

    def _send(self, data: bytes) -> None:
        """Sends whole chunks. Only where that means waiting can an interruption leave one of them in pieces."""
        connection = self._api.connection
        self._interruptions.hold()
        try:
            self._whole_chunks = False
            rest = connection.send_at_once(data)
            self._whole_chunks = not rest
        finally:
            self._interruptions.release()
        if rest:
            connection.send(rest)
            self._whole_chunks = True

    def _send_trailers(self, failure: Failure) -> None:
        body = b2a_base64(failure.short_document, newline=False).decode("ascii")
        try:
            self._end_stream(last_chunk([(ERROR_TYPE_FIELD, failure.error_type), (ERROR_BODY_FIELD, body)]))
        except OSError:
            self._api.connection.close()

    def _end_stream(self, ending: bytes) -> None:
        connection = self._api.connection
        connection.send(ending)
        connection.read_answer()
        connection.close()

    def _closed(self, reason: str) -> ResponseClosed:
        self._state = DONE
        self._api.connection.close()
        return ResponseClosed(f"the Runtime API closed the response: {reason}")
