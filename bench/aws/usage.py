"""What AWS would bill of what was asked of it."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field


@dataclass(slots=True)
class Usage:
    """Requests by what they are billed as; for DynamoDB, request units. The words are those of ``prices.json``."""

    counts: defaultdict[str, float] = field(default_factory=lambda: defaultdict(float))

    def add(self, what: str, amount: float = 1) -> None:
        self.counts[what] += amount
