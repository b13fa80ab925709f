"""A moto that answers over HTTP, for functions that run as processes of their own, and that is told who calls."""

from __future__ import annotations

import io
import json
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any
from unittest.mock import patch

from moto.moto_server.werkzeug_app import DomainDispatcherApplication
from moto.server import ThreadedMotoServer

Watcher = Callable[[str, str, Mapping[str, Any]], None]


@contextmanager
def watched_moto_server(watch: Watcher) -> Iterator[str]:
    """A moto that answers over HTTP; yields its URL.

    ``watch`` hears of each call over a JSON protocol: the id of the access key that signed it, its name and its params.
    """

    def watching(make_app: Any) -> Any:
        return _watching(DomainDispatcherApplication(make_app), watch)

    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    with patch("moto.moto_server.threaded_moto_server.DomainDispatcherApplication", watching):
        server.start()
    host, port = server.get_host_and_port()
    try:
        yield f"http://{host}:{port}"
    finally:
        server.stop()


def _watching(app: Any, watch: Watcher) -> Any:
    def call(environ: dict[str, Any], start_response: Any) -> Any:
        # AWS JSON protocol: "DynamoDB_20120810.GetItem".
        target = environ.get("HTTP_X_AMZ_TARGET", "")
        if not target:
            return app(environ, start_response)
        body = environ["wsgi.input"].read(int(environ["CONTENT_LENGTH"]))
        environ["wsgi.input"] = io.BytesIO(body)
        service = target.partition("_")[0].partition(".")[0].lower()
        signer = re.search(r"Credential=([^/]+)/", environ["HTTP_AUTHORIZATION"])
        watch(signer[1] if signer else "", f"{service}.{target.rpartition('.')[2]}", json.loads(body))
        return app(environ, start_response)

    return call
