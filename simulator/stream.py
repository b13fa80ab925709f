"""A message as server-sent events (Claude API: Streaming Messages). Pure."""

import re
import time
from collections.abc import Iterable, Iterator
from typing import Any

import msgspec
from msgspec import UNSET, Struct

from simulator.messages import CharLocation, ContentBlock, Message, TextBlock, ThinkingBlock, ToolUseBlock
from simulator.prompt import count_tokens
from simulator.replies import Reply

PING = b'event: ping\ndata: {"type": "ping"}\n\n'
_PIECE = re.compile(r"\s*\S+\s*\Z|\s*\S+|\s+")
_JSON_PIECE = 24
_encode = msgspec.json.Encoder().encode


def events(message: Message, reply: Reply) -> Iterator[bytes]:
    """Each event of the message's stream, encoded, in order."""
    yield _event("message_start", b'"message":' + _encode(_unanswered(message)))
    yield PING
    if reply.unknown_events:
        yield _event("message_weather", b'"outlook":"fair"')
    for index, block in enumerate(message.content):
        yield from _block_events(index, block, reply)
    yield _event("message_delta", _delta_of_message(message))
    yield _event("message_stop")


class _Delta(Struct, frozen=True):
    text: str = ""
    thinking: str = ""
    partial_json: str = ""


class _Written(Struct, frozen=True):
    delta: _Delta = _Delta()


_decode_written = msgspec.json.Decoder(_Written).decode


def written_tokens(sent: Iterable[bytes]) -> int:
    """The output tokens of the events that were sent, which is what an answer costs that is broken off."""
    deltas = [event.partition(b"data: ")[2] for event in sent if event.startswith(b"event: content_block_delta\n")]
    written = [_decode_written(delta).delta for delta in deltas]
    return max(count_tokens("".join(each.text + each.thinking + each.partial_json for each in written)), 1)


def error_event(body: bytes) -> bytes:
    """An error in the middle of a stream; `body` is the JSON of the error."""
    return b"event: error\ndata: " + body + b"\n\n"


def _event(name: str, fields: bytes = b"") -> bytes:
    comma = b"," if fields else b""
    kind = name.encode()
    return b"event: " + kind + b'\ndata: {"type":"' + kind + b'"' + comma + fields + b"}\n\n"


def _unanswered(message: Message) -> Message:
    usage = msgspec.structs.replace(message.usage, output_tokens=1, output_tokens_details=UNSET)
    return msgspec.structs.replace(message, content=[], stop_reason=None, stop_sequence=None, usage=usage)


def _delta_of_message(message: Message) -> bytes:
    usage = message.usage
    counts: dict[str, Any] = {
        "input_tokens": usage.input_tokens,
        "cache_creation_input_tokens": usage.cache_creation_input_tokens,
        "cache_read_input_tokens": usage.cache_read_input_tokens,
        "output_tokens": usage.output_tokens,
    }
    if usage.server_tool_use is not UNSET:
        counts["server_tool_use"] = usage.server_tool_use
    delta = {"stop_reason": message.stop_reason, "stop_sequence": message.stop_sequence}
    return b'"delta":' + _encode(delta) + b',"usage":' + _encode(counts)


def _block_events(index: int, block: ContentBlock, reply: Reply) -> Iterator[bytes]:
    place = b'"index":%d' % index
    yield _event("content_block_start", place + b',"content_block":' + _encode(_empty(block)))
    deltas = _pinged(_deltas(place, block, reply), reply.pings) if reply.pings else _deltas(place, block, reply)
    yield from deltas
    yield _event("content_block_stop", place)


def _empty(block: ContentBlock) -> ContentBlock:
    if isinstance(block, TextBlock):
        return TextBlock("", UNSET if block.citations is UNSET else [])
    if isinstance(block, ThinkingBlock):
        return ThinkingBlock("", "")
    return ToolUseBlock(block.id, block.name, {})


def _deltas(place: bytes, block: ContentBlock, reply: Reply) -> Iterator[bytes]:
    if isinstance(block, ThinkingBlock):
        yield from _pieces(place, "thinking_delta", "thinking", _words(block.thinking))
        yield from _pieces(place, "signature_delta", "signature", iter((block.signature,)))
    elif isinstance(block, ToolUseBlock):
        yield from _pieces(place, "input_json_delta", "partial_json", _json_pieces(block))
    else:
        for citation in block.citations or ():
            yield _citation(place, citation)
        if reply.unknown_events:
            yield _event("content_block_delta", place + b',"delta":{"type":"emphasis_delta","weight":3}')
        words = (repr(time.monotonic()) + " " for _ in _words(block.text)) if reply.stamped else _words(block.text)
        yield from _pieces(place, "text_delta", "text", words)


def _citation(place: bytes, citation: CharLocation) -> bytes:
    delta = b',"delta":{"type":"citations_delta","citation":' + _encode(citation) + b"}"
    return _event("content_block_delta", place + delta)


def _pieces(place: bytes, kind: str, field: str, pieces: Iterator[str]) -> Iterator[bytes]:
    """A delta for each piece; the bytes around it are made once, since a stream may have tens of thousands."""
    head = _event("content_block_delta", place + b',"delta":{"type":"%b","%b":' % (kind.encode(), field.encode()))
    head, tail = head.removesuffix(b"}\n\n"), b"}}\n\n"
    encode = _encode
    for piece in pieces:
        yield head + encode(piece) + tail


def _words(text: str) -> Iterator[str]:
    return (found[0] for found in _PIECE.finditer(text))


def _json_pieces(block: ToolUseBlock) -> Iterator[str]:
    text = _encode(block.input).decode()
    yield ""
    yield from (text[start : start + _JSON_PIECE] for start in range(0, len(text), _JSON_PIECE))


def _pinged(deltas: Iterator[bytes], every: int) -> Iterator[bytes]:
    for number, delta in enumerate(deltas, start=1):
        yield delta
        if number % every == 0:
            yield PING
