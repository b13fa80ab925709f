"""What a notice is, and how it is written for SNS."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

# SNS: Publish. A subject is ASCII, without line breaks, of fewer than 100 characters.
MAX_SUBJECT = 99
# SNS: Message size. The message in all its copies, and the attributes: names, types and values.
MAX_MESSAGE_BYTES = 256 * 1024
# What JSON may hold and a queue, as XML, may not (SQS: SendMessage): written as an escape.
_NOT_FOR_QUEUES = re.compile("[\ud800-\udfff\ufffe\uffff]")


@dataclass(frozen=True, slots=True)
class Notice:
    """What happened: ``text`` for a person's mail, ``detail`` for machines, ``attributes`` to filter on.

    ``detail_type`` is the EventBridge name, such as "Sluice Job Finished".
    """

    subject: str
    text: str
    detail: Mapping[str, Any]
    detail_type: str
    attributes: Mapping[str, str] = field(default_factory=dict)

    def message(self) -> str:
        """Write the message in a copy for each protocol (SNS: Publish, MessageStructure)."""
        # The text travels with the machine's copy too: a bot that passes notices on needs no words of its own.
        machine = _encode({**self.detail, "subject": subject_line(self.subject), "text": self.text})
        copies = {"default": self.text, "email": self.text, "email-json": machine}
        return _encode(copies | dict.fromkeys(("sqs", "lambda", "http", "https", "firehose"), machine))

    def message_attributes(self) -> dict[str, Any]:
        return {name: {"DataType": "String", "StringValue": value} for name, value in self.attributes.items() if value}

    def fits_topic(self) -> bool:
        """Return whether SNS would take the notice, by its size."""
        named = "".join(f"{name}String{value}" for name, value in self.attributes.items())
        return len(self.message().encode()) + len(named.encode()) <= MAX_MESSAGE_BYTES


def _encode(value: Mapping[str, Any]) -> str:
    """Write JSON in the letters of its text: an escape takes six bytes for the two of most alphabets, in each copy."""
    text = json.dumps(value, ensure_ascii=False)
    return _NOT_FOR_QUEUES.sub(lambda found: f"\\u{ord(found[0]):04x}", text)


def subject_line(text: str) -> str:
    """Fit a subject to what SNS takes: ASCII, one line, fewer than 100 characters."""
    plain = " ".join(text.encode("ascii", "replace").decode().split())
    return plain if len(plain) <= MAX_SUBJECT else plain[: MAX_SUBJECT - 3] + "..."
