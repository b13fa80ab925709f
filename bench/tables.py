"""Results as Markdown, with the machine and the day that they are from."""

from __future__ import annotations

import os
import platform
import shlex
import sys
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from pathlib import Path


def table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Write a table; the first column to the left, numbers to the right."""
    lines = [header, ["---", *["--:"] * (len(header) - 1)], *rows]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def provenance(command: Sequence[str]) -> str:
    """Return in a line where and when the figures were measured, and how to measure them again."""
    version = ".".join(map(str, sys.version_info[:3]))
    machine = f"{_processor()}, {os.cpu_count()} processors, {platform.system()}, Python {version}"
    return f"`{shlex.join(command)}` on {datetime.now(UTC):%Y-%m-%d}; {machine}."


def _processor() -> str:
    known = Path("/proc/cpuinfo")
    if known.exists():
        for line in known.read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(": ")[2]
    return platform.machine()


def ratio(value: float) -> str:
    return f"{value:.1f} x" if value < 100 else f"{value:.0f} x"


def seconds(value: float) -> str:
    """Write a time with three digits that matter."""
    return f"{value:.3g} s" if value < 100 else f"{value:,.0f} s"


def span(value: float) -> str:
    """Write a time as a person says it."""
    for unit, length in (("d", 86_400), ("h", 3600), ("min", 60)):
        if value >= 2 * length:
            return f"{value / length:.1f} {unit}"
    return f"{value:.0f} s"


def megabytes(value: float) -> str:
    return f"{value / 1e6:.1f} MB"
