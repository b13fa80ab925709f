"""Text files as people save them: decoded as they pass, and read in lines that are never too long."""

from __future__ import annotations

import codecs
import io
from collections.abc import Iterable, Iterator
from itertools import chain

# More than a request may have. A line that is longer is no prompt.
MAX_LINE_CHARACTERS = 32_000_000
_SAMPLE_BYTES = 1 << 18
# In UTF-8 and Windows-1252, what cannot be decoded is a byte above 127, for which PEP 383 has a lone surrogate. In
# UTF-16 it may be any byte, such as the one that is left at an odd end: there, one surrogate stands for whatever it is.
_ANY_BYTE = "sluice.any_byte"
_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)


class _Chunks(io.RawIOBase):
    """Chunks as a file to read from."""

    def __init__(self, chunks: Iterable[bytes]) -> None:
        self._chunks = iter(chunks)
        self._rest = memoryview(b"")

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]  # typeshed names a wider type
        while not self._rest:
            chunk = next(self._chunks, None)
            if chunk is None:
                return 0
            self._rest = memoryview(chunk)
        count = min(len(buffer), len(self._rest))
        buffer[:count] = self._rest[:count]
        self._rest = self._rest[count:]
        return count


class TextFile:
    """A text file. ``note`` says for a person what had to be assumed; ``sample`` is its beginning.

    What is not of its encoding becomes lone surrogates, which cannot be sent.
    """

    def __init__(self, chunks: Iterable[bytes]) -> None:
        remaining = iter(chunks)
        head = _take(remaining, _SAMPLE_BYTES)
        encoding = _encoding_of(head)
        self.note = None if encoding else "The file is not UTF-8: it was read as Windows-1252."
        encoding = encoding or "cp1252"
        self.sample = codecs.getincrementaldecoder(encoding)("replace").decode(head)
        raw = io.BufferedReader(_Chunks(chain((head,), remaining)), _SAMPLE_BYTES)
        errors = _ANY_BYTE if encoding == "utf-16" else "surrogateescape"
        self._text = io.TextIOWrapper(raw, encoding, errors=errors, newline="")

    def lines(self) -> Iterator[str]:
        """Yield the lines with their ends, as they are. One that is too long comes cut, with no end, and is skipped."""
        while line := self._text.readline(MAX_LINE_CHARACTERS):
            yield line
            while len(line) == MAX_LINE_CHARACTERS and not line.endswith(("\n", "\r")):
                line = self._text.readline(MAX_LINE_CHARACTERS)


def is_too_long(line: str) -> bool:
    """Return whether a line of ``TextFile.lines`` was cut."""
    return len(line) >= MAX_LINE_CHARACTERS


def _take(chunks: Iterator[bytes], count: int) -> bytes:
    head = bytearray()
    for chunk in chunks:
        head += chunk
        if len(head) >= count:
            break
    return bytes(head)


def _mark_undecodable(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeDecodeError):
        raise error
    return "\udcff", error.end


codecs.register_error(_ANY_BYTE, _mark_undecodable)


def _encoding_of(head: bytes) -> str | None:
    """Return the encoding, judged by the beginning of a file; None where it is neither marked nor UTF-8."""
    for mark, encoding in _MARKS:
        if head.startswith(mark):
            return encoding
    try:
        codecs.getincrementaldecoder("utf-8")().decode(head)
    except UnicodeDecodeError:
        return None
    return "utf-8"
