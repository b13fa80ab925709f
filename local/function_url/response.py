"""What a function answers, as HTTP: the prelude of a streamed answer, and payload format 2.0 of a buffered one."""

from __future__ import annotations

import base64
import binascii
import json
from dataclasses import dataclass
from http import HTTPStatus
from typing import cast

PRELUDE_END = b"\0" * 8
MAX_PRELUDE_BYTES = 65_536
HOP_BY_HOP = frozenset({"connection", "keep-alive", "te", "trailer", "transfer-encoding", "upgrade"})
REMAPPED = frozenset({"content-length", "date", "server"})


class ResponseError(Exception):
    """The function's answer is none that a Function URL can pass on."""


@dataclass(frozen=True, slots=True)
class ResponseHead:
    """Status, header fields and cookies of an answer, checked."""

    status: int
    fields: tuple[tuple[str, str], ...] = ()
    cookies: tuple[str, ...] = ()

    @classmethod
    def from_document(cls, document: object) -> ResponseHead:
        """From `{"statusCode", "headers", "cookies"}`. Raises ResponseError for anything that is no HTTP head."""
        if not isinstance(document, dict):
            raise ResponseError("the head of the answer is not an object")
        status, headers, cookies = (document.get(name) for name in ("statusCode", "headers", "cookies"))
        if not isinstance(status, int) or not 200 <= status <= 599:
            raise ResponseError("statusCode is not a number from 200 to 599")
        if not isinstance(headers or {}, dict) or not isinstance(cookies or [], list):
            raise ResponseError("headers are not an object, or cookies not a list")
        fields = tuple((str(name).lower(), str(value)) for name, value in (headers or {}).items())
        head = cls(status, fields, tuple(str(cookie) for cookie in cookies or []))
        if any("\r" in text or "\n" in text for field in (*fields, head.cookies) for text in field):
            raise ResponseError("a header or cookie holds a line break")
        return head

    @property
    def has_body(self) -> bool:
        """Whether HTTP lets an answer of this status have a body."""
        return self.status not in (204, 304)

    def encode(self, added: tuple[tuple[str, str], ...]) -> bytes:
        """Status line and fields. Those of the connection are the URL's own (`added`), as Lambda has it."""
        lines = [f"HTTP/1.1 {self.status} {_phrase(self.status)}"]
        for name, value in self.fields:
            if name in REMAPPED:
                lines.append(f"x-amzn-remapped-{name}: {value}")
            elif name not in HOP_BY_HOP:
                lines.append(f"{name}: {value}")
        lines += [f"set-cookie: {cookie}" for cookie in self.cookies]
        lines += [f"{name}: {value}" for name, value in added]
        return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1", "replace")


class PreludeReader:
    """Takes the bytes of a streamed answer until its prelude is whole."""

    def __init__(self) -> None:
        self._buffer = bytearray()

    def feed(self, data: bytes) -> tuple[ResponseHead, bytes] | None:
        """Returns the head and the bytes of the body that came with it, or None while there is no whole head.

        Raises ResponseError for a prelude that is none, or does not end.
        """
        self._buffer += data
        end = self._buffer.find(PRELUDE_END)
        if end < 0:
            if len(self._buffer) > MAX_PRELUDE_BYTES:
                raise ResponseError(f"the answer has no prelude in its first {MAX_PRELUDE_BYTES} bytes")
            return None
        try:
            document = json.loads(self._buffer[:end])
        except ValueError as error:
            raise ResponseError("the prelude is not JSON") from error
        return ResponseHead.from_document(document), bytes(self._buffer[end + len(PRELUDE_END) :])


def read_buffered(document: bytes) -> tuple[ResponseHead, bytes]:
    """A buffered answer by the rules of payload format 2.0: anything without a statusCode is the body of a 200.

    Raises ResponseError for what is no JSON, or breaks the format.
    """
    try:
        value = json.loads(document)
    except ValueError as error:
        raise ResponseError("the answer is not JSON") from error
    if not isinstance(value, dict) or "statusCode" not in value:
        return ResponseHead(200, (("content-type", "application/json"),)), document
    headers = {"content-type": "application/json"} | _lower_cased(value.get("headers"))
    head = ResponseHead.from_document({**value, "headers": headers})
    text = value.get("body") or ""
    if not isinstance(text, str):
        raise ResponseError("body is not a string")
    return head, _decode_body(text, bool(value.get("isBase64Encoded")))


def _lower_cased(headers: object) -> dict[str, object]:
    if not isinstance(headers or {}, dict):
        raise ResponseError("headers are not an object")
    return {str(name).lower(): value for name, value in cast(dict[object, object], headers or {}).items()}


def _decode_body(text: str, is_base64: bool) -> bytes:
    if not is_base64:
        return text.encode("utf-8")
    try:
        return base64.b64decode(text, validate=True)
    except binascii.Error as error:
        raise ResponseError("body is called base64 and is not") from error


def _phrase(status: int) -> str:
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return "Unknown"
