"""One socket to the Runtime API, opened when it is needed and kept between requests."""

from __future__ import annotations

import select
import socket

from streaming_runtime.wire import AnswerReader, WireError

RECEIVE_BYTES = 65_536


class Connection:
    """Sends bytes and reads answers. Every failure, of the network or of the other side's HTTP, is an OSError."""

    __slots__ = ("_host", "_port", "_readable", "_socket", "authority")

    def __init__(self, authority: str) -> None:
        """`authority` is `host:port`, as AWS_LAMBDA_RUNTIME_API gives it."""
        host, _, port = authority.rpartition(":")
        self.authority = authority
        self._host = host or authority
        self._port = int(port) if host else 80
        self._socket: socket.socket | None = None
        self._readable = select.poll()

    def begin(self, data: bytes) -> None:
        """Sends a request, or the start of one, on a connection that can carry it."""
        self.make_ready()
        self.send(data)

    def make_ready(self) -> None:
        """Opens a new connection if there is none, or the last one has ended."""
        if self._socket is None or self.has_input():  # input between two requests is the end of the connection
            self._open()

    def send(self, data: bytes) -> None:
        """Sends all of `data` in one go; it is on its way when this returns."""
        self._opened().sendall(data)

    def send_at_once(self, data: bytes) -> bytes:
        """Sends as much of `data` as can leave without waiting, which is nearly always all; returns the rest."""
        try:
            sent = self._opened().send(data, socket.MSG_DONTWAIT)
        except BlockingIOError:
            sent = 0
        return data[sent:]

    def has_input(self) -> bool:
        """Returns whether the other side has said something, or has gone."""
        return bool(self._readable.poll(0))

    def read_answer(self) -> AnswerReader:
        """Waits for one whole answer."""
        opened = self._opened()
        reader = AnswerReader()
        try:
            while not reader.feed(opened.recv(RECEIVE_BYTES)):
                pass
        except WireError as error:
            self.close()
            raise ConnectionResetError(f"no answer from the Runtime API: {error}") from error
        if not reader.reusable:
            self.close()
        return reader

    def close(self) -> None:
        """Ends the connection; the next request opens another."""
        if self._socket is not None:
            self._readable.unregister(self._socket)
            self._socket.close()
            self._socket = None

    def _opened(self) -> socket.socket:
        if self._socket is None:
            raise ConnectionResetError("the connection to the Runtime API is closed")
        return self._socket

    def _open(self) -> None:
        self.close()
        opened = socket.create_connection((self._host, self._port))
        opened.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._readable.register(opened, select.POLLIN)
        self._socket = opened
