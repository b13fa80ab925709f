"""Where an HTTP/1.1 body ends, without I/O (RFC 9112, sections 6 and 7.1): bytes of the connection in, of the body out.

The standard library's reader takes a chunk apart in a dozen calls of Python; this runs once for each event of each
stream, most often for a whole chunk at a time.
"""

from __future__ import annotations

_LONGEST_LINE = 4096


class FramingError(ValueError):
    """Bytes that no body can consist of."""


class ChunkedBody:
    """A body with ``transfer-encoding: chunked``."""

    __slots__ = ("_left", "_pending", "_trailers", "complete")

    def __init__(self) -> None:
        self.complete = False
        self._pending = b""
        self._left = 0
        self._trailers = False

    def feed(self, data: bytes) -> bytes:
        """Take what has come and return what of it is the body. Raises FramingError."""
        data = self._pending + data if self._pending else data
        self._pending = b""
        pieces = []
        place = 0
        while place < len(data) and not self.complete:
            if self._left:
                end = min(place + self._left, len(data))
                # The last two bytes of what is left are the line end behind the chunk.
                pieces.append(data[place : min(end, place + max(0, self._left - 2))])
                self._left -= end - place
                place = end
            else:
                end = data.find(b"\r\n", place)
                if end < 0:
                    self._keep(data[place:])
                    break
                self._take_line(data[place:end])
                place = end + 2
        return b"".join(pieces) if len(pieces) != 1 else pieces[0]

    def end(self) -> bool:
        """Return whether the body was complete when the connection ended."""
        return self.complete

    def _take_line(self, line: bytes) -> None:
        if self._trailers:
            self.complete = not line
            return
        try:
            size = int(line.partition(b";")[0], 16)
        except ValueError:
            raise FramingError("A chunk has no size.") from None
        if size < 0:
            raise FramingError("A chunk has no size.")
        self._trailers = size == 0
        self._left = size + 2 if size else 0

    def _keep(self, line: bytes) -> None:
        if len(line) > _LONGEST_LINE:
            raise FramingError("A line between two chunks does not end.")
        self._pending = line


class SizedBody:
    """A body with a ``content-length``, or one that ends with the connection (``length`` None)."""

    __slots__ = ("_left", "complete")

    def __init__(self, length: int | None) -> None:
        self._left = length
        self.complete = length == 0

    def feed(self, data: bytes) -> bytes:
        """Take what has come and return what of it is the body."""
        if self._left is None:
            return data
        body = data[: self._left]
        self._left -= len(body)
        self.complete = self._left == 0
        return body

    def end(self) -> bool:
        """Return whether the body was complete when the connection ended."""
        self.complete = self.complete or self._left is None
        return self.complete
