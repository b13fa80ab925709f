"""The Function URL: takes requests, and has as many copies of the function as they need."""

from __future__ import annotations

import asyncio
import secrets
import signal
import time
import uuid
from collections import deque

from local.function_url.client_connection import ClientConnection, Reply
from local.function_url.configuration import FunctionConfiguration
from local.function_url.copies import STOP_SECONDS, Copy
from local.function_url.event import MAX_EVENT_BYTES, HttpRequest, encode_event
from local.function_url.invocation import BAD_GATEWAY, Invocation

TOO_LARGE = {"Message": "Request Entity Too Large"}
THROTTLED = {"Message": "Rate Exceeded.", "Reason": "ReservedFunctionConcurrentInvocationLimitExceeded"}


class FunctionUrl:
    """Serves one function. A copy runs one invocation at a time; another is started when none is or will be free."""

    def __init__(self, configuration: FunctionConfiguration) -> None:
        self._configuration = configuration
        self._copies: list[Copy] = []
        self._runs: set[asyncio.Task[None]] = set()
        self._waiting: deque[Invocation] = deque()
        self._connections: set[ClientConnection] = set()
        self._server: asyncio.Server | None = None
        self._number = 0
        self._stopping = False
        self._changed = asyncio.Event()

    async def open(self, host: str, port: int) -> int:
        """Starts to listen, and the warm copies; returns the port once they are ready.

        Raises ConfigurationError for a function that cannot be run as it is configured.
        """
        self._configuration.command()
        self._configuration.log_dir.mkdir(parents=True, exist_ok=True)
        for _ in range(min(self._configuration.warm, self._configuration.copies)):
            self._start_copy()
        while any(not copy.started for copy in self._copies):
            self._changed.clear()
            await self._changed.wait()
        self._server = await asyncio.get_running_loop().create_server(
            lambda: ClientConnection(self.invoke, self._connections), host, port, backlog=1024
        )
        bound: int = self._server.sockets[0].getsockname()[1]
        return bound

    async def close(self) -> None:
        """Takes no more requests and ends every copy: SIGTERM first, SIGKILL when that does not do."""
        self._stopping = True
        if self._server is not None:
            self._server.close()
        for copy in self._copies:
            copy.signal(signal.SIGTERM)
        if self._runs:
            _, late = await asyncio.wait(self._runs, timeout=STOP_SECONDS)
            for copy in self._copies:
                copy.signal(signal.SIGKILL)
            await asyncio.gather(*late, return_exceptions=True)
        self._fail_waiting(len(self._waiting))
        for connection in tuple(self._connections):
            connection.transport.close()
        await asyncio.sleep(0)  # asyncio closes the sockets in its next round

    def invoke(self, request: HttpRequest, reply: Reply) -> None:
        """Runs the function for a request, as soon as there is a copy for it."""
        request_id = str(uuid.uuid4())
        received_at = time.time()
        trace_id = f"Root=1-{int(received_at):08x}-{secrets.token_hex(12)};Sampled=0"
        event = encode_event(request, request_id, trace_id, received_at)
        if len(event) > MAX_EVENT_BYTES:
            reply.refuse(413, TOO_LARGE, request_id)
        elif self._stopping:
            reply.refuse(503, BAD_GATEWAY, request_id)
        elif sum(copy.busy for copy in self._copies) + len(self._waiting) >= self._configuration.copies:
            reply.refuse(429, THROTTLED, request_id)
        else:
            self._waiting.append(Invocation(request_id, trace_id, event, reply))
            self._assign()

    def _assign(self) -> None:
        for copy in self._copies:
            if self._waiting and copy.idle:
                copy.invoke(self._waiting.popleft())
        soon = sum(not copy.busy for copy in self._copies)  # starting, or on the way back for the next invocation
        for _ in range(len(self._waiting) - soon):
            if len(self._copies) < self._configuration.copies:
                self._start_copy()

    def _start_copy(self) -> None:
        self._number += 1
        copy = Copy(self._configuration, self._number, self._copy_changed)
        self._copies.append(copy)
        run = asyncio.create_task(copy.run())
        self._runs.add(run)
        run.add_done_callback(self._runs.discard)

    def _copy_changed(self) -> None:
        self._changed.set()
        ended = [copy for copy in self._copies if copy.ended]
        self._copies = [copy for copy in self._copies if not copy.ended]
        self._fail_waiting(sum(not copy.started for copy in ended))  # each had been started for a request
        if not self._stopping:
            self._assign()

    def _fail_waiting(self, count: int) -> None:
        for _ in range(min(count, len(self._waiting))):
            self._waiting.popleft().fail()
