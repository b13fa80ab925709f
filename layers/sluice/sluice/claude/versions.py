"""Which version of the API a request is sent under: one rule for all doors. Pure; the standard library alone.

What the caller names counts: a header ``anthropic-version``, or ``anthropic_version`` in a ``sluice.yaml``. Otherwise
it is the newest that Sluice knows, unless the request has params that this one refuses and the one before takes.
"""

from __future__ import annotations

from collections.abc import Iterable

# Claude API: Versioning. From the newest on, parameters of sampling are refused, whatever they say.
NEWEST_VERSION, OLDER_VERSION = "2026-10-21", "2023-06-01"
SAMPLING = ("temperature", "top_p", "top_k")


def needs_older(params: Iterable[str]) -> bool:
    """Return whether among the names of params is one that only the older version takes."""
    return not set(SAMPLING).isdisjoint(params)


def version_for(params: Iterable[str], named: str | None = None) -> str:
    """Return the version to send a request under; ``named`` is the one that the caller names, if any."""
    return named or (OLDER_VERSION if needs_older(params) else NEWEST_VERSION)
