"""A Runtime API that does what a test tells it, and keeps every byte that it gets."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from queue import Queue

ACCEPTED = b"HTTP/1.1 202 Accepted\r\nContent-Type: application/json\r\nContent-Length: 15\r\n\r\n" + b'{"status":"OK"}'
PATIENCE_SECONDS = 30.0


@dataclass(frozen=True, slots=True)
class Event:
    """What `invocation/next` is answered with; the bytes can be replaced by others to the byte."""

    request_id: str = "id-1"
    body: bytes = b"{}"
    seconds: float = 60.0
    trace_id: str = ""
    function_arn: str = "arn:aws:lambda:us-east-1:000000000000:function:f"
    invocation_id: str = ""

    def encode(self) -> bytes:
        deadline_ms = int((time.time() + self.seconds) * 1000)
        lines = [
            "HTTP/1.1 200 OK",
            f"Lambda-Runtime-Aws-Request-Id: {self.request_id}",
            f"Lambda-Runtime-Deadline-Ms: {deadline_ms}",
            f"Lambda-Runtime-Invoked-Function-Arn: {self.function_arn}",
            *([f"Lambda-Runtime-Trace-Id: {self.trace_id}"] if self.trace_id else []),
            *([f"Lambda-Runtime-Invocation-Id: {self.invocation_id}"] if self.invocation_id else []),
            f"Content-Length: {len(self.body)}",
        ]
        return "\r\n".join(lines).encode() + b"\r\n\r\n" + self.body


@dataclass(slots=True)
class Recorded:
    """One request: all of its bytes, and the number of the connection that it came on."""

    connection: int
    raw: bytes = b""
    whole: bool = False

    @property
    def line(self) -> str:
        return self.raw.partition(b"\r\n")[0].decode()

    @property
    def body(self) -> bytes:
        return self.raw.partition(b"\r\n\r\n")[2]

    @property
    def headers(self) -> dict[str, str]:
        lines = self.raw.partition(b"\r\n\r\n")[0].decode().split("\r\n")[1:]
        return {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}


@dataclass
class ScriptedRuntimeApi:
    """Use as a context manager. `events` holds answers to `invocation/next`, or raw ones in pieces that are sent apart.

    `on_body` is asked with every state of a POST that is not whole yet; what it returns is sent, and the connection
    closed at once. After `read_limit` bytes of a request nothing more of it is read.
    """

    events: Queue[Event | list[bytes]] = field(default_factory=Queue)
    requests: list[Recorded] = field(default_factory=list)
    on_body: Callable[[Recorded], bytes | None] = lambda _recorded: None
    answer: bytes = ACCEPTED
    read_limit: int | None = None

    def __post_init__(self) -> None:
        self._changed = threading.Condition()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._connections: list[socket.socket] = []
        self._closing = threading.Event()
        self._threads = [threading.Thread(target=self._accept)]
        self.authority = f"127.0.0.1:{self._listener.getsockname()[1]}"

    def __enter__(self) -> ScriptedRuntimeApi:
        self._threads[0].start()
        return self

    def __exit__(self, *_exception: object) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._closing.set()
        self.hang_up()
        self.events.put([])
        for thread in self._threads:
            thread.join()

    def hang_up(self) -> None:
        """Ends every connection."""
        for connection in self._connections:
            try:
                connection.shutdown(socket.SHUT_RDWR)
            except OSError:
                continue

    def hand_out(self, event: Event) -> None:
        self.events.put(event)

    def wait_until(self, condition: Callable[[list[Recorded]], bool]) -> None:
        """Waits for what has been received so far to fulfil a condition."""
        with self._changed:
            if not self._changed.wait_for(lambda: condition(self.requests), PATIENCE_SECONDS):
                raise AssertionError([request.raw for request in self.requests])

    def wait_for(self, count: int) -> list[Recorded]:
        """Waits until so many requests are whole, and returns them."""
        self.wait_until(lambda requests: sum(request.whole for request in requests) >= count)
        return [request for request in self.requests if request.whole][:count]

    def wait_for_post(self, number: int = 1) -> Recorded:
        """Waits for the POST of that number to be whole, and returns it."""

        def posts() -> list[Recorded]:
            return [request for request in self.requests if request.whole and request.line.startswith("POST")]

        self.wait_until(lambda _requests: len(posts()) >= number)
        return posts()[number - 1]

    def wait_for_bytes(self, data: bytes) -> Recorded:
        """Waits for a request, whole or not, to contain the bytes, and returns it."""
        self.wait_until(lambda requests: any(data in request.raw for request in requests))
        return next(request for request in self.requests if data in request.raw)

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            self._connections.append(connection)
            thread = threading.Thread(target=self._serve, args=(connection, len(self._connections)))
            self._threads.append(thread)
            thread.start()

    def _serve(self, connection: socket.socket, number: int) -> None:
        with connection:
            try:
                while self._serve_request(connection, number):
                    pass
            except OSError:
                return

    def _serve_request(self, connection: socket.socket, number: int) -> bool:
        recorded = Recorded(number)
        while not _is_whole(recorded.raw):
            data = connection.recv(65_536)
            if not data:
                return False
            self._record(recorded, data)
            if self.read_limit is not None and len(recorded.raw) > self.read_limit:
                self._closing.wait()
                return False
            early = self.on_body(recorded)
            if early is not None:
                connection.sendall(early)
                return False
        self._finish(recorded)
        answer = self.events.get() if recorded.line.startswith("GET") else [self.answer]
        pieces = [answer.encode()] if isinstance(answer, Event) else answer  # its deadline counts from now
        for piece in pieces:
            connection.sendall(piece)
        return bool(pieces)

    def _record(self, recorded: Recorded, data: bytes) -> None:
        with self._changed:
            if not recorded.raw:
                self.requests.append(recorded)
            recorded.raw += data
            self._changed.notify_all()

    def _finish(self, recorded: Recorded) -> None:
        with self._changed:
            recorded.whole = True
            self._changed.notify_all()


def _is_whole(raw: bytes) -> bool:
    head, end, body = raw.partition(b"\r\n\r\n")
    if not end:
        return False
    fields = head.lower()
    if b"transfer-encoding: chunked" in fields:
        return read_chunks(body) is not None
    _, found, rest = fields.partition(b"content-length:")
    return len(body) >= (int(rest.split(b"\r\n")[0]) if found else 0)


def read_chunks(body: bytes) -> tuple[list[bytes], dict[str, str]] | None:
    """The chunks of a whole chunked body and its trailers, or None while it is not whole."""
    chunks: list[bytes] = []
    while True:
        size, end, rest = body.partition(b"\r\n")
        if not end:
            return None
        length = int(size, 16)
        if length == 0:
            return _read_trailers(chunks, rest)
        if len(rest) < length + 2:
            return None
        chunks.append(rest[:length])
        body = rest[length + 2 :]


def _read_trailers(chunks: list[bytes], rest: bytes) -> tuple[list[bytes], dict[str, str]] | None:
    if not rest.endswith(b"\r\n"):
        return None
    lines = [line.partition(": ") for line in rest.decode().split("\r\n") if line]
    if lines and not rest.endswith(b"\r\n\r\n"):
        return None
    return chunks, {name.lower(): value for name, _, value in lines}
