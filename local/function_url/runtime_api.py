"""The Runtime API as one copy of the function sees it. Format: AWS Lambda, "Using the Lambda runtime API"."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from http import HTTPStatus

from local.function_url.http_connection import HttpConnection, RequestHead
from local.function_url.invocation import Invocation, ResponseMode, ResponseTooLarge

ROOT = "/2018-06-01/runtime"
STREAMED_TYPE = "application/vnd.awslambda.http-integration-response"
ERROR_TRAILER = "lambda-runtime-function-error-type"
ACCEPTED = {"status": "OK"}


class RuntimeApi:
    """The server that one copy calls. `on_change` is called when the copy has become free for the next invocation."""

    def __init__(self, function_arn: str, on_change: Callable[[], None], *, stop_on_disconnect: bool) -> None:
        self.invocation: Invocation | None = None
        self.started = False
        self.stop_on_disconnect = stop_on_disconnect
        self._function_arn = function_arn
        self._on_change = on_change
        self._poll: CopyConnection | None = None
        self._connections: set[CopyConnection] = set()
        self._server: asyncio.Server | None = None

    @property
    def idle(self) -> bool:
        """Whether the copy is waiting for an invocation."""
        return self._poll is not None

    async def open(self) -> str:
        """Starts to listen; returns `host:port`."""
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(lambda: CopyConnection(self), "127.0.0.1", 0)
        host, port = self._server.sockets[0].getsockname()
        return f"{host}:{port}"

    def close(self) -> None:
        """Ends all connections, and the invocation if there is one."""
        self._poll = None
        if self._server is not None:
            self._server.close()
        for connection in tuple(self._connections):
            connection.transport.abort()
        self.release(failed=True)

    def hand_out(self, invocation: Invocation, deadline: float) -> None:
        """Answers the waiting copy. `deadline` is in seconds since the epoch."""
        connection, self._poll = self._poll, None
        if connection is None:
            raise RuntimeError("the copy is not waiting for an invocation")
        self.invocation = invocation
        fields = {
            "Lambda-Runtime-Aws-Request-Id": invocation.request_id,
            "Lambda-Runtime-Deadline-Ms": str(int(deadline * 1000)),
            "Lambda-Runtime-Invoked-Function-Arn": self._function_arn,
            "Lambda-Runtime-Trace-Id": invocation.trace_id,
        }
        connection.answer(HTTPStatus.OK, invocation.event, fields)

    def release(self, *, failed: bool = False) -> None:
        """The copy is through with its invocation."""
        invocation, self.invocation = self.invocation, None
        if invocation is not None and failed:
            invocation.fail()

    def polled(self, connection: CopyConnection) -> None:
        """The copy asks for an invocation; one that it has not answered has failed."""
        self.started = True
        self.release(failed=True)
        self._poll = connection
        self._on_change()

    def connected(self, connection: CopyConnection) -> None:
        """A connection of the copy has opened."""
        self._connections.add(connection)

    def disconnected(self, connection: CopyConnection) -> None:
        """A connection of the copy has gone."""
        self._connections.discard(connection)
        if self._poll is connection:
            self._poll = None


class CopyConnection(HttpConnection):
    """One connection of a copy: `invocation/next`, an answer, or a failure."""

    def __init__(self, api: RuntimeApi) -> None:
        super().__init__()
        self._api = api
        self._route = ("", "")
        self._response: Invocation | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Called by asyncio."""
        super().connection_made(transport)
        self._api.connected(self)

    def ended(self) -> None:
        """An answer that was under way has failed; the copy itself may live on."""
        self._api.disconnected(self)
        if self._response is not None:
            self._response = None
            self._api.release(failed=True)

    def request_started(self, head: RequestHead) -> None:
        """Finds out what the copy wants."""
        self._route = (head.method, head.target.removeprefix(ROOT))
        invocation = self._api.invocation
        if invocation is None or self._route != ("POST", f"/invocation/{invocation.request_id}/response"):
            return
        self._response = invocation
        invocation.reply.pace = self._pace
        invocation.reply.on_gone = self._client_gone
        streamed = head.field("lambda-runtime-function-response-mode").lower() == "streaming"
        with_prelude = head.field("content-type").lower() == STREAMED_TYPE
        invocation.response_started(ResponseMode(streamed, with_prelude))
        if invocation.reply.gone:
            self._client_gone()

    def body_received(self, data: bytes) -> None:
        """Passes a piece of the answer on; other bodies tell nothing that a client may see."""
        if self._response is None:
            return
        try:
            self._response.response_data(data)
        except ResponseTooLarge:
            self._response = None
            self._api.release()
            self._answer_json(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, {"errorType": "Function.ResponseSizeTooLarge"})
            self.transport.close()

    def batch_ended(self) -> None:
        """Lets what was received together leave together."""
        if self._response is not None and not self._response.settled:
            self._response.reply.flush()

    def request_ended(self) -> None:
        """Answers the copy."""
        invocation = self._api.invocation
        if self._route == ("GET", "/invocation/next"):
            self._api.polled(self)
        elif self._response is not None:
            response, self._response = self._response, None
            response.response_ended(failed=ERROR_TRAILER in self.trailers)
            self._api.release()
            self._answer_json(HTTPStatus.ACCEPTED, ACCEPTED)
        elif invocation is not None and self._route == ("POST", f"/invocation/{invocation.request_id}/error"):
            self._api.release(failed=True)
            self._answer_json(HTTPStatus.ACCEPTED, ACCEPTED)
        elif self._route == ("POST", "/init/error"):
            self._answer_json(HTTPStatus.ACCEPTED, ACCEPTED)
        else:
            self._answer_json(HTTPStatus.BAD_REQUEST, {"errorType": "InvalidRequestID"})

    def answer(self, status: HTTPStatus, body: bytes, fields: dict[str, str]) -> None:
        """Sends an answer with a body of JSON."""
        fields = {"Content-Type": "application/json", "Content-Length": str(len(body)), **fields}
        lines = [f"HTTP/1.1 {status.value} {status.phrase}", *(f"{name}: {value}" for name, value in fields.items())]
        self.transport.write(("\r\n".join(lines) + "\r\n\r\n").encode("latin-1") + body)

    def _answer_json(self, status: HTTPStatus, document: dict[str, str]) -> None:
        if self.is_open:
            self.answer(status, json.dumps(document).encode("ascii"), {})

    def _pace(self, may_read: bool) -> None:
        if not self.is_open:
            return
        if may_read:
            self.transport.resume_reading()
        else:
            self.transport.pause_reading()

    def _client_gone(self) -> None:
        if self._api.stop_on_disconnect and self._response is not None:
            self.transport.abort()
