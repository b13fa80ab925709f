from __future__ import annotations

import http.client
import json
import os
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from local.function_url import running_function_url

PATIENCE_SECONDS = 30.0

FUNCTION = """
import json, os, signal

class Response:
    def __init__(self, body, status=200, headers=None, cookies=()):
        self.status, self.headers, self.cookies, self.body = status, headers or {}, cookies, body

def wait_at(gate):
    with open(os.path.join(os.environ["GATES"], gate), "rb") as opened:
        opened.read()

def tell(gate, text):
    with open(os.path.join(os.environ["GATES"], gate), "w") as opened:
        opened.write(text)

def whole(*chunks, **head):
    return Response(iter(chunks), **head)

def gated(event):
    yield str(os.getpid()).encode()
    wait_at(event["rawQueryString"] or "go")
    yield b" done"

def watched(event):
    sent = 0
    try:
        yield b"first"
        wait_at("go")
        for _ in range(2000):
            yield b"x" * 1000
            sent += 1
    finally:
        tell("told", str(sent))

def endless(event):
    try:
        while True:
            yield b"x" * 1000
    finally:
        tell("told", "closed")

def cut(event):
    yield b"half"
    raise ValueError("cut")

def crash_within(event):
    yield b"half"
    os._exit(3)

def deaf(event):
    signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGALRM, signal.SIGTERM])
    yield str(os.getpid()).encode()
    wait_at("go")

def echo(event):
    yield json.dumps(event).encode()

def large(event):
    for number in range(int(event["rawQueryString"])):
        yield b"%07d\\n" % number * 8192

STREAMS = {f.__name__: f for f in (gated, watched, endless, cut, crash_within, deaf, echo, large)}

def handler(event, context):
    name = event["rawPath"].strip("/")
    if name in STREAMS:
        return Response(STREAMS[name](event), headers={"content-type": "text/plain"})
    if name == "head":
        return whole(b"a", status=203, headers={"X-Answer": "42", "Content-Length": "1"}, cookies=["a=1", "b=2"])
    if name == "no_content":
        return whole(b"never sent", status=204)
    if name == "bad_head":
        return whole(b"a", b"b", status=99)
    if name == "raise":
        raise ValueError("no")
    if name == "exit":
        os._exit(3)
    if name == "pid":
        return str(os.getpid())
    if name == "big":
        return "x" * 7_000_000
    if name == "buffered":
        return {"statusCode": 201, "headers": {"x-a": "1"}, "cookies": ["c=3"], "body": "YWJj", "isBase64Encoded": True}
    return {"remaining": context.get_remaining_time_in_millis(), "arn": context.invoked_function_arn}
"""


@dataclass(frozen=True, slots=True)
class Answer:
    """A whole answer."""

    status: int
    headers: http.client.HTTPMessage
    body: bytes


@dataclass(frozen=True, slots=True)
class Function:
    """A function behind a Function URL, and the named pipes that it meets the test at."""

    url: str
    folder: Path

    @property
    def address(self) -> tuple[str, int]:
        host, _, port = self.url.removeprefix("http://").partition(":")
        return host, int(port)

    def request(self, path: str, method: str = "GET", body: bytes | None = None, **headers: str) -> Answer:
        """Raises http.client.IncompleteRead when the answer is cut."""
        connection = self.connect()
        try:
            connection.request(method, path, body, headers)
            response = connection.getresponse()
            return Answer(response.status, response.headers, response.read())
        finally:
            connection.close()

    def connect(self) -> http.client.HTTPConnection:
        return http.client.HTTPConnection(*self.address, timeout=PATIENCE_SECONDS)

    @contextmanager
    def stream(self, path: str) -> Iterator[http.client.HTTPResponse]:
        """An answer whose head has arrived. Leaving closes the connection."""
        connection = self.connect()
        connection.request("GET", path)
        response = connection.getresponse()
        try:
            yield response
        finally:
            response.close()
            connection.close()

    def json(self, path: str) -> Any:
        return json.loads(self.request(path).body)

    def open_gate(self, name: str = "go") -> None:
        (self.folder / name).write_bytes(b"")

    def hear(self) -> str:
        """What the function has told."""
        return (self.folder / "told").read_text()

    def logs(self) -> list[str]:
        return [path.read_text() for path in sorted((self.folder / "logs").glob("*.log"))]


Run = Callable[..., AbstractContextManager[Function]]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "handler.py").write_text(FUNCTION)
    for gate in ("go", "go-1", "go-2", "go-3", "told"):
        os.mkfifo(tmp_path / gate)
    return tmp_path


@pytest.fixture
def run(folder: Path) -> Run:
    @contextmanager
    def run_function(source: str | None = None, **options: Any) -> Iterator[Function]:
        if source is not None:
            (folder / "handler.py").write_text(source)
        environment = {"GATES": str(folder)}
        with running_function_url(task_root=folder, environment=environment, log_dir=folder / "logs", **options) as url:
            yield Function(url, folder)

    return run_function


@pytest.fixture
def function(run: Run) -> Iterator[Function]:
    with run(copies=4) as running:
        yield running
