"""The bytes of the Runtime API's HTTP/1.1, without I/O: heads, chunks and trailers out, answers in.

Formats: RFC 9112 (HTTP/1.1), the Lambda Runtime API (2018-06-01) and its response streaming, where the body of an
answer to a Function URL starts with a prelude: a JSON object, then eight NUL bytes.
"""

from __future__ import annotations

import json

TYPE_CHECKING = False  # typing's own costs milliseconds of every cold start; type checkers know the name
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

PRELUDE_END = b"\0" * 8
LAST_CHUNK = b"0\r\n\r\n"
MAX_HEAD_BYTES = 65_536


class WireError(Exception):
    """Bytes that are not what HTTP/1.1 or the Runtime API allow."""


def field_lines(fields: Iterable[tuple[str, str]]) -> bytes:
    """Header or trailer fields as lines. Raises WireError for a value that would break out of its line."""
    lines = []
    for name, value in fields:
        if "\r" in value or "\n" in value:
            raise WireError(f"the field {name} holds a line break")
        lines.append(f"{name}: {value}\r\n")
    return "".join(lines).encode("latin-1", "replace")


def request_head(method: str, path: str, host: str, fields: Iterable[tuple[str, str]] = ()) -> bytes:
    """The request line and the header fields, with the empty line that ends them."""
    return f"{method} {path} HTTP/1.1\r\nHost: {host}\r\n".encode("ascii") + field_lines(fields) + b"\r\n"


def chunk(data: bytes) -> bytes:
    """`data` as one chunk. It must not be empty: a chunk of no bytes ends a chunked body."""
    return b"%x\r\n%b\r\n" % (len(data), data)


def last_chunk(trailers: Iterable[tuple[str, str]]) -> bytes:
    """The end of a chunked body that carries trailer fields."""
    return b"0\r\n" + field_lines(trailers) + b"\r\n"


def prelude(status: int, headers: Mapping[str, str], cookies: Sequence[str]) -> bytes:
    """What stands before the body of a streamed answer to a Function URL."""
    document = {"statusCode": status, "headers": dict(headers), "cookies": list(cookies)}
    return json.dumps(document, separators=(",", ":")).encode("ascii") + PRELUDE_END


class AnswerReader:
    """Takes the bytes of one HTTP answer, cut anywhere, and puts it together.

    `status`, `headers` (lower-cased names) and `body` are whole once `feed` has returned True. `reusable` tells whether
    the connection may carry another request after it.
    """

    __slots__ = ("_body", "_buffer", "_need", "_step", "complete", "headers", "reusable", "status")

    def __init__(self) -> None:
        self.status = 0
        self.headers: dict[str, str] = {}
        self.complete = False
        self.reusable = True
        self._body = bytearray()
        self._buffer = bytearray()
        self._need = 0
        self._step: Callable[[], bool] = self._read_head

    @property
    def body(self) -> bytes:
        """The body as it was before any chunking."""
        return bytes(self._body)

    def feed(self, data: bytes) -> bool:
        """Takes what was received; `b""` says that the connection has ended. Returns whether the answer is whole.

        Raises WireError for bytes that are no HTTP answer, and for a connection that ended too early.
        """
        if not data:
            return self._end_of_connection()
        self._buffer += data
        while not self.complete and self._step():
            pass
        return self.complete

    def _end_of_connection(self) -> bool:
        if self._step != self._read_until_close:
            raise WireError("the connection ended before the answer did")
        self.complete = True
        return True

    def _read_head(self) -> bool:
        end = self._buffer.find(b"\r\n\r\n")
        if end < 0:
            if len(self._buffer) > MAX_HEAD_BYTES:
                raise WireError(f"the head of the answer is longer than {MAX_HEAD_BYTES} bytes")
            return False
        lines = self._buffer[:end].decode("latin-1").split("\r\n")
        del self._buffer[: end + 4]
        self._take_status(lines[0])
        if self.status >= 200:  # 1xx is only said ahead of the answer
            self._take_fields(lines[1:])
            self._choose_framing()
        return True

    def _take_status(self, line: str) -> None:
        version, _, rest = line.partition(" ")
        code = rest[:3]
        if not version.startswith("HTTP/1.") or not (code.isascii() and code.isdigit() and len(code) == 3):
            raise WireError("the answer does not start with an HTTP/1.1 status line")
        self.status = int(code)
        self.reusable = version == "HTTP/1.1"

    def _take_fields(self, lines: list[str]) -> None:
        for line in lines:
            name, colon, value = line.partition(":")
            if not colon:
                raise WireError("a header line of the answer has no colon")
            self.headers[name.lower()] = value.strip()
        if self.headers.get("connection", "").lower() == "close":
            self.reusable = False

    def _choose_framing(self) -> None:
        length = self.headers.get("content-length")
        if self.headers.get("transfer-encoding", "").lower() == "chunked":
            self._step = self._read_chunk_size
        elif length is not None:
            self._need = _number(length, 10)
            self._step = self._read_sized
        elif self.status in (204, 304):
            self.complete = True
        else:
            self.reusable = False
            self._step = self._read_until_close

    def _read_sized(self) -> bool:
        if len(self._buffer) < self._need:
            return False
        self._take_body(self._need)
        self.complete = True
        return True

    def _read_until_close(self) -> bool:
        self._take_body(len(self._buffer))
        return False

    def _read_chunk_size(self) -> bool:
        line = self._take_line()
        if line is None:
            return False
        self._need = _number(line.partition(";")[0].strip(), 16)
        self._step = self._read_chunk if self._need else self._read_trailers
        return True

    def _read_chunk(self) -> bool:
        if len(self._buffer) < self._need + 2:
            return False
        self._take_body(self._need)
        if self._take_line() != "":
            raise WireError("a chunk is longer than it says")
        self._step = self._read_chunk_size
        return True

    def _read_trailers(self) -> bool:
        line = self._take_line()
        self.complete = line == ""
        return line is not None

    def _take_body(self, length: int) -> None:
        self._body += self._buffer[:length]
        del self._buffer[:length]

    def _take_line(self) -> str | None:
        end = self._buffer.find(b"\r\n")
        if end < 0:
            if len(self._buffer) > MAX_HEAD_BYTES:
                raise WireError(f"a line of the answer is longer than {MAX_HEAD_BYTES} bytes")
            return None
        line = self._buffer[:end].decode("latin-1")
        del self._buffer[: end + 2]
        return line


def _number(text: str, base: int) -> int:
    digits = "0123456789abcdef"[:base]
    if not text or text.lower().strip(digits):
        raise WireError("the answer gives a length that is no number")
    return int(text, base)
