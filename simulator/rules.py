"""Rules: what they match, and how often they act. Pure."""

import re
import zlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Generic, Literal, TypeVar

from msgspec import Struct

Operation = Literal[
    "messages",
    "count_tokens",
    "models.list",
    "models.retrieve",
    "batches.create",
    "batches.retrieve",
    "batches.list",
    "batches.cancel",
    "batches.delete",
    "batches.results",
    "unknown",
]


class Match(Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """What a rule applies to; all that is given must hold. See the package's docstring."""

    operation: Operation | None = None
    method: str | None = None
    path: str | None = None
    headers: dict[str, str] = {}
    key: str | None = None
    model: str | None = None
    prompt: str | None = None
    stream: bool | None = None
    custom_id: str | None = None


class Rule(Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """When a rule acts: on what, how often, on which share."""

    match: Match = Match()
    times: int | None = None
    skip: int = 0
    share: float = 1.0
    seed: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """What a rule is matched against: a call, or a request in a batch (which has a `custom_id`)."""

    operation: str = ""
    method: str = ""
    path: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)
    key: str = ""
    model: str = ""
    prompt: str = ""
    stream: bool = False
    custom_id: str = ""


R = TypeVar("R", bound=Rule)


@dataclass(slots=True)
class Entry(Generic[R]):
    """A posted rule with its counters."""

    id: str
    rule: R
    matched: int = 0
    acted: int = 0
    hits: dict[int, tuple[int, int]] = field(default_factory=dict)

    def take(self) -> bool:
        """Count one matching call, and return whether the rule acts on it."""
        self.matched += 1
        rule = self.rule
        if self.matched <= rule.skip or (rule.times is not None and self.acted >= rule.times):
            return False
        if not _picked(rule, b"%d" % self.matched):
            return False
        self.acted += 1
        return True

    def take_request(self, identity: int, batch: int) -> bool:
        """The same for a request in a batch; `identity` says which it is, and `times` counts its batches."""
        self.matched += 1
        if self.matched <= self.rule.skip or not _picked(self.rule, b"%d" % identity):
            return False
        if self.rule.times is not None:
            count, last = self.hits.get(identity, (0, 0))
            if batch != last and count >= self.rule.times:
                return False
            self.hits[identity] = (count + (batch != last), batch)
        self.acted += 1
        return True


class RuleBook(Generic[R]):
    """The posted rules, in order."""

    def __init__(self, prefix: str) -> None:
        self._prefix = prefix
        self._numbers = 0
        self.entries: list[Entry[R]] = []

    def add(self, rules: Iterable[R]) -> list[str]:
        """Append rules; returns their ids."""
        added = []
        for rule in rules:
            self._numbers += 1
            added.append(Entry(f"{self._prefix}_{self._numbers}", rule))
        self.entries = [*self.entries, *added]
        return [entry.id for entry in added]

    def clear(self, rule_id: str | None = None) -> None:
        """Forget all rules, or one."""
        self.entries = [entry for entry in self.entries if rule_id is not None and entry.id != rule_id]


def matches(match: Match, subject: Subject) -> bool:
    """Return whether all that `match` asks for holds for `subject`."""
    return (
        (match.operation is None or match.operation == subject.operation)
        and (match.method is None or match.method.upper() == subject.method)
        and (match.path is None or re.fullmatch(match.path, subject.path) is not None)
        and (match.key is None or match.key == subject.key)
        and (match.model is None or match.model == subject.model)
        and (match.prompt is None or match.prompt in subject.prompt)
        and (match.stream is None or match.stream == subject.stream)
        and (match.custom_id is None or re.fullmatch(match.custom_id, subject.custom_id) is not None)
        and all(re.search(value, subject.headers.get(name.lower(), "")) for name, value in match.headers.items())
    )


def _picked(rule: Rule, which: bytes) -> bool:
    return rule.share >= 1.0 or zlib.crc32(which, rule.seed) < rule.share * 2**32
