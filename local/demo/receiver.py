"""A receiver of callbacks, as a user would write one: it believes nothing that is not signed."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from queue import SimpleQueue
from typing import Any

from standardwebhooks import Webhook, WebhookVerificationError


@dataclass(frozen=True, slots=True)
class Callback:
    """One call that arrived: ``problem`` says why it was not believed, None where the signature is right."""

    headers: dict[str, str]
    payload: dict[str, Any]
    problem: str | None


@dataclass(frozen=True, slots=True)
class Receiver:
    url: str
    callbacks: SimpleQueue[Callback] = field(default_factory=SimpleQueue)


@contextmanager
def running_receiver(secret: str) -> Iterator[Receiver]:
    """Listen on a free port of 127.0.0.1 for callbacks signed with ``secret`` ("whsec_...")."""
    webhook = Webhook(secret)
    callbacks: SimpleQueue[Callback] = SimpleQueue()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:  # the name is http.server's
            body = self.rfile.read(int(self.headers.get("content-length") or 0))
            headers = {name.lower(): value for name, value in self.headers.items()}
            callback = _checked(webhook, headers, body)
            self.send_response(204 if callback.problem is None else 401)
            self.end_headers()
            callbacks.put(callback)

        def log_message(self, format: str, *args: object) -> None:
            """Keep the demo's output to what the demo says."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield Receiver(f"http://127.0.0.1:{server.server_port}/callbacks", callbacks)
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def _checked(webhook: Webhook, headers: dict[str, str], body: bytes) -> Callback:
    try:
        webhook.verify(body, headers)
    except WebhookVerificationError as error:
        return Callback(headers, {}, str(error))
    return Callback(headers, json.loads(body), None)
