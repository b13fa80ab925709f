"""Runs the simulator over HTTP, on a port of its own choosing if so asked."""

import asyncio
import contextlib
import gc
import os
import signal
import socket
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import uvicorn
from starlette.types import ASGIApp, Receive, Scope, Send
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from simulator.api import Api
from simulator.connection import TRANSPORT
from simulator.control import PREFIX, control_application
from simulator.state import Settings, State, new_state
from simulator.words import FAULTS, REPLIES

_KEEP_ALIVE_SECONDS = 75


class _Protocol(HttpToolsProtocol):
    """Hands the transport to the application, which cannot cut a connection without it."""

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self.scope["extensions"] = {TRANSPORT: {"transport": self.transport}}


class _Server(uvicorn.Server):
    """Leaves signals to `serve`, which ends cleanly on them."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


def application(state: State) -> ASGIApp:
    """The Claude API, with the control API beside it."""
    api, control = Api(state), control_application(state)

    async def dispatch(scope: Scope, receive: Receive, send: Send) -> None:
        target = control if scope["path"].startswith(PREFIX) else api
        await target(scope, receive, send)

    return dispatch


def run(
    host: str,
    port: int,
    *,
    settings: Settings,
    speed: float = 1.0,
    port_file: Path | None = None,
    data_dir: Path | None = None,
    until_stdin_closes: bool = False,
    words: bool = False,
) -> None:
    """Serve until SIGINT or SIGTERM (or the end of standard input). Prints the base URL once it listens."""
    with tempfile.TemporaryDirectory(prefix="simulator-", dir=data_dir) as folder:
        state = new_state(Path(folder), settings, speed)
        if words:
            state.replies.add(REPLIES)
            state.faults.add(FAULTS)
        listener = _listen(host, port)
        # What is there now stays: without this, collections pause streams longer than needed.
        gc.freeze()
        try:
            asyncio.run(_serve(state, listener, port_file, until_stdin_closes))
        finally:
            state.store.close()
            listener.close()


def _listen(host: str, port: int) -> socket.socket:
    """A socket that is made as TCP by name: asyncio sets TCP_NODELAY on no other, and without it each answer on a
    connection that is kept takes 40 ms."""
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind((host, port))
    listener.listen(2048)
    return listener


async def _serve(state: State, listener: socket.socket, port_file: Path | None, until_stdin_closes: bool) -> None:
    config = uvicorn.Config(
        application(state),
        http=_Protocol,
        ws="none",
        lifespan="off",
        log_level="error",
        access_log=False,
        server_header=False,
        timeout_keep_alive=_KEEP_ALIVE_SECONDS,
        timeout_graceful_shutdown=2,
    )
    server = _Server(config)
    loop = asyncio.get_running_loop()

    def stop() -> None:
        server.should_exit = True
        for connection in list(server.server_state.connections):
            if connection.transport is not None:
                connection.transport.abort()

    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop)
    if until_stdin_closes:
        loop.add_reader(sys.stdin.fileno(), _stop_at_end_of_input, stop)
    _announce(listener, port_file)
    await server.serve(sockets=[listener])


def _announce(listener: socket.socket, port_file: Path | None) -> None:
    """Announce where it listens, in the file first; connections are accepted from here on."""
    host, port = listener.getsockname()[:2]
    if port_file is not None:
        partial = port_file.with_name(port_file.name + ".partial")
        partial.write_text(f"{port}\n")
        partial.replace(port_file)
    print(f"http://{host}:{port}", flush=True)


def _stop_at_end_of_input(stop: Callable[[], None]) -> None:
    if not os.read(sys.stdin.fileno(), 4096):
        asyncio.get_running_loop().remove_reader(sys.stdin.fileno())
        stop()
