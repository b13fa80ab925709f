"""One call on its connection: reads the request, writes the answer, notices a client that leaves, cuts the wire."""

import asyncio
import socket
import struct
import time
from collections.abc import AsyncIterator, Mapping
from urllib.parse import parse_qsl

from starlette.types import Receive, Scope, Send

from simulator.errors import ApiError
from simulator.identifiers import identifier
from simulator.record import Exchange, key_digest, public_headers, wall_clock

TRANSPORT = "simulator.transport"
_SECONDS_TO_READ = 0.1


class ClientLeft(Exception):
    """The client closed the connection before the end of the answer."""


class Call:
    """One call. `gone` is set as soon as the client has left."""

    def __init__(self, scope: Scope, receive: Receive, send: Send, *, number: int, operation: str) -> None:
        self._receive = receive
        self._send = send
        self._transport: asyncio.Transport = scope["extensions"][TRANSPORT]["transport"]
        self._body_read = False
        self._watcher: asyncio.Task[None] | None = None
        headers = [(name.decode("latin-1"), value.decode("latin-1")) for name, value in scope["headers"]]
        self.headers = dict(headers)
        self.path: str = scope["path"]
        self.method: str = scope["method"]
        self.query = dict(parse_qsl(scope["query_string"].decode("latin-1")))
        self.version = self.headers.get("anthropic-version", "")
        self.key = self.headers.get("x-api-key", "") or _bearer(self.headers.get("authorization", ""))
        self.base_url = f"http://{self.headers.get('host', '127.0.0.1')}"
        self.gone = asyncio.Event()
        self.record = Exchange(
            number=number,
            request_id=identifier("req", number),
            operation=operation,
            method=self.method,
            path=self.path,
            query=scope["query_string"].decode("latin-1"),
            headers=public_headers(headers),
            key_sent_as="x-api-key" if self.headers.get("x-api-key") else ("bearer" if self.key else None),
            key_sha256=key_digest(self.key) if self.key else None,
            started_at=wall_clock(),
            monotonic=time.monotonic(),
        )

    async def body_chunks(self) -> AsyncIterator[bytes]:
        """The request's body, as it arrives. Raises ClientLeft."""
        while not self._body_read:
            message = await self._receive()
            if message["type"] == "http.disconnect":
                self._note_departure()
                raise ClientLeft
            self._body_read = not message.get("more_body", False)
            self.record.body_bytes += len(message.get("body", b""))
            yield message.get("body", b"")

    async def read_body(self, limit: int) -> bytes:
        """The whole body. Raises ApiError (413) above `limit` bytes, and ClientLeft."""
        body = bytearray()
        async for chunk in self.body_chunks():
            if self.record.body_bytes <= limit:
                body += chunk
        if self.record.body_bytes > limit:
            raise ApiError(413, "Request exceeds the maximum size")
        self.record.keep_body(bytes(body))
        return bytes(body)

    async def drain_body(self) -> None:
        """Let the rest of the request arrive, so that its sender is not cut off while it writes."""
        async for _ in self.body_chunks():
            pass

    def watch(self) -> None:
        """From now on (the body has been read) notice when the client leaves."""
        self._watcher = asyncio.create_task(self._wait_for_departure())

    async def _wait_for_departure(self) -> None:
        while (await self._receive())["type"] != "http.disconnect":
            pass
        self._note_departure()

    def _note_departure(self) -> None:
        if self.record.is_open:
            self.record.disconnected_at = wall_clock()
        self.gone.set()

    async def start(self, status: int, headers: Mapping[str, str]) -> None:
        """Send the status line and the headers."""
        self.record.status = status
        encoded = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in headers.items()]
        await self._send({"type": "http.response.start", "status": status, "headers": encoded})

    async def write(self, data: bytes) -> None:
        """Send a piece of the body. Raises ClientLeft."""
        self._check_client()
        self.record.response_bytes += len(data)
        await self._send({"type": "http.response.body", "body": data, "more_body": True})

    async def finish(self, data: bytes = b"") -> None:
        """Send the last piece, and end the body. Raises ClientLeft."""
        self._check_client()
        self.record.response_bytes += len(data)
        self.record.ended_at = wall_clock()
        await self._send({"type": "http.response.body", "body": data, "more_body": False})

    def _check_client(self) -> None:
        # The connection may be known to be broken before the watcher has had its turn.
        if self._transport.is_closing():
            self._note_departure()
        if self.gone.is_set():
            raise ClientLeft

    async def sleep(self, seconds: float) -> None:
        """Wait. Raises ClientLeft as soon as the client has left (for short waits: after them)."""
        if seconds < 0.25:
            await asyncio.sleep(max(seconds, 0.0))
        else:
            await self.wait_for_departure(seconds)
        if self.gone.is_set():
            raise ClientLeft

    async def wait_for_departure(self, seconds: float | None) -> None:
        """Wait until the client leaves, at most `seconds`."""
        try:
            await asyncio.wait_for(self.gone.wait(), seconds)
        except TimeoutError:
            return

    async def cut(self, *, reset: bool) -> None:
        """Close the connection with the answer unfinished: by a TCP reset, or by an ordinary close."""
        while self._transport.get_write_buffer_size() and not self.gone.is_set():
            await asyncio.sleep(0.002)
        self.record.ended_at = wall_clock()
        if reset:
            # A reset discards what the other side has not read yet; what was sent before it is meant to arrive.
            await self.wait_for_departure(_SECONDS_TO_READ)
            if self.gone.is_set():
                return
            wire: socket.socket = self._transport.get_extra_info("socket")
            wire.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self._transport.abort()
        else:
            self._transport.close()
        await self.gone.wait()

    def close(self) -> None:
        """Stop watching."""
        if self._watcher is not None:
            self._watcher.cancel()


def _bearer(authorization: str) -> str:
    scheme, _, token = authorization.partition(" ")
    return token.strip() if scheme.lower() == "bearer" else ""
