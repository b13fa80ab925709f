"""Moments as text."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Literal, overload

Precision = Literal["seconds", "milliseconds"]


@overload
def rfc3339(moment: float, precision: Precision = ...) -> str: ...


@overload
def rfc3339(moment: None, precision: Precision = ...) -> None: ...


def rfc3339(moment: float | None, precision: Precision = "milliseconds") -> str | None:
    """Write epoch seconds as RFC 3339, in UTC with a Z at the end; None stays None."""
    if moment is None:
        return None
    return datetime.fromtimestamp(moment, UTC).isoformat(timespec=precision).replace("+00:00", "Z")
