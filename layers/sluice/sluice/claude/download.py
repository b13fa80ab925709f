"""A large answer, downloaded: by ``http.client``, which needs a tenth of the processor time of httpx2 for each byte."""

from __future__ import annotations

import ssl
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from http.client import HTTPConnection, HTTPResponse, HTTPSConnection
from urllib.parse import urlsplit

from sluice.claude.connection import CONNECTION_ERRORS
from sluice.errors import TransientError

_MAX_REFUSAL_BYTES = 1 << 20


class Download:
    """An answer whose body is still to be read, in a form that nothing has to be unpacked from."""

    def __init__(self, response: HTTPResponse) -> None:
        self._response = response
        self.status = response.status

    def header(self, name: str) -> str | None:
        """Return a header, whatever the case of its name."""
        return self._response.getheader(name)

    def read_refusal(self) -> bytes:
        """Read the body of an answer that is no download. Raises TransientError where it is cut."""
        return self._read_chunk(_MAX_REFUSAL_BYTES)

    def chunks(self, chunk_bytes: int) -> Iterator[bytes]:
        """Yield the body. Raises TransientError where it is cut."""
        while chunk := self._read_chunk(chunk_bytes):
            yield chunk

    def _read_chunk(self, chunk_bytes: int) -> bytes:
        try:
            chunk = self._response.read(chunk_bytes)
        except CONNECTION_ERRORS as error:
            raise TransientError(f"An answer was cut ({type(error).__name__}).") from error
        # http.client takes an early end for the end of a body whose length it knows.
        if not chunk and self._response.length:
            raise TransientError(f"An answer was cut: {self._response.length} bytes of it are missing.")
        return chunk


@contextmanager
def open_download(
    url: str, headers: Mapping[str, str], connect_seconds: float, read_seconds: float
) -> Iterator[Download]:
    """Ask for a URL, on a connection of its own; redirects are not followed.

    Raises TransientError where the server cannot be reached, or is silent for ``read_seconds``.
    """
    parts = urlsplit(url)
    connection = _connection(parts.scheme, parts.hostname or "", parts.port, connect_seconds)
    try:
        yield Download(_ask(connection, parts.path, headers, read_seconds))
    finally:
        connection.close()


def _ask(connection: HTTPConnection, target: str, headers: Mapping[str, str], read_seconds: float) -> HTTPResponse:
    try:
        connection.connect()
        connection.sock.settimeout(read_seconds)
        connection.request("GET", target, headers=dict(headers))
        response = connection.getresponse()
    except CONNECTION_ERRORS as error:
        raise TransientError(f"Claude could not be reached ({type(error).__name__}).") from error
    if _is_cut_in_its_head(response):
        raise TransientError("An answer was cut before its body.")
    return response


def _is_cut_in_its_head(response: HTTPResponse) -> bool:
    """Return whether an answer was cut in its headers: http.client takes that for their end, without framing."""
    is_framed = response.chunked or response.length is not None
    return not is_framed and response.getheader("connection", "").lower() != "close"


def _connection(scheme: str, host: str, port: int | None, timeout: float) -> HTTPConnection:
    if scheme == "http":
        return HTTPConnection(host, port, timeout=timeout)
    return HTTPSConnection(host, port, timeout=timeout, context=_tls())


@cache
def _tls() -> ssl.SSLContext:
    return ssl.create_default_context()
