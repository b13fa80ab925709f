"""A client's connection to the Function URL, and the reply to one of its requests."""

from __future__ import annotations

import asyncio
import json
from collections import deque
from collections.abc import Callable
from email.utils import formatdate

from local.function_url.event import MAX_EVENT_BYTES, HttpRequest
from local.function_url.http_connection import HttpConnection, RequestHead
from local.function_url.response import ResponseHead

MAX_PIPELINED = 16


class Reply:
    """The reply to one request: `start`, any number of `write` and `flush`, then `finish` or `abort`; or `refuse`.

    Calls after the client has gone do nothing. `pace` is called with False when the client reads too slowly, and with
    True when it has caught up; `on_gone` when it has gone away.
    """

    def __init__(self, connection: ClientConnection, head: RequestHead) -> None:
        self._connection = connection
        self._chunked = head.version == "1.1"
        self._with_body = head.method != "HEAD"
        self._keep_alive = head.keep_alive
        self._pieces: list[bytes] = []
        self._head = b""
        self.started = False
        self.gone = False
        self.pace: Callable[[bool], None] | None = None
        self.on_gone: Callable[[], None] | None = None

    def start(self, head: ResponseHead, request_id: str, trace_id: str) -> None:
        """Sets status and header fields; they leave with the next flush."""
        self.started = True
        self._with_body = self._with_body and head.has_body
        added = [("date", formatdate(usegmt=True)), ("x-amzn-requestid", request_id), ("x-amzn-trace-id", trace_id)]
        if not any(name == "content-type" for name, _ in head.fields):
            added.append(("content-type", "application/octet-stream"))
        if head.has_body and self._chunked:
            added.append(("transfer-encoding", "chunked"))
        elif head.has_body:
            self._keep_alive = False
        added.append(("connection", "keep-alive" if self._keep_alive else "close"))
        self._head = head.encode(tuple(added))

    def write(self, data: bytes) -> None:
        """Adds to the body; it leaves with the next flush."""
        if data and self._with_body:
            self._pieces.append(data)

    def flush(self) -> None:
        """Sends what has been written, as one chunk."""
        body = b"".join(self._pieces)
        self._pieces.clear()
        if body and self._chunked:
            body = b"%x\r\n%b\r\n" % (len(body), body)
        self._send(body)

    def finish(self) -> None:
        """Ends a reply that is whole."""
        self.flush()
        self._send(b"0\r\n\r\n" if self._chunked and self._with_body else b"")
        self._connection.reply_ended(self._keep_alive)

    def abort(self) -> None:
        """Ends the connection in the middle of the reply, which is how a client tells a cut from an end."""
        self.flush()
        self._connection.reply_ended(keep_alive=False)

    def refuse(self, status: int, document: dict[str, str], request_id: str = "") -> None:
        """Replies in the Function URL's own name, with JSON."""
        self.started = True
        body = json.dumps(document).encode("ascii")
        fields = (
            ("content-type", "application/json"),
            ("content-length", str(len(body))),
            ("date", formatdate(usegmt=True)),
            ("x-amzn-requestid", request_id),
            ("connection", "keep-alive" if self._keep_alive else "close"),
        )
        self._head = ResponseHead(status).encode(fields)
        self._send(body if self._with_body else b"")
        self._connection.reply_ended(self._keep_alive)

    def _send(self, data: bytes) -> None:
        data, self._head = self._head + data, b""
        if data and not self.gone:
            self._connection.transport.write(data)


class ClientConnection(HttpConnection):
    """Reads requests and has them answered one after the other by `invoke`. `connections` are all that are open."""

    def __init__(self, invoke: Callable[[HttpRequest, Reply], None], connections: set[ClientConnection]) -> None:
        super().__init__()
        self._invoke = invoke
        self._connections = connections
        self._head: RequestHead | None = None
        self._body = bytearray()
        self._waiting: deque[tuple[HttpRequest, Reply]] = deque()
        self._reply: Reply | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Called by asyncio."""
        super().connection_made(transport)
        self._connections.add(self)

    def request_started(self, head: RequestHead) -> None:
        """Lets a client that asks first send its body."""
        self._head = head
        self._body = bytearray()
        if head.field("expect").lower() == "100-continue":
            self.transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")

    def body_received(self, data: bytes) -> None:
        """Keeps the body, but no more of it than shows that it is too large."""
        if len(self._body) <= MAX_EVENT_BYTES:
            self._body += data

    def request_ended(self) -> None:
        """Has the request answered, after those before it."""
        head = self._head
        if head is None:
            return
        peer = self.transport.get_extra_info("peername")
        request = HttpRequest(head.method, head.target, head.version, head.fields, bytes(self._body), peer[0])
        self._waiting.append((request, Reply(self, head)))
        if len(self._waiting) > MAX_PIPELINED:
            self.transport.close()
        elif self._reply is None:
            self._answer_next()

    def reply_ended(self, keep_alive: bool) -> None:
        """Goes on with the next request, or ends the connection once all is sent."""
        self._reply = None
        if not keep_alive:
            self.transport.close()
        elif self._waiting:
            self._answer_next()

    def pause_writing(self) -> None:
        """Called by asyncio when the client reads too slowly."""
        if self._reply is not None and self._reply.pace is not None:
            self._reply.pace(False)

    def resume_writing(self) -> None:
        """Called by asyncio when the client has caught up."""
        if self._reply is not None and self._reply.pace is not None:
            self._reply.pace(True)

    def ended(self) -> None:
        """Tells the invocation that its client has gone."""
        self._connections.discard(self)
        self._waiting.clear()
        reply, self._reply = self._reply, None
        if reply is None:
            return
        reply.gone = True
        if reply.pace is not None:
            reply.pace(True)
        if reply.on_gone is not None:
            reply.on_gone()

    def _answer_next(self) -> None:
        request, self._reply = self._waiting.popleft()
        self._invoke(request, self._reply)
