"""One request on its way through the function, and what its client sees of each way that this can end.

Before the head has left, every failure is a 502; after it, the connection ends in the middle of the body. A client that
goes away changes nothing for the function: its answer is read to the end and thrown away, as Lambda does it.
"""

from __future__ import annotations

from dataclasses import dataclass

from local.function_url.client_connection import Reply
from local.function_url.event import MAX_EVENT_BYTES
from local.function_url.response import PreludeReader, ResponseError, ResponseHead, read_buffered

MAX_STREAMED_BYTES = 200 * 1024 * 1024
MAX_BUFFERED_BYTES = MAX_EVENT_BYTES  # the quota is the same in both directions
BAD_GATEWAY = {"Message": "Internal Server Error"}


class ResponseTooLarge(Exception):
    """The function's answer is over Lambda's quota."""


@dataclass(frozen=True, slots=True)
class ResponseMode:
    """How an answer is to be read: as it comes or whole; with or without a prelude."""

    streamed: bool
    with_prelude: bool


class Invocation:
    """Carries the function's answer to `reply`, which it ends exactly once."""

    def __init__(self, request_id: str, trace_id: str, event: bytes, reply: Reply) -> None:
        self.request_id = request_id
        self.trace_id = trace_id
        self.event = event
        self.reply = reply
        self.settled = False
        self._mode = ResponseMode(streamed=False, with_prelude=False)
        self._prelude = PreludeReader()
        self._buffer = bytearray()
        self._size = 0

    def response_started(self, mode: ResponseMode) -> None:
        """The function has begun to answer."""
        self._mode = mode
        if mode.streamed and not mode.with_prelude:
            self._start(ResponseHead(200))

    def response_data(self, data: bytes) -> None:
        """A piece of the answer. Raises ResponseTooLarge when there are too many."""
        self._size += len(data)
        if self._size > (MAX_STREAMED_BYTES if self._mode.streamed else MAX_BUFFERED_BYTES):
            self.fail()
            raise ResponseTooLarge
        if self.settled:
            return
        if not self._mode.streamed:
            self._buffer += data
        elif self.reply.started:
            self.reply.write(data)
        else:
            self._read_prelude(data)

    def response_ended(self, *, failed: bool) -> None:
        """The answer is whole, or ends in the trailers that tell of a failure."""
        if not self.settled and not failed and not self._mode.streamed:
            self._send_buffered()
        if failed or not self.reply.started:
            self.fail()
        elif not self.settled:
            self.settled = True
            self.reply.finish()

    def fail(self) -> None:
        """The function failed, or is gone."""
        if self.settled:
            return
        self.settled = True
        if self.reply.started:
            self.reply.abort()
        else:
            self.reply.refuse(502, BAD_GATEWAY, self.request_id)

    def _read_prelude(self, data: bytes) -> None:
        try:
            read = self._prelude.feed(data)
        except ResponseError:
            self.fail()
            return
        if read is not None:
            head, body = read
            self._start(head)
            self.reply.write(body)

    def _send_buffered(self) -> None:
        try:
            head, body = read_buffered(bytes(self._buffer))
        except ResponseError:
            self.fail()
            return
        self._start(head)
        self.reply.write(body)

    def _start(self, head: ResponseHead) -> None:
        self.reply.start(head, self.request_id, self.trace_id)
