"""What Claude answered to a task: the message, its text, and what it cost."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

from sluice.access.usage import AnswerUsage
from sluice.claude.events import BYTES_PER_TOKEN
from sluice.claude.prices import estimate_usage
from sluice.claude.usage import ChargedTokens


@dataclass(frozen=True, slots=True)
class Answer:
    """``message`` is Claude's, whole, as it is without streaming; ``cost`` in US dollars, None: unknown."""

    message: Mapping[str, Any]
    request_id: str | None
    cost: float | None

    @classmethod
    def of_message(cls, message: Mapping[str, Any], request_id: str | None) -> Answer:
        usage, container = message.get("usage") or {}, bool(message.get("container"))
        cost = estimate_usage(str(message.get("model")), usage, container=container)
        return cls(message, request_id, None if cost is None else round(cost, 9))

    @property
    def text(self) -> str:
        """Return the text blocks, joined."""
        return "".join(block["text"] for block in self.message.get("content", ()) if block.get("type") == "text")

    @classmethod
    def of_cut_message(cls, message: Mapping[str, Any], request_id: str | None) -> Answer:
        """Read a message whose end did not come. Claude counts its output last of all, so that is estimated."""
        usage = message.get("usage") or {}
        # A cut can leave half of a character, which JSON holds and UTF-8 does not.
        texts = [json.dumps(block, ensure_ascii=False) for block in message.get("content", ())]
        written = sum(len(text.encode(errors="surrogatepass")) for text in texts)
        output = max(usage.get("output_tokens") or 0, written // BYTES_PER_TOKEN)
        return cls.of_message({**message, "usage": {**usage, "output_tokens": output}}, request_id)

    def spent(self, *, succeeded: bool = True) -> AnswerUsage:
        """Return what counts against the budget of a client key."""
        tokens = ChargedTokens.of_usage(self.message.get("usage") or {})
        return AnswerUsage(
            succeeded=succeeded,
            input_tokens=tokens.input,
            output_tokens=tokens.output,
            cache_write_tokens=tokens.cache_write + tokens.cache_write_1h,
            cache_read_tokens=tokens.cache_read,
            cost=self.cost or 0.0,
        )

    def document(self) -> bytes:
        return json.dumps({"message": self.message, "request_id": self.request_id, "cost": self.cost}).encode()

    @classmethod
    def parse(cls, document: bytes) -> Answer:
        """Read what ``document`` wrote."""
        values = json.loads(document)
        # What a newer version has written, and this one is gone back to, is passed over.
        return cls(**{each.name: values[each.name] for each in fields(cls) if each.name in values})
