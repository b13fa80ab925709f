"""Lines of a JSONL upload, told apart: those that can run, and those that cannot, with the reason.

Most blocks are good as they are: ``check_block`` takes one whole, and is fast because only what is checked is built.
Where it declines, ``check_lines`` goes line by line, repairs what can be repaired, and says what is wrong with the
rest. What the fast way takes is a part of what the slow one takes, and means the same.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Annotated

import msgspec
from msgspec import UNSET, Meta, UnsetType

from sluice.jobs.edits import Edit, edit_between
from sluice.jobs.formats.request_line import MAX_TOKENS, Defaults, LineProblem, complete_request

# Says what is wrong with a model, or with so large a max_tokens for it; None where nothing is.
ModelProblem = Callable[[str, int], str | None]

_ID_CHARACTERS = b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-"
_MAX_ID = 64


@dataclass(frozen=True, slots=True)
class LineRules:
    """What lines are checked against. ``max_bytes`` is the length of the longest line that can be sent.

    ``spare_id`` names the line of a number that does not name itself.
    """

    defaults: Defaults
    max_bytes: int
    model_problem: ModelProblem
    spare_id: Callable[[int], str] = "line-{}".format


@dataclass(frozen=True, slots=True)
class LineBlock:
    """Whole lines with their newlines; ``offset`` in the object, ``number`` of the first line, counted from 1."""

    offset: int
    number: int
    data: bytes


@dataclass(frozen=True, slots=True)
class Asked:
    """Requests to one model, with the sum of their ``max_tokens``, the ``highest`` and the ``lowest`` of them."""

    requests: int
    max_tokens: int
    highest: int
    lowest: int


@dataclass(frozen=True, slots=True)
class Run:
    """A block that runs as it is. ``asked`` says for each of its models what is asked of it."""

    block: LineBlock
    ids: list[str]
    asked: Mapping[str, Asked]


@dataclass(frozen=True, slots=True)
class GoodLine:
    """One request; ``text`` as it is sent, without a newline; ``edit`` makes it of what is in the object.

    ``offset`` and ``length`` (without the newline) are its place in the object.
    """

    number: int
    offset: int
    length: int
    text: bytes
    custom_id: str
    model: str
    max_tokens: int
    edit: Edit | None = None


@dataclass(frozen=True, slots=True)
class BadLine:
    """A line that cannot run. ``text`` may be cut: ``length`` is that of the whole line, without its newline.

    ``offset`` is None where lines are not known by their place.
    """

    number: int
    offset: int | None
    length: int
    text: bytes
    problem: LineProblem


# A request once more, beside those of ``jobs/requests.py``: here a whole block is decoded and checked in one call, down
# to its messages, while there ``params`` stay as they are. How fast planning is depends on it.
class _Message(msgspec.Struct, gc=False):
    role: str


class _Params(msgspec.Struct, gc=False):
    model: Annotated[str, Meta(min_length=1)]
    max_tokens: Annotated[int, Meta(ge=1, le=MAX_TOKENS)]
    messages: Annotated[list[_Message], Meta(min_length=1)]
    # Fields that have to be absent are left to the slow way.
    stream: UnsetType = UNSET
    speed: UnsetType = UNSET
    betas: UnsetType = UNSET


class _Line(msgspec.Struct, gc=False, forbid_unknown_fields=True):
    custom_id: str
    params: _Params


_DECODER = msgspec.json.Decoder(_Line)


def check_block(block: LineBlock, rules: LineRules) -> Run | None:
    """Check a block as a whole; None where any of its lines may need a closer look."""
    data = block.data
    if len(data) > rules.max_bytes or not _is_utf8(data):
        return None
    try:
        lines = _decode_block(data)
    except (msgspec.DecodeError, RecursionError):
        return None
    ids = [line.custom_id for line in lines]
    asked = _sum_up([line.params for line in lines])
    if not _are_ids(ids) or any(rules.model_problem(model, of_model.highest) for model, of_model in asked.items()):
        return None
    return Run(block, ids, asked)


def _decode_block(data: bytes) -> list[_Line]:
    """Decode whole lines, a request each. Raises msgspec.DecodeError and RecursionError."""
    if count := _count_objects(data):
        lines = _DECODER.decode_lines(data)
        if len(lines) == count:
            return lines
    return list(map(_DECODER.decode, data.split(b"\n")[:-1]))


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


def check_lines(block: LineBlock, rules: LineRules) -> Iterator[GoodLine | BadLine]:
    """Check a block line by line."""
    offset = block.offset
    for number, line in enumerate(block.data.split(b"\n")[:-1], block.number):
        yield check_line(number, offset, line, rules)
        offset += len(line) + 1


def check_line(number: int, offset: int, line: bytes, rules: LineRules) -> GoodLine | BadLine:
    """Check one line, given without its newline."""
    try:
        request = complete_request(line, rules.spare_id(number), rules.defaults)
        if len(request.text) > rules.max_bytes:
            raise LineProblem("too long", f"The request has {len(request.text)} bytes, more than {rules.max_bytes}.")
        if problem := rules.model_problem(request.model, request.max_tokens):
            raise LineProblem("model", problem)
    except LineProblem as problem:
        return BadLine(number, offset, len(line), line, problem)
    return GoodLine(
        number,
        offset,
        len(line),
        request.text,
        request.custom_id,
        request.model,
        request.max_tokens,
        edit_between(offset, line, request.text),
    )


def _sum_up(requests: list[_Params]) -> dict[str, Asked]:
    models = {params.model for params in requests}
    if len(models) == 1:
        return {models.pop(): _sum_up_tokens([params.max_tokens for params in requests])}
    tokens: dict[str, list[int]] = {model: [] for model in models}
    for params in requests:
        tokens[params.model].append(params.max_tokens)
    return {model: _sum_up_tokens(each) for model, each in tokens.items()}


def _sum_up_tokens(max_tokens: list[int]) -> Asked:
    return Asked(len(max_tokens), sum(max_tokens), max(max_tokens), min(max_tokens))


def _is_utf8(data: bytes) -> bool:
    """Return whether text is UTF-8, which the decoder does not look at in what it skips."""
    if data.isascii():
        return True
    try:
        data.decode()
    except UnicodeDecodeError:
        return False
    return True


def _are_ids(ids: list[str]) -> bool:
    """Return whether each is a ``custom_id`` (Claude API: 1 to 64 of [a-zA-Z0-9_-])."""
    if not all(ids) or max(map(len, ids)) > _MAX_ID:
        return False
    joined = "".join(ids)
    return joined.isascii() and not joined.encode().translate(None, _ID_CHARACTERS)
