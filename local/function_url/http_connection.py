"""The server's side of one HTTP/1.1 connection, as both servers of the host need it."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import cast

import httptools

RECEIVE_BYTES = 32_768


@dataclass(frozen=True, slots=True)
class RequestHead:
    """A request line and its header fields, as sent."""

    method: str
    target: str
    version: str
    fields: tuple[tuple[str, str], ...]
    keep_alive: bool

    def field(self, name: str) -> str:
        """The value of the first header field of that (lower-case) name, or nothing."""
        return next((value for key, value in self.fields if key.lower() == name), "")


class HttpConnection(asyncio.BufferedProtocol):
    """Parses requests and tells of them, piece by piece, through methods that the two servers fill in.

    `batch_ended` follows once all that was received together has been told of, so that it can leave together. The
    buffer is kept because a new one for each read, as asyncio's streams and plain protocols have it, costs more than
    all the rest that happens to an event.
    """

    def __init__(self) -> None:
        self._parser = httptools.HttpRequestParser(self)
        self._transport: asyncio.Transport | None = None
        self._received = bytearray(RECEIVE_BYTES)
        self._target = b""
        self._fields: list[tuple[str, str]] = []
        self.trailers: dict[str, str] = {}

    def request_started(self, head: RequestHead) -> None:
        """The head of a request has arrived."""

    def body_received(self, data: bytes) -> None:
        """A piece of the request's body has arrived."""

    def request_ended(self) -> None:
        """The request is whole; `trailers` holds what followed its body, by lower-case names."""

    def batch_ended(self) -> None:
        """All that was received together has been told of."""

    def ended(self) -> None:
        """The connection has gone."""

    @property
    def is_open(self) -> bool:
        """Whether the other side can still be written to."""
        return self._transport is not None and not self._transport.is_closing()

    @property
    def transport(self) -> asyncio.Transport:
        """The connection's transport; there is one from `connection_made` on."""
        if self._transport is None:
            raise RuntimeError("the connection is not open")
        return self._transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Called by asyncio."""
        self._transport = cast(asyncio.Transport, transport)

    def connection_lost(self, _error: Exception | None) -> None:
        """Called by asyncio."""
        self.ended()

    def get_buffer(self, _size_hint: int) -> bytearray:
        """Called by asyncio."""
        return self._received

    def buffer_updated(self, size: int) -> None:
        """Called by asyncio."""
        try:
            self._parser.feed_data(memoryview(self._received)[:size])
        except httptools.HttpParserUpgrade:
            pass  # no upgrade is offered: the request is answered like any other
        except httptools.HttpParserError:
            self.transport.write(b"HTTP/1.1 400 Bad Request\r\nconnection: close\r\ncontent-length: 0\r\n\r\n")
            self.transport.close()
            return
        self.batch_ended()

    def on_url(self, url: bytes) -> None:
        """Called by the parser, possibly in pieces."""
        self._target += url

    def on_header(self, name: bytes, value: bytes) -> None:
        """Called by the parser for header fields, and for trailer fields after the body."""
        self._fields.append((name.decode("latin-1"), value.decode("latin-1")))

    def on_headers_complete(self) -> None:
        """Called by the parser."""
        head = RequestHead(
            self._parser.get_method().decode("ascii"),
            self._target.decode("latin-1"),
            self._parser.get_http_version(),
            tuple(self._fields),
            self._parser.should_keep_alive(),
        )
        self._target, self._fields = b"", []
        self.request_started(head)

    def on_body(self, data: bytes) -> None:
        """Called by the parser."""
        self.body_received(data)

    def on_message_complete(self) -> None:
        """Called by the parser."""
        self.trailers = {name.lower(): value for name, value in self._fields}
        self._fields = []
        self.request_ended()
