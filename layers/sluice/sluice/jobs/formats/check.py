"""Lines of a JSONL upload, told apart: those that can run, and those that cannot, with the reason.

Most blocks are good as they are: ``check_block`` takes one whole, and is fast because only what is checked is built.
Where a block asks for more than text it looks at each request, but leaves the block whole. Where it declines,
``check_lines`` goes line by line, repairs what can be repaired, and says what is wrong with the rest. What the fast way
takes is a part of what the slow one takes, and means the same.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Annotated, Any, TypeVar

import msgspec
from msgspec import Meta, Raw

from sluice.claude.prices import shipped_prices
from sluice.jobs.edits import Edit, edit_between
from sluice.jobs.formats.appraise import Appraisal, Appraiser
from sluice.jobs.formats.plain import PlainParams, decode_block, read_plain
from sluice.jobs.formats.refusals import check_params
from sluice.jobs.formats.request_line import MAX_TOKENS, NOT_JSON, Defaults, LineProblem, RequestLine, complete_request
from sluice.jobs.requests import read_request

T = TypeVar("T")

# Says what is wrong with a model, or with so large a max_tokens for it; None where nothing is.
ModelProblem = Callable[[str, int], str | None]
# Says what is wrong with the params of a request, for the one who asks; None where nothing is.
ParamsProblem = Callable[[Mapping[str, Any]], str | None]

_ID_CHARACTERS = b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-"
_MAX_ID = 64


@dataclass(frozen=True, slots=True)
class LineRules:
    """What lines are checked against. ``max_bytes`` is the length of the longest line that can be sent.

    ``appraiser`` prices what is more than text; ``spare_id`` names the line of a number that does not name itself;
    ``version`` is the one of the API that the settings name.
    """

    defaults: Defaults
    max_bytes: int
    model_problem: ModelProblem
    spare_id: Callable[[int], str] = "line-{}".format
    version: str | None = None
    appraiser: Appraiser = field(default_factory=lambda: Appraiser(shipped_prices(), shipped_prices()))
    params_problem: ParamsProblem | None = None  #: None: whoever asks may ask anything.


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
    """A block that runs as it is. ``asked`` says for each of its models what is asked of it.

    ``appraisal`` is what all of it costs, None where it is plain text.
    """

    block: LineBlock
    ids: list[str]
    asked: Mapping[str, Asked]
    appraisal: Appraisal | None = None


@dataclass(frozen=True, slots=True)
class GoodLine:
    """One request; ``text`` as it is sent, without a newline; ``edit`` makes it of what is in the object.

    ``offset`` and ``length`` (without the newline) are its place in the object; ``appraisal`` is as in ``Run``.
    """

    number: int
    offset: int
    length: int
    text: bytes
    custom_id: str
    model: str
    max_tokens: int
    edit: Edit | None = None
    appraisal: Appraisal | None = None


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


class _AnyParams(msgspec.Struct, gc=False):
    model: Annotated[str, Meta(min_length=1)]
    max_tokens: Annotated[int, Meta(ge=1, le=MAX_TOKENS)]


class _AnyLine(msgspec.Struct, gc=False, forbid_unknown_fields=True):
    custom_id: str
    params: Raw


_ANY_DECODER = msgspec.json.Decoder(_AnyLine)
_ANY_PARAMS = msgspec.json.Decoder(_AnyParams)


def check_block(block: LineBlock, rules: LineRules) -> Run | None:
    """Check a block as a whole; None where any of its lines may need a closer look."""
    data = block.data
    if rules.params_problem or len(data) > rules.max_bytes or not _is_utf8(data):
        return None
    lines = read_plain(data)
    if lines is None or _has_longer_line(data, rules.appraiser.plain_bytes):
        return _check_closely(block, rules)
    return _run(block, [line.custom_id for line in lines], _sum_up([line.params for line in lines]), None, rules)


def _run(
    block: LineBlock, ids: list[str], asked: dict[str, Asked], appraisal: Appraisal | None, rules: LineRules
) -> Run | None:
    if not _are_ids(ids) or any(rules.model_problem(model, of_model.highest) for model, of_model in asked.items()):
        return None
    return Run(block, ids, asked, appraisal)


def _has_longer_line(data: bytes, most: int | None) -> bool:
    """Return whether a line, with its newline, has more bytes than ``most``."""
    if most is None:
        return False
    start, find = 0, data.rfind
    while len(data) - start > most:
        end = find(b"\n", start, start + most)
        if end < 0:
            return True
        start = end + 1
    return False


def _check_closely(block: LineBlock, rules: LineRules) -> Run | None:
    """Look at each request of a block; None where any cannot run as it is."""
    try:
        lines = decode_block(block.data, _ANY_DECODER)
        params = [_ANY_PARAMS.decode(line.params) for line in lines]
        appraisal = Appraisal()
        for line, each in zip(lines, params, strict=True):
            check_params(decoded := msgspec.json.decode(line.params), rules.version)
            length = memoryview(line.params).nbytes
            appraisal += rules.appraiser.appraise(decoded, length, each.model, each.max_tokens)
    except (msgspec.DecodeError, RecursionError, LineProblem):
        return None
    return _run(block, [line.custom_id for line in lines], _sum_up(params), appraisal, rules)


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
        if rules.params_problem and (problem := rules.params_problem(_params_of(request.text))):
            raise LineProblem("not allowed", problem)
        appraisal = _appraise_line(request, rules)
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
        appraisal,
    )


def _appraise_line(request: RequestLine, rules: LineRules) -> Appraisal | None:
    """Check the params of a request, and price it where it is more than text. Raises LineProblem."""
    most = rules.appraiser.plain_bytes
    if (most is None or len(request.text) < most) and read_plain(request.text + b"\n"):
        return None
    raw = _ANY_DECODER.decode(request.text).params
    try:
        decoded = msgspec.json.decode(raw)
    except RecursionError:
        raise LineProblem("nesting", "The line is nested too deeply.") from None
    except msgspec.DecodeError as error:
        raise LineProblem(NOT_JSON, f"The line is not JSON: {error}.") from None
    check_params(decoded, rules.version)
    return rules.appraiser.appraise(decoded, memoryview(raw).nbytes, request.model, request.max_tokens)


def _params_of(text: bytes) -> Mapping[str, Any]:
    params: dict[str, Any] = msgspec.json.decode(read_request(text).params)
    return params


def _sum_up(requests: Sequence[PlainParams | _AnyParams]) -> dict[str, Asked]:
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
