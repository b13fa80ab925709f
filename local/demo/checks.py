"""What the demo has to have seen, for it to be called a success."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


class FellShort(Exception):
    """What was promised and did not happen."""


@dataclass(frozen=True, slots=True)
class Expected:
    """What has to become of the file; ``later_wave`` counts requests that come back after the first wave."""

    lines: int
    rejected: int
    errored: int = 0
    later_wave: int = 0

    @property
    def succeeded(self) -> int:
        return self.lines - self.rejected - self.errored


def check_summary(summary: Mapping[str, Any], expected: Expected) -> None:
    """Raise FellShort where the job's summary is not what had to come of the file."""
    wanted = {
        "lines": expected.lines,
        "succeeded": expected.succeeded,
        "errored": expected.errored,
        "rejected": expected.rejected,
    }
    for name, number in wanted.items():
        if summary[name] != number:
            raise FellShort(f"{summary[name]} lines are {name}, and it should have been {number}.")
    if not summary["totals"]["balanced"]:
        raise FellShort(f"The counts do not add up: {summary['totals']['equation']}.")
    later = sum(wave["succeeded"] for wave in summary["waves"] if wave["wave"] > 0)
    if later != expected.later_wave:
        raise FellShort(f"{later} requests came back in a later wave, and it should have been {expected.later_wave}.")
