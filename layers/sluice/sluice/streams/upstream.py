"""HTTP/1.1 to Claude: one connection, kept between calls while Claude keeps it."""

from __future__ import annotations

import select
import socket
import ssl
import time
from collections.abc import Mapping
from contextlib import suppress
from http.client import HTTPConnection, HTTPException, HTTPResponse, HTTPSConnection, IncompleteRead
from urllib.parse import urlsplit

from sluice.claude.connection import CONNECTION_ERRORS, end_read
from sluice.streams.http_body import ChunkedBody, FramingError, SizedBody

_CONNECT_SECONDS = 5.0
_IDLE_SECONDS = 30.0
_PIECE_BYTES = 65_536
# What stands behind the last event of a stream: the chunk that ends the body. It comes with the event, or not at all.
_END_SECONDS = 0.5


class NotConnected(OSError):
    """There was no connection, so that nothing was sent; its cause says why."""


class UpstreamResponse:
    """An answer whose body is still to be read. Reading raises CONNECTION_ERRORS; TimeoutError is one of them."""

    def __init__(
        self, upstream: Upstream, connection: HTTPConnection, raw: socket.socket, response: HTTPResponse
    ) -> None:
        self._upstream = upstream
        self._connection = connection
        self._raw = raw
        self._response = response
        self._timeout: float | None = None
        self._body: ChunkedBody | SizedBody = ChunkedBody() if response.chunked else SizedBody(response.length)
        self._buffered = True
        self.status = response.status
        self.headers = response.getheaders()

    def header(self, name: str) -> str | None:
        """Return a header, whatever the case of its name."""
        return self._response.getheader(name)

    def set_timeout(self, seconds: float) -> None:
        """Let reads wait for this long at most."""
        if seconds != self._timeout:  # Each change is a call of the system, and this is asked before each read.
            self._timeout = seconds
            self._raw.settimeout(seconds)

    def read_piece(self) -> bytes:
        """Return what has come, as soon as anything has; nothing at the end."""
        while not self._body.complete:
            data = self._read_buffered() if self._buffered else self._raw.recv(_PIECE_BYTES)
            if not data:
                if self._body.end():
                    break
                raise IncompleteRead(b"")
            try:
                piece = self._body.feed(data)
            except FramingError as error:
                raise HTTPException(str(error)) from None
            if piece:
                return piece
        return b""

    def interrupt(self) -> None:
        """End a read that waits in another thread: it raises or returns nothing."""
        end_read(self._raw)

    def close(self) -> None:
        """End the call to Claude; the connection is kept only if all that was asked for has been read."""
        if not self._response.will_close and self._has_ended():
            self._response.close()
            self._upstream.keep(self._connection)
        else:
            self.abandon()

    def abandon(self) -> None:
        """End the call to Claude at once, whatever is still to come."""
        self._response.close()
        self._connection.close()

    def _read_buffered(self) -> bytes:
        """Take what was read together with the head; from then on the connection is read directly."""
        self._buffered = False
        fp = self._response.fp
        return fp.read(len(fp.peek())) if fp is not None else b""

    def _has_ended(self) -> bool:
        if not self._body.complete:
            with suppress(*CONNECTION_ERRORS):
                self._raw.settimeout(_END_SECONDS)
                self.read_piece()
        return self._body.complete


class Upstream:
    """Where Claude is. ``base_url`` may have a path in front of the API's own."""

    def __init__(self, base_url: str) -> None:
        self._url = urlsplit(base_url)
        self._prefix = self._url.path.rstrip("/")
        self._tls: ssl.SSLContext | None = None
        self._idle: tuple[float, HTTPConnection] | None = None

    def send(
        self, method: str, target: str, headers: Mapping[str, str], body: bytes, timeout: float
    ) -> UpstreamResponse:
        """Send a request and wait up to ``timeout`` seconds for the head of its answer. Raises CONNECTION_ERRORS."""
        connection = self._take_idle() or self._connect(min(_CONNECT_SECONDS, timeout))
        raw = connection.sock
        try:
            raw.settimeout(timeout)
            connection.request(method, self._prefix + target, body or None, dict(headers))
            return UpstreamResponse(self, connection, raw, connection.getresponse())
        except BaseException:
            connection.close()
            raise

    def keep(self, connection: HTTPConnection) -> None:
        """Keep a connection for the next call."""
        self._idle = (time.monotonic(), connection)

    def _take_idle(self) -> HTTPConnection | None:
        if self._idle is None:
            return None
        (since, connection), self._idle = self._idle, None
        # Input between two calls is the end of the connection.
        if time.monotonic() - since < _IDLE_SECONDS and not select.select([connection.sock], [], [], 0)[0]:
            return connection
        connection.close()
        return None

    def _connect(self, timeout: float) -> HTTPConnection:
        host, port = self._url.hostname or "", self._url.port
        if self._url.scheme == "http":
            connection = HTTPConnection(host, port, timeout=timeout)
        else:
            self._tls = self._tls or ssl.create_default_context()
            connection = HTTPSConnection(host, port, timeout=timeout, context=self._tls)
        try:
            connection.connect()
        except OSError as error:
            raise NotConnected(type(error).__name__) from error
        connection.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return connection
