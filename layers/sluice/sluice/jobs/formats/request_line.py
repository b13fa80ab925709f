"""One line of a JSONL upload: what it asks for, what it lacks, what is wrong with it.

A line is ``{"custom_id": …, "params": {…}}`` as the API takes it. A missing ``custom_id`` is made up, a missing model
or ``max_tokens`` comes from the settings, and the ``result`` of a line of ``errors.jsonl`` is taken off, so that the
file can be dropped again as it is.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Annotated

import msgspec
from msgspec import UNSET, Meta, Raw, UnsetType

from sluice.jobs.requests import UploadedRequest, read_uploaded_request, write_request
from sluice.jobs.wording import shorten

# More than any model gives. A larger one is a slip, and sums of it would fit into no table.
MAX_TOKENS = 10_000_000
_ID = re.compile(r"[a-zA-Z0-9_-]{1,64}")
# White space of JSON; bytes.strip() without it would take more.
_SPACE = b" \t\r"


class LineProblem(Exception):
    """What is wrong with a line: ``kind`` in a word or two, to be counted, and a short sentence for a person."""

    def __init__(self, kind: str, reason: str) -> None:
        self.kind = kind
        self.reason = shorten(reason)
        super().__init__(self.reason)


class KnownRefusal(LineProblem):
    """A request that can be read, and that the API would refuse for certain."""


EMPTY, NOT_JSON = "empty", "not JSON"


@dataclass(frozen=True, slots=True)
class Defaults:
    """What a request gets that does not say it itself; "" and None: nothing."""

    model: str = ""
    max_tokens: int | None = None


@dataclass(frozen=True, slots=True)
class RequestLine:
    """A request; ``text`` is the line as it is sent, with the white space that it had around it."""

    text: bytes
    custom_id: str
    model: str
    max_tokens: int


class _Message(msgspec.Struct):
    role: str


class _Params(msgspec.Struct):
    model: Annotated[str, Meta(min_length=1)] | UnsetType = UNSET
    max_tokens: Annotated[int, Meta(ge=1, le=MAX_TOKENS)] | UnsetType = UNSET
    messages: Annotated[list[_Message], Meta(min_length=1)] | UnsetType = UNSET
    stream: bool | UnsetType | None = UNSET
    speed: Raw | UnsetType = UNSET
    betas: Raw | UnsetType = UNSET


_PARAMS = msgspec.json.Decoder(_Params)
_WHERE = re.compile(r" - at `\$\.?([^`]*)`$")


def complete_request(line: bytes, spare_id: str, defaults: Defaults) -> RequestLine:
    """Read one line, without its newline, and add what it lacks; ``spare_id`` is for one without an id.

    Raises LineProblem.
    """
    given = line.strip(_SPACE)
    parsed = _parse_line(given)
    if isinstance(parsed.params, UnsetType):
        raise LineProblem("params", 'There is no "params".')
    params = _parse_params(parsed.params)
    custom_id = _custom_id(parsed.custom_id, spare_id)
    model, max_tokens, additions = _fill_in(params, defaults)
    changed = parsed.custom_id is None or not isinstance(parsed.result, UnsetType) or bool(additions)
    # White space is kept, so that an edit stays small.
    text = line.replace(given, _write(custom_id, bytes(parsed.params), additions), 1) if changed else line
    return RequestLine(text, custom_id, model, max_tokens)


def check_custom_id(custom_id: str) -> None:
    """Raise LineProblem where the API would not take it (Claude API: Message Batches)."""
    if not _ID.fullmatch(custom_id):
        raise LineProblem("custom_id", 'The "custom_id" has to be 1 to 64 of the characters a-z, A-Z, 0-9, _ and -.')


def _parse_line(text: bytes) -> UploadedRequest:
    if not text:
        raise LineProblem(EMPTY, "The line is empty.")
    try:
        text.decode()
    except UnicodeDecodeError as error:
        raise LineProblem(NOT_JSON, f"The line is not UTF-8 at byte {error.start + 1}.") from None
    try:
        return read_uploaded_request(text)
    except RecursionError:
        raise LineProblem("nesting", "The line is nested too deeply.") from None
    except msgspec.ValidationError as error:
        raise LineProblem("keys", _sentence(error, "The line")) from None
    except msgspec.DecodeError as error:
        raise LineProblem(NOT_JSON, f"The line is not JSON: {error}.") from None


def _parse_params(raw: Raw) -> _Params:
    try:
        params = _PARAMS.decode(raw)
    except msgspec.ValidationError as error:
        raise LineProblem("params", _sentence(error, '"params"')) from None
    if isinstance(params.messages, UnsetType):
        raise LineProblem("params", '"params" has no "messages".')
    if params.stream:
        raise LineProblem("params", '"params" asks for a stream, which a batch cannot give.')
    if not isinstance(params.speed, UnsetType):
        raise LineProblem("params", '"params" has a "speed", which a batch does not take.')
    if not isinstance(params.betas, UnsetType):
        raise LineProblem("params", '"params" has "betas": they belong into sluice.yaml.')
    return params


def _custom_id(given: object, spare_id: str) -> str:
    if given is None:
        return spare_id
    if not isinstance(given, str):
        raise LineProblem("custom_id", 'The "custom_id" has to be text.')
    check_custom_id(given)
    return given


def _fill_in(params: _Params, defaults: Defaults) -> tuple[str, int, dict[str, object]]:
    """Return the model, max_tokens, and which of them are to be added to what the line says."""
    model = defaults.model if isinstance(params.model, UnsetType) else params.model
    max_tokens = defaults.max_tokens if isinstance(params.max_tokens, UnsetType) else params.max_tokens
    if not model:
        raise LineProblem("params", '"params" has no "model", and neither the folder nor the stack sets one.')
    if max_tokens is None:
        raise LineProblem("params", '"params" has no "max_tokens", and no sluice.yaml sets it.')
    additions: dict[str, object] = {}
    if isinstance(params.model, UnsetType):
        additions["model"] = model
    if isinstance(params.max_tokens, UnsetType):
        additions["max_tokens"] = max_tokens
    return model, max_tokens, additions


def _write(custom_id: str, params: bytes, additions: dict[str, object]) -> bytes:
    """Write the line anew. What is added to ``params`` comes first; it is an object with messages, never empty."""
    if additions:
        params = msgspec.json.encode(additions)[:-1] + b"," + params.lstrip(b" \t\r\n")[1:]
    return write_request(custom_id, params)


def _sentence(error: msgspec.ValidationError, subject: str) -> str:
    """Return what the decoder says about a line, in the words of the line."""
    text = str(error)
    found = _WHERE.search(text)
    where = f'{subject} is wrong at "{found[1]}": ' if found and found[1] else f"{subject} is wrong: "
    what = _WHERE.sub("", text)
    return where + what[:1].lower() + what[1:].replace("`", '"') + "."
