"""The lines that answer something: ``{"custom_id": …, "result": {…}}``, as the API gives the results of a batch.

All that reads or writes such a line is here, and what writes the lines of ``errors.jsonl``, which have ``params`` too.
Results of a batch are read in blocks, of each line only what decides where it goes and what it cost: a block is decoded
in one call and its bytes are passed on as they came, so that an answer is never built as an object (Claude API:
Message Batches, results).
"""

from __future__ import annotations

import re
from array import array
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple, TypeVar

import msgspec

from sluice.errors import SluiceError, TransientError
from sluice.jobs.lines import whole_lines
from sluice.jobs.requests import BatchRequest

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


SUCCEEDED, ERRORED, CANCELED, EXPIRED = "succeeded", "errored", "canceled", "expired"
CUT_OFF_REASON = "max_tokens"


class CacheCreation(msgspec.Struct, gc=False):
    ephemeral_1h_input_tokens: int | None = None


class ServerToolUse(msgspec.Struct, gc=False):
    web_search_requests: int | None = None


class Usage(msgspec.Struct, gc=False):
    """Tokens as the API counts them; a count that is null is none. ``iterations`` are as ``claude/usage.py`` reads."""

    input_tokens: int | None = None
    output_tokens: int | None = None
    cache_creation_input_tokens: int | None = None
    cache_read_input_tokens: int | None = None
    cache_creation: CacheCreation | None = None
    server_tool_use: ServerToolUse | None = None
    inference_geo: str | None = None
    iterations: list[Any] | None = None


class Message(msgspec.Struct, gc=False):
    model: str = ""
    stop_reason: str | None = None
    usage: Usage | None = None
    container: Any = None  #: What code ran in.


class Details(msgspec.Struct, gc=False):
    error_code: str | None = None


class Error(msgspec.Struct, gc=False):
    """An API error. In a result it is wrapped: ``{"type": "error", "error": {"type": …}}``; the inner one counts."""

    type: str = ""
    message: str = ""
    details: Details | None = None
    error: Error | None = None

    @property
    def code(self) -> str | None:
        """The API's ``error_code``, where it gives one."""
        return self.details.error_code if self.details else None


class Result(msgspec.Struct, gc=False):
    type: str
    message: Message | None = None
    error: Error | None = None

    @property
    def inner_error(self) -> Error:
        outer = self.error or Error()
        return outer.error or outer


class ResultLine(msgspec.Struct, gc=False):
    custom_id: str
    result: Result


class RawResultLine(msgspec.Struct):
    """A line whose result stays as it is."""

    custom_id: str
    result: msgspec.Raw


class ContentBlock(msgspec.Struct):
    type: str
    text: str = ""


class StopDetails(msgspec.Struct):
    """Why Claude refused, where it says so."""

    explanation: str | None = None


class AnsweredMessage(msgspec.Struct):
    """A message with what the model said, and why it stopped."""

    content: list[ContentBlock] = []
    usage: Usage | None = None
    stop_reason: str | None = None
    stop_details: StopDetails | None = None

    @property
    def text(self) -> str:
        return "".join(block.text for block in self.content if block.type == "text")


class SucceededResult(msgspec.Struct):
    message: AnsweredMessage


class AnswerLine(msgspec.Struct):
    """A line of ``results.jsonl``."""

    custom_id: str
    result: SucceededResult


class ResultsUnreadable(TransientError):
    """What came as results is not what the API promises; most likely the download was cut or garbled."""


class ForeignResults(SluiceError):
    """The results are not those of this shard: they name a request that it did not make, or name one twice."""


_LINE = msgspec.json.Decoder(ResultLine)
_RAW = msgspec.json.Decoder(RawResultLine)
_ANSWER = msgspec.json.Decoder(AnswerLine)
_RESULT = msgspec.json.Decoder(Result)
# A line as the API writes it, its result being all that follows.
_PARTS = re.compile(rb'\s*\{\s*"custom_id"\s*:\s*"([^"\\]*)"\s*,\s*"result"\s*:\s*(.*)\}\s*', re.DOTALL)


class ResultBlock(NamedTuple):
    """A run of whole lines: their bytes, where in them each line ends, and the lines decoded."""

    data: bytes
    ends: array[int]
    lines: list[ResultLine]


def read_blocks(chunks: Iterable[bytes]) -> Iterator[ResultBlock]:
    """Yield the lines of results in blocks, blank ones left out. The chunks may be cut anywhere.

    Raises ResultsUnreadable where a line is no result, such as a last one cut short.
    """
    for run in whole_lines(chunks):
        try:
            yield _read_block(run)
        except (msgspec.MsgspecError, UnicodeDecodeError) as error:
            raise ResultsUnreadable(f"A line of the results is no result ({type(error).__name__}).") from error


def _read_block(run: bytes) -> ResultBlock:
    try:
        lines, ends = _LINE.decode_lines(run), _line_ends(run)
        if len(lines) == len(ends):
            return ResultBlock(run, ends, lines)
    except RecursionError:
        pass
    each = [line for line in run.split(b"\n") if line.strip()]
    run = b"".join(line + b"\n" for line in each)
    return ResultBlock(run, _line_ends(run), [decode_at_any_depth(_LINE, line) for line in each])


def _line_ends(data: bytes) -> array[int]:
    find, end, ends = data.find, 0, array("I")
    append = ends.append
    while end := find(b"\n", end) + 1:
        append(end)
    return ends


def read_answer_line(line: bytes) -> AnswerLine:
    """Read a line of ``results.jsonl``."""
    return decode_at_any_depth(_ANSWER, line)


def read_result_line(line: bytes) -> ResultLine:
    """Read a line with any result, such as one of ``errors.jsonl``."""
    return decode_at_any_depth(_LINE, line)


def read_raw_result_line(line: bytes) -> RawResultLine:
    """Read a line of results, leaving its result as it is."""
    try:
        return _RAW.decode(line)
    except RecursionError:
        parts = _PARTS.fullmatch(line)
        if parts is None:
            raise ResultsUnreadable("A line of the results is nested too deep.") from None
        return RawResultLine(parts[1].decode(), msgspec.Raw(parts[2]))


def read_result(raw: bytes) -> Result:
    """Decode a result."""
    return decode_at_any_depth(_RESULT, raw)


def check_custom_ids(lines: Sequence[bytes], custom_ids: Sequence[bytes]) -> None:
    """Check that each line of results is that of its id. Raises ForeignResults."""
    # As the API writes lines, none has to be decoded for it.
    if all(map(bytes.startswith, lines, [b'{"custom_id":"%b"' % each for each in custom_ids])):
        return
    for line, custom_id in zip(lines, custom_ids, strict=True):
        if read_raw_result_line(line).custom_id.encode() != custom_id:
            raise ForeignResults("The results name a request that is not of this shard.")


def with_custom_id(line: bytes, custom_id: str) -> bytes:
    """Write a line of results with another ``custom_id``, one that the API takes, without its newline."""
    return b'{"custom_id":"%s","result":%s}' % (custom_id.encode(), bytes(read_raw_result_line(line).result))


def write_error_line(request: BatchRequest, result: bytes) -> bytes:
    """Write a line of ``errors.jsonl``, without its newline: a request with its last result beside it."""
    return b'{"custom_id":"%s","params":%s,"result":%s}' % (request.custom_id.encode(), bytes(request.params), result)


def write_errored_result(error_type: str, message: str) -> bytes:
    """Write the result that the API gives a request that failed."""
    error = {"type": "error", "error": {"type": error_type, "message": message}}
    return msgspec.json.encode({"type": ERRORED, "error": error})
