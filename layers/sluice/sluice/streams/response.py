"""What a handler of a streaming function returns: the streaming runtime layer asks for no more than these four."""

from __future__ import annotations

import sys
from collections.abc import Callable, Generator, Iterator, Mapping
from dataclasses import dataclass

from sluice.http.errors import answer_for

# What is sent where there is nothing to say. A streamed answer without a body can leave the connection of a Function
# URL open for minutes (aws-lambda-nodejs-runtime-interface-client#95, aws-lambda-web-adapter#499), so none has none.
_BLANK = b"\n"


@dataclass(frozen=True, slots=True)
class Response:
    """``body`` yields what is to be flushed at once; its ``close`` ends what stands behind it."""

    status: int
    headers: Mapping[str, str]
    body: Iterator[bytes]
    cookies: tuple[str, ...] = ()


class Body:
    """A body with an end: what has to be done when the answer is out, however it got there.

    The runtime calls ``close`` after the last byte, so that the client does not wait for our accounts. Where ``drains``
    says so, a client that has gone away does not end the stream: it is read on, and kept. ``blank`` is sent where there
    is not one byte.
    """

    def __init__(
        self,
        chunks: Generator[bytes, None, None],
        end: Callable[[], None],
        drains: Callable[[], bool] | None = None,
        blank: bytes = _BLANK,
    ) -> None:
        self._chunks = _never_empty(chunks, blank)
        self._end: Callable[[], None] | None = end
        self._drains = drains

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        return next(self._chunks)

    def close(self) -> None:
        """Do what stands behind the answer, once."""
        end, self._end = self._end, None
        if end is None:
            return
        try:
            if self._drains is not None and self._drains() and not _is_interrupted():
                for _ in self._chunks:
                    pass
        finally:
            self._chunks.close()
            end()


def _never_empty(chunks: Generator[bytes, None, None], blank: bytes) -> Generator[bytes, None, None]:
    try:
        for chunk in chunks:
            yield chunk
            if chunk:
                yield from chunks
                return
        yield blank
    finally:
        chunks.close()


def _is_interrupted() -> bool:
    """Return whether the runtime closes the body because the process has to end: then there is no time to read on."""
    kind = sys.exc_info()[0]
    return kind is not None and not issubclass(kind, Exception)


def whole(status: int, headers: Mapping[str, str], body: bytes) -> Response:
    """Return an answer that is there already."""
    return Response(status, headers, iter((body or _BLANK,)))


def error_response(error: Exception, request_id: str) -> Response:
    """Return the answer for an error, in the API's shape."""
    answer = answer_for(error, request_id)
    return whole(answer.status, answer.headers, answer.body)
