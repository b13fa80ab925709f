"""What a handler of a streaming function returns: the streaming runtime layer asks for no more than these four."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from sluice.errors import MethodNotAllowed, SluiceError, TooManyRequests
from sluice.streams.faults import StreamCut, error_body

_JSON = "application/json"


@dataclass(frozen=True, slots=True)
class Response:
    """``body`` yields what is to be flushed at once; its ``close`` ends what stands behind it."""

    status: int
    headers: Mapping[str, str]
    body: Iterator[bytes]
    cookies: tuple[str, ...] = ()


def whole(status: int, headers: Mapping[str, str], body: bytes) -> Response:
    """Return an answer that is there already."""
    return Response(status, headers, iter((body,) if body else ()))


def error_response(error: SluiceError, request_id: str) -> Response:
    """Return the answer for an error, in the API's shape."""
    headers = {"content-type": _JSON, "request-id": request_id}
    if isinstance(error, TooManyRequests):
        headers["retry-after"] = str(max(1, round(error.retry_after)))
    if isinstance(error, MethodNotAllowed):
        headers["allow"] = error.allow
    error_type, code = error.type, None
    if isinstance(error, StreamCut):
        error_type, code = error.error_type, error.code
    return whole(error.status, headers, error_body(error_type, str(error), request_id, code))
