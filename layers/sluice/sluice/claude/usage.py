"""What an answer reports of its use, read into what is charged for. Pure; stands on the standard library alone.

An answer may have used more than its own tokens (Claude API: Messages, usage; beta: iterations): those of an advisor's
model, of a compaction or of a fallback, web searches, a container. What is reported in a form that is not known counts
nothing here.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

# Their tokens are not among those at the top.
_APART = frozenset({"compaction", "advisor_message"})


@dataclass(frozen=True, slots=True)
class ChargedTokens:
    """Tokens of one model, by what they cost. ``cache_write`` are those kept for five minutes."""

    input: int = 0
    output: int = 0
    cache_write: int = 0
    cache_write_1h: int = 0
    cache_read: int = 0

    @property
    def prompt(self) -> int:
        """How long the prompt was, which decides on the price with some models."""
        return self.input + self.cache_write + self.cache_write_1h + self.cache_read

    @classmethod
    def of_usage(cls, usage: Mapping[str, Any]) -> ChargedTokens:
        """Read a ``usage`` object, or one of its iterations."""
        written = read_count(usage, "cache_creation_input_tokens")
        detail = usage.get("cache_creation")
        for_an_hour = read_count(detail, "ephemeral_1h_input_tokens") if isinstance(detail, Mapping) else 0
        return cls(
            input=read_count(usage, "input_tokens"),
            output=read_count(usage, "output_tokens"),
            cache_write=max(written - for_an_hour, 0),
            cache_write_1h=for_an_hour,
            cache_read=read_count(usage, "cache_read_input_tokens"),
        )


def parts_of_usage(model: str, usage: Mapping[str, Any]) -> tuple[list[tuple[str, ChargedTokens]], ...]:
    """Return the ways to read a usage, each as tokens by model; what is charged is the dearest of them.

    The API does not say of each kind of iteration whether its tokens are among those at the top. So either the top
    counts, with what is known to stand apart, or all iterations do.
    """
    top = [(model, ChargedTokens.of_usage(usage))]
    apart, every = [], []
    for kind, named, tokens in _iterations(usage):
        every.append((named or model, tokens))
        if kind in _APART:
            apart.append((named or model, tokens))
    return (top + apart, every)


def count_searches(usage: Mapping[str, Any]) -> int:
    """Return how many web searches were made; each is charged for (Claude API: Web search tool)."""
    used = usage.get("server_tool_use")
    return read_count(used, "web_search_requests") if isinstance(used, Mapping) else 0


def read_count(values: Mapping[str, Any], name: str) -> int:
    """Read a count; 0 where there is none."""
    value = values.get(name)
    return value if isinstance(value, int) and value > 0 else 0


def _iterations(usage: Mapping[str, Any]) -> Iterator[tuple[str, str, ChargedTokens]]:
    iterations = usage.get("iterations")
    for each in iterations if isinstance(iterations, list) else ():
        if isinstance(each, Mapping):
            named = each.get("model")
            yield str(each.get("type")), named if isinstance(named, str) else "", ChargedTokens.of_usage(each)
