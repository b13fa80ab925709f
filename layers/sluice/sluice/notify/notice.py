"""What a notice is, and how it is written for SNS."""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

# SNS: Publish. A subject is ASCII, without line breaks, of fewer than 100 characters.
MAX_SUBJECT = 99
# SNS: Message size. The message in all its copies, and the attributes: names, types and values.
MAX_MESSAGE_BYTES = 256 * 1024
# What JSON may hold and a queue, as XML, may not (SQS: SendMessage): written as an escape.
_UNSAYABLE = re.compile(r"[^\x20-\x7e\s]+")
# What has no ASCII letter below its marks.
_LATIN = str.maketrans(
    {"ß": "ss", "ẞ": "SS", "æ": "ae", "Æ": "AE", "œ": "oe", "Œ": "OE", "ø": "o", "Ø": "O", "ł": "l", "Ł": "L"}
    | {"đ": "d", "Đ": "D", "ð": "d", "Ð": "D", "þ": "th", "Þ": "Th", "ı": "i", "ħ": "h", "Ħ": "H"}
    | {"–": "-", "—": "-", "‐": "-", "‘": "'", "’": "'", "“": '"', "”": '"', "„": '"', "«": '"', "»": '"', "\xa0": " "}
)
_NOT_FOR_QUEUES = re.compile("[\ud800-\udfff\ufffe\uffff]")


@dataclass(frozen=True, slots=True)
class Notice:
    """What happened: ``text`` for a person's mail, ``detail`` for machines, ``attributes`` to filter on.

    ``detail_type`` is the EventBridge name, such as "Sluice Job Finished". ``mail_subject`` is what ``subject`` says in
    ASCII; empty: as ``subject_line`` writes it.
    """

    subject: str
    text: str
    detail: Mapping[str, Any]
    detail_type: str
    attributes: Mapping[str, str] = field(default_factory=dict)
    mail_subject: str = ""

    def message(self) -> str:
        """Write the message in a copy for each protocol (SNS: Publish, MessageStructure)."""
        # The text travels with the machine's copy too: a bot that passes notices on needs no words of its own.
        machine = _encode({**self.detail, "subject": " ".join(self.subject.split()), "text": self.text})
        copies = {"default": self.text, "email": self.text, "email-json": machine}
        return _encode(copies | dict.fromkeys(("sqs", "lambda", "http", "https", "firehose"), machine))

    def message_attributes(self) -> dict[str, Any]:
        return {name: {"DataType": "String", "StringValue": value} for name, value in self.attributes.items() if value}

    def fits_topic(self) -> bool:
        """Return whether SNS would take the notice, by its size."""
        named = "".join(f"{name}String{value}" for name, value in self.attributes.items())
        return len(self.message().encode()) + len(named.encode()) <= MAX_MESSAGE_BYTES


def one_line(text: str, most: int = 1024) -> str:
    """Write on one line what a stranger has written, so that none of it reads as ours; cut at ``most`` characters.

    An object's name has 1024 bytes at most (S3: Object key names), so that it stays whole.
    """
    shown = "".join(each if each.isprintable() else f"\\u{ord(each):04x}" for each in text[: most + 1])
    return shown if len(shown) <= most else shown[: most - 3] + "..."


def sayable(text: str) -> str:
    """Write Latin letters in ASCII; letters of other alphabets stay as they are."""
    pieces = (_without_marks(character) for character in text.translate(_LATIN))
    return "".join(pieces)


def _without_marks(character: str) -> str:
    plain = unicodedata.normalize("NFKD", character).encode("ascii", "ignore").decode()
    return plain or ("" if unicodedata.combining(character) else character)


def _encode(value: Mapping[str, Any]) -> str:
    """Write JSON in the letters of its text: an escape takes six bytes for the two of most alphabets, in each copy."""
    text = json.dumps(value, ensure_ascii=False)
    return _NOT_FOR_QUEUES.sub(lambda found: f"\\u{ord(found[0]):04x}", text)


def subject_line(text: str) -> str:
    """Fit a subject to what SNS takes: ASCII, one line, fewer than 100 characters.

    Latin letters lose their marks; what ASCII has nothing like is left out, with dots in its place.
    """
    plain = " ".join(_UNSAYABLE.sub("...", sayable(text)).split())
    return plain if len(plain) <= MAX_SUBJECT else plain[: MAX_SUBJECT - 3] + "..."
