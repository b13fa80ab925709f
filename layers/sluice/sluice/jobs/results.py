"""The results of a batch, read in blocks: of each line only what decides where it goes and what it cost.

A block of lines is decoded in one call and its bytes are passed on as they came, so that an answer is never built as
an object (Claude API: Message Batches, results).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import msgspec

from sluice.errors import PassingFailure, SluiceError
from sluice.jobs.blocks import whole_lines

SUCCEEDED, ERRORED, CANCELED, EXPIRED = "succeeded", "errored", "canceled", "expired"
CUT_OFF_REASON = "max_tokens"


class CacheCreation(msgspec.Struct, gc=False):
    ephemeral_5m_input_tokens: int | None = None
    ephemeral_1h_input_tokens: int | None = None


class Usage(msgspec.Struct, gc=False):
    """Tokens as the API counts them; a count that is null is none."""

    input_tokens: int | None = None
    output_tokens: int | None = None
    cache_creation_input_tokens: int | None = None
    cache_read_input_tokens: int | None = None
    cache_creation: CacheCreation | None = None


class Message(msgspec.Struct, gc=False):
    model: str = ""
    stop_reason: str | None = None
    usage: Usage | None = None


class Details(msgspec.Struct, gc=False):
    error_code: str | None = None


class Error(msgspec.Struct, gc=False):
    """An API error. In a result it is wrapped: ``{"type": "error", "error": {"type": …}}``; the inner one counts."""

    type: str = ""
    message: str = ""
    details: Details | None = None
    error: Error | None = None


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


class ResultsUnreadable(PassingFailure):
    """What came as results is not what the API promises; most likely the download was cut or garbled."""


class ForeignResults(SluiceError):
    """The results are not those of this shard: they name a request that it did not make, or name one twice."""


_LINE = msgspec.json.Decoder(ResultLine)
_RAW = msgspec.json.Decoder(RawResultLine)
_NEWLINE = b"\n"


def read_blocks(chunks: Iterable[bytes]) -> Iterator[tuple[bytes, list[ResultLine]]]:
    """Yield runs of whole lines, each run with its lines decoded: one newline a line, blank lines left out.

    The chunks may be cut anywhere. Raises ResultsUnreadable where a line is no result, such as a last one cut short.
    """
    for run in whole_lines(chunks):
        block = run
        try:
            lines = _LINE.decode_lines(run)
            if len(lines) != run.count(_NEWLINE):
                block = b"".join(line + _NEWLINE for line in run.splitlines() if line.strip())
                lines = [_LINE.decode(line) for line in block.splitlines()]
        except (msgspec.MsgspecError, UnicodeDecodeError) as error:
            raise ResultsUnreadable(f"A line of the results is no result ({type(error).__name__}).") from error
        yield block, lines


def raw_result(line: bytes) -> RawResultLine:
    """Read a line of results, leaving its result as it is."""
    return _RAW.decode(line)


def with_custom_id(line: bytes, custom_id: str) -> bytes:
    """Write a line of results with another ``custom_id``, without its newline."""
    return b'{"custom_id":%s,"result":%s}' % (msgspec.json.encode(custom_id), bytes(_RAW.decode(line).result))


def error_line(custom_id: bytes, params: bytes, result: bytes) -> bytes:
    """Write a line of errors: a request as ``batches.create`` takes it, with its last result beside it."""
    return b'{"custom_id":%s,"params":%s,"result":%s}' % (custom_id, params, result)


def errored_result(error_type: str, message: str) -> bytes:
    """Write the result that the API gives a request that failed."""
    error = {"type": "error", "error": {"type": error_type, "message": message}}
    return msgspec.json.encode({"type": ERRORED, "error": error})
