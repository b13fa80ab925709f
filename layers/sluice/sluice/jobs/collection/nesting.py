"""Results that are nested deeper than a decoder goes. Without I/O.

Claude may answer with the input of a tool, and nothing limits how deep that is nested; ``msgspec`` gives up where
Python's stack would. What decides about a result lies near its top, so the rest is left out where it is too deep.
"""

from __future__ import annotations

import re
from typing import TypeVar

import msgspec

T = TypeVar("T")

# Whole strings, so that a bracket in one does not count.
_TOKEN = re.compile(rb'"[^"\\]*(?:\\.[^"\\]*)*"|[\[\]{}]', re.DOTALL)
# No field that is read lies as deep.
_KEPT_DEPTH = 32


def decode_at_any_depth(decoder: msgspec.json.Decoder[T], text: bytes) -> T:
    """Decode JSON, without its deepest parts where they are too deep. Raises MsgspecError as the decoder does."""
    try:
        return decoder.decode(text)
    except RecursionError:
        return decoder.decode(without_depths(text))


def without_depths(text: bytes) -> bytes:
    """Write JSON with null in place of what is nested too deep. What is no JSON stays none."""
    kept, depth, position = bytearray(), 0, 0
    for token in _TOKEN.finditer(text):
        bracket = token.group()
        if bracket in (b"[", b"{"):
            depth += 1
            if depth == _KEPT_DEPTH + 1:
                kept += text[position : token.start()] + b"null"
        elif bracket in (b"]", b"}"):
            depth -= 1
            if depth == _KEPT_DEPTH:
                position = token.end()
    return bytes(kept + text[position:]) if depth <= _KEPT_DEPTH else bytes(kept)
