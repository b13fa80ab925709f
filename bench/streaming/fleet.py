"""Lambda's side of the Runtime API, as thin as can be: it hands out events and notes when which bytes come back.

The embedded stack's own Function URL host would count as part of what is measured. Plain HTTP streams are collected by
the same loop, so that both ways are looked at through the same eyes.
"""

from __future__ import annotations

import json
import os
import selectors
import socket
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

_LONGEST_SECONDS = 300.0
_END = b"0\r\n\r\n"
_ACCEPTED = b"HTTP/1.1 202 Accepted\r\ncontent-length: 0\r\n\r\n"


@dataclass
class Stream:
    """One answer: when it was asked for, and what came when (``time.monotonic()``)."""

    asked_at: float
    pieces: list[tuple[float, bytes]] = field(default_factory=list)

    @property
    def data(self) -> bytes:
        return b"".join(piece for _, piece in self.pieces)

    @property
    def done(self) -> bool:
        return bool(self.pieces) and self.pieces[-1][1].endswith(_END)

    def seconds_to(self, text: bytes) -> float:
        """Return the seconds until a text had come. Raises ValueError if it never did."""
        data = b""
        for at, piece in self.pieces:
            data += piece
            if text in data:
                return at - self.asked_at
        raise ValueError(f"{text!r} never came: {data[-500:]!r}")


def collect(streams: Mapping[socket.socket, Stream], seconds: float) -> None:
    """Read answers until all have ended. Raises TimeoutError."""
    with selectors.DefaultSelector() as selector:
        for connection in streams:
            connection.setblocking(False)
            selector.register(connection, selectors.EVENT_READ, connection)
        give_up_at = time.monotonic() + seconds
        left = len(streams)
        while left:
            if time.monotonic() > give_up_at:
                raise TimeoutError(f"{left} of {len(streams)} streams have not ended within {seconds} s")
            for key, _ in selector.select(1.0):
                connection = key.data
                data = connection.recv(262_144)
                stream = streams[connection]
                stream.pieces.append((time.monotonic(), data))
                if not data or stream.done:
                    selector.unregister(connection)
                    left -= 1


def _collect_started(starts: Mapping[socket.socket, bytes], spread: float) -> list[Stream]:
    """Send each request, spread evenly over some seconds, and collect the answers meanwhile."""
    streams = {connection: Stream(0.0) for connection in starts}

    def start() -> None:
        for connection, request in starts.items():
            streams[connection].asked_at = time.monotonic()
            connection.sendall(request)
            if spread:
                time.sleep(spread / len(starts))

    thread = threading.Thread(target=start)
    thread.start()
    collect(streams, _LONGEST_SECONDS)
    thread.join()
    return list(streams.values())


def ask_over_http(port: int, body: bytes, count: int, spread: float = 0.0) -> list[Stream]:
    """Ask a server on this machine for ``count`` answers at the same time, begun within ``spread`` seconds."""
    head = (
        b"POST /v1/messages HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-type: application/json\r\n"
        b"x-api-key: sk-ant-simulator\r\nanthropic-version: 2023-06-01\r\ncontent-length: %d\r\n\r\n"
    )
    starts: dict[socket.socket, bytes] = {}
    for _ in range(count):
        connection = socket.create_connection(("127.0.0.1", port))
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        starts[connection] = head % len(body) + body
    streams = _collect_started(starts, spread)
    for connection in starts:
        connection.close()
    return streams


class Fleet:
    """Copies of one function, each waiting for an event."""

    def __init__(self, listener: socket.socket) -> None:
        self._listener = listener
        self._waiting: list[socket.socket] = []
        self.processes: list[subprocess.Popen[bytes]] = []

    def add(self, command: list[str], environment: Mapping[str, str], folder: Path) -> float:
        """Start a copy; return the seconds until it asked for its first event."""
        host, port = self._listener.getsockname()
        begun = time.monotonic()
        process = subprocess.Popen(
            command,
            env={**environment, "AWS_LAMBDA_RUNTIME_API": f"{host}:{port}"},
            cwd=folder,
            stdout=subprocess.DEVNULL,
        )
        self.processes.append(process)
        self._await_next()
        return time.monotonic() - begun

    def ask(self, event: Mapping[str, object], count: int, spread: float = 0.0) -> list[Stream]:
        """Hand the event to ``count`` copies, within ``spread`` seconds, and collect their answers."""
        document = json.dumps(event).encode()
        starts = {self._waiting.pop(0): _invocation(document) + document for _ in range(count)}
        streams = _collect_started(starts, spread)
        for connection in starts:
            connection.setblocking(True)
            connection.sendall(_ACCEPTED)
            connection.close()
        for _ in range(count):
            self._await_next()
        return streams

    def close(self) -> None:
        """End the copies."""
        for process in self.processes:
            process.kill()
        for process in self.processes:
            process.wait()
        for connection in self._waiting:
            connection.close()

    def _await_next(self) -> None:
        connection, _ = self._listener.accept()
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        request = b""
        while b"\r\n\r\n" not in request:
            data = connection.recv(65_536)
            if not data:
                raise RuntimeError("a copy of the function has ended")
            request += data
        if b"/invocation/next" not in request.split(b"\r\n")[0]:
            raise RuntimeError(f"a copy of the function could not start: {request[-2000:]!r}")
        self._waiting.append(connection)


def _invocation(document: bytes) -> bytes:
    deadline = int((time.time() + 900) * 1000)
    return (
        f"HTTP/1.1 200 OK\r\nlambda-runtime-aws-request-id: {uuid.uuid4()}\r\n"
        f"lambda-runtime-deadline-ms: {deadline}\r\n"
        "lambda-runtime-invoked-function-arn: arn:aws:lambda:eu-west-1:0:function:bench\r\n"
        f"content-type: application/json\r\ncontent-length: {len(document)}\r\n\r\n"
    ).encode()


@contextmanager
def running_fleet() -> Iterator[Fleet]:
    """A fleet without copies; all that were added have ended on leaving."""
    with socket.create_server(("127.0.0.1", 0), backlog=512) as listener:
        fleet = Fleet(listener)
        try:
            yield fleet
        finally:
            fleet.close()


def cpu_seconds(pid: int) -> float:
    """Return the processor time that a process has used (Linux: clock_getcpuclockid)."""
    return time.clock_gettime((~pid << 3) | 2)


def resident_mb(pid: int) -> tuple[float, float]:
    """Return the resident memory of a process, now and at most, in MB."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    values = {
        line.split(":")[0]: int(line.split()[1]) * 1024 / 1e6 for line in lines if line.startswith(("VmRSS", "VmHWM"))
    }
    return values["VmRSS"], values["VmHWM"]


INTERPRETER = sys.executable
INHERITED = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
