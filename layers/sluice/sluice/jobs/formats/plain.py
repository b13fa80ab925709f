"""Requests that are text and nothing else, read a whole block in one call: how fast planning is depends on it.

A request once more, beside those of ``jobs/requests.py``: here it is checked down to its messages, while there
``params`` stay as they are. Whatever has another field than these, or a message that is more than text, is no plain
request and is looked at more closely (``check.py``).
"""

from __future__ import annotations

from collections.abc import Sequence
from operator import attrgetter, itemgetter
from typing import Annotated, Any, Literal, TypeVar

import msgspec
from msgspec import UNSET, Meta, Raw, Struct, UnsetType

from sluice.jobs.formats.request_line import MAX_TOKENS

T = TypeVar("T")


class PlainParams(Struct, gc=False, forbid_unknown_fields=True):
    """What text is asked with; messages and system prompt as each decoder below has them."""

    model: Annotated[str, Meta(min_length=1)]
    max_tokens: Annotated[int, Meta(ge=1, le=MAX_TOKENS)]
    stop_sequences: list[str] | UnsetType = UNSET
    metadata: Raw | UnsetType = UNSET
    service_tier: Raw | UnsetType = UNSET


class PlainLine(Struct, gc=False, forbid_unknown_fields=True):
    custom_id: str
    params: Any


# Text that is ASCII is built faster than it is looked at; other text is not.
_TEXT = Annotated[str, Meta(min_length=1)]


class _Question(Struct, gc=False, forbid_unknown_fields=True):
    role: Literal["user"]
    content: _TEXT


class _Turn(Struct, gc=False, forbid_unknown_fields=True):
    role: Literal["user", "assistant"]
    content: _TEXT


class _RawQuestion(Struct, gc=False, forbid_unknown_fields=True):
    role: Literal["user"]
    content: Raw


class _RawTurn(Struct, gc=False, forbid_unknown_fields=True):
    role: Literal["user", "assistant"]
    content: Raw


class _Questions(PlainParams, gc=False, forbid_unknown_fields=True, kw_only=True):
    messages: Annotated[list[_Question], Meta(min_length=1)]
    system: str | UnsetType = UNSET


class _Turns(PlainParams, gc=False, forbid_unknown_fields=True, kw_only=True):
    messages: Annotated[list[_Turn], Meta(min_length=1)]
    system: str | UnsetType = UNSET


class _RawQuestions(PlainParams, gc=False, forbid_unknown_fields=True, kw_only=True):
    messages: Annotated[list[_RawQuestion], Meta(min_length=1)]
    system: Raw | UnsetType = UNSET


class _RawTurns(PlainParams, gc=False, forbid_unknown_fields=True, kw_only=True):
    messages: Annotated[list[_RawTurn], Meta(min_length=1)]
    system: Raw | UnsetType = UNSET


class _QuestionsLine(PlainLine, gc=False, forbid_unknown_fields=True):
    params: _Questions


class _TurnsLine(PlainLine, gc=False, forbid_unknown_fields=True):
    params: _Turns


class _RawQuestionsLine(PlainLine, gc=False, forbid_unknown_fields=True):
    params: _RawQuestions


class _RawTurnsLine(PlainLine, gc=False, forbid_unknown_fields=True):
    params: _RawTurns


_QUESTIONS: msgspec.json.Decoder[PlainLine] = msgspec.json.Decoder(_QuestionsLine)
_TURNS: msgspec.json.Decoder[PlainLine] = msgspec.json.Decoder(_TurnsLine)
_RAW_QUESTIONS: msgspec.json.Decoder[PlainLine] = msgspec.json.Decoder(_RawQuestionsLine)
_RAW_TURNS: msgspec.json.Decoder[PlainLine] = msgspec.json.Decoder(_RawTurnsLine)
_FIRST_BYTE, _LENGTH = itemgetter(0), attrgetter("nbytes")
_QUOTE = ord('"')


def read_plain(data: bytes) -> list[PlainLine] | None:
    """Read whole lines of UTF-8, all of which are plain requests; None where any is not."""
    is_ascii = data.isascii()
    for decoder in (_QUESTIONS, _TURNS) if is_ascii else (_RAW_QUESTIONS, _RAW_TURNS):
        try:
            lines = decode_block(data, decoder)
        except (msgspec.DecodeError, RecursionError):
            continue
        params = [line.params for line in lines]
        if decoder in (_TURNS, _RAW_TURNS) and not _begin_and_end_with_users(params):
            return None
        return lines if is_ascii or _are_texts(params) else None
    return None


def _begin_and_end_with_users(params: Sequence[Any]) -> bool:
    return all(each.messages[0].role == "user" == each.messages[-1].role for each in params)


def _are_texts(params: Sequence[Any]) -> bool:
    """Return whether all contents, and all system prompts, are texts, and no content is empty."""
    contents = [memoryview(message.content) for each in params for message in each.messages]
    systems = [memoryview(each.system) for each in params if each.system is not UNSET]
    return {_QUOTE}.issuperset(map(_FIRST_BYTE, contents + systems)) and min(map(_LENGTH, contents)) > 2


def decode_block(data: bytes, decoder: msgspec.json.Decoder[T]) -> list[T]:
    """Decode whole lines, a request each. Raises msgspec.DecodeError and RecursionError."""
    if count := _count_objects(data):
        lines = decoder.decode_lines(data)
        if len(lines) == count:
            return lines
    return list(map(decoder.decode, data.split(b"\n")[:-1]))


def _count_objects(data: bytes) -> int:
    """Count the lines where each newline but the last is between two braces, as it is within no object; otherwise 0.

    Without that, ``decode_lines`` takes two values in a line for two lines, and one value over two lines for one.
    """
    find, end, count = data.find, data.find(b"\n") + 1, 1
    while end < len(data):
        if data[end - 2 : end + 1] != b"}\n{":
            return 0
        end = find(b"\n", end) + 1
        count += 1
    return count
