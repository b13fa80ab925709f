"""Taking up an answer that was cut. Pure.

Current models refuse a prefilled answer, so the partial text goes back as a turn of its own, and a user message quotes
its end and asks for the rest (Claude API: Streaming, error recovery). Text can be taken up; thinking, which is signed,
and tool use, which somebody may act on, cannot: they are not made up.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sluice.claude.events import Event, parse_frame
from sluice.streams.encoding import whole_characters
from sluice.streams.errors import StreamCut

_QUOTED_CHARACTERS = 400
_MARK = "sluice_continued"
# What the keeper writes before each frame. An "id:" behind it is the frame's own, and may be anything.
_KEPT_ID = re.compile(rb"id: ([0-9]{1,10})\n")
# Claude API: Streaming, ping events. Every client passes over them.
PING = b'event: ping\ndata: {"type": "ping"}\n\n'


@dataclass(slots=True)
class PartialBlock:
    """A content block, as far as it has come. Only text is kept."""

    kind: str
    text: str = ""
    complete: bool = False


@dataclass(slots=True)
class PartialAnswer:
    """An answer, as far as it has come."""

    started: bool = False
    blocks: list[PartialBlock] = field(default_factory=list)
    ended: bool = False

    @classmethod
    def of_frames(cls, frames: Iterable[bytes]) -> PartialAnswer:
        """Read the frames that have passed, marks of earlier continuations among them."""
        partial = cls()
        for frame in frames:
            event = parse_frame(frame)
            if event is not None:
                partial._take(event)
        return partial

    @property
    def text(self) -> str:
        """All text so far."""
        return whole_characters("".join(block.text for block in self.blocks))

    def check_continuable(self) -> None:
        """Raise StreamCut where the answer cannot be taken up."""
        kinds = {block.kind for block in self.blocks}
        if "tool_use" in kinds:
            raise StreamCut("not_continuable", "The answer was cut after it had begun to use a tool; ask again.")
        if self.blocks and self.blocks[-1].kind != "text":
            kind = self.blocks[-1].kind
            raise StreamCut("not_continuable", f"The answer was cut in a block of type {kind}; ask again.")

    def continued_params(self, params: Mapping[str, Any]) -> dict[str, Any]:
        """Return the request that asks for the rest; the same request where there is no text yet."""
        text = self.text.rstrip()
        if not text:
            return dict(params)
        turns = [{"role": "assistant", "content": text}, {"role": "user", "content": _request_for_rest(text)}]
        return {**params, "messages": [*params.get("messages", ()), *turns]}

    def _take(self, event: Event) -> None:
        match event.name:
            case "message_start":
                self.started = True
            case "content_block_start":
                block = _object(event.decode().get("content_block"))
                self.blocks.append(PartialBlock(str(block.get("type")), str(block.get("text") or "")))
            case "content_block_delta" if self.blocks:
                delta = _object(event.decode().get("delta"))
                if delta.get("type") == "text_delta":
                    self.blocks[-1].text += str(delta.get("text") or "")
            case "content_block_stop" if self.blocks:
                self.blocks[-1].complete = True
            case "message_delta":
                self.ended = True


class Splice:
    """Makes the events of a continuation follow on those that came before, as one message."""

    def __init__(self, partial: PartialAnswer) -> None:
        self._started = partial.started
        self._next = len(partial.blocks)
        self._open = bool(partial.blocks) and not partial.blocks[-1].complete
        self._offset: int | None = None

    def join(self, frames: Sequence[bytes]) -> list[bytes]:
        """Return the frames as they go on, fewer or more than those that came."""
        joined: list[bytes] = []
        for frame in frames:
            event = parse_frame(frame)
            if event is None or not event.name.startswith("content_block_"):
                if not (event is not None and event.name == "message_start" and self._started):
                    joined.append(frame)
                continue
            joined += self._join_block_event(event, frame)
        return joined

    def _join_block_event(self, event: Event, frame: bytes) -> list[bytes]:
        data = event.decode()
        before: list[bytes] = []
        if self._offset is None:
            index = _index(data)
            continues = self._open and _object(data.get("content_block")).get("type") == "text"
            self._offset = self._next - index - (1 if continues else 0)
            if continues:
                return before
            if self._open:
                before.append(_frame("content_block_stop", {"type": "content_block_stop", "index": self._next - 1}))
        if self._offset == 0:
            return [*before, frame]
        return [*before, _frame(event.name, {**data, "index": _index(data) + self._offset})]


def continued_mark(stream_id: str, after: int, reason: str) -> bytes:
    """Return the event that marks a continuation: what stands behind the event ``after`` comes from a new request.

    It comes as a ping, which every client passes over; some break at an event whose type they do not know. A client
    that has seen events with higher ids than ``after`` before this mark drops them: they were lost.
    """
    return _frame("ping", {"type": "ping", _MARK: {"stream_id": stream_id, "after": after, "reason": reason}})


def last_event(frames: Sequence[bytes]) -> Event | None:
    """Return the last of the events that are kept, comments left out; None where there is none."""
    return next((event for frame in reversed(frames) if (event := parse_frame(frame)) is not None), None)


def last_id(frames: Sequence[bytes]) -> int:
    """Return the id of the last of the frames that are kept, be it a comment; 0 where there is none."""
    found = next((match for frame in reversed(frames) if (match := _KEPT_ID.match(frame))), None)
    return int(found[1]) if found else 0


def ending_frames(partial: PartialAnswer) -> list[bytes]:
    """Return what is missing of an answer that Claude had ended, but for its last event."""
    return [_frame("message_stop", {"type": "message_stop"})] if partial.ended else []


def _request_for_rest(text: str) -> str:
    return (
        "Your previous answer was interrupted and ended with:\n\n"
        f"{text[-_QUOTED_CHARACTERS:]}\n\n"
        "Continue from exactly where it left off, in the middle of a word or a sentence if that is where it ends. "
        "Repeat nothing of it, and do not introduce the rest."
    )


def _frame(name: str, data: Mapping[str, Any]) -> bytes:
    # Half a surrogate pair, which UTF-8 does not have, goes on as the escape that it came as.
    text = json.dumps(data, ensure_ascii=False, separators=(",", ":"))
    return f"event: {name}\ndata: {text}\n\n".encode("utf-8", "backslashreplace")


def _object(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _index(data: Mapping[str, Any]) -> int:
    index = data.get("index")
    return index if isinstance(index, int) else 0
