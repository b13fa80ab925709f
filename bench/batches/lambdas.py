"""How long the functions would run on AWS for what was measured here, and how large the template makes them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from bench.measure import Measurement
from local.template import Template

# AWS Lambda: Memory. With so many MB a function has one processor, with fewer a part of it.
_MB_A_PROCESSOR = 1769
# Assumed, on the careful side: what a function moves in a second, what a request to AWS takes, what S3 copies in a
# second over all the parts that are copied at once, and how long Claude takes to accept a batch or begin its results.
BYTES_A_SECOND = 75e6
REQUEST_SECONDS = 0.03
COPIED_BYTES_A_SECOND = 500e6
CLAUDE_SECONDS = 10.0

FUNCTIONS = {
    "plan": ("PlanJob", "PlanJobSource"),
    "submit": ("SubmitShard", "SubmitShardSource"),
    "poll": ("PollBatches", ""),
    "collect": ("CollectShard", "CollectShardSource"),
    "finish": ("FinishJob", "FinishJobSource"),
}
_AWS_REQUESTS = ("s3_get", "s3_put", "dynamodb_read", "dynamodb_write")
_FREE_DISK_MB = 512


@dataclass(frozen=True, slots=True)
class Function:
    """``disk_mb`` beyond what is free; ``side_by_side``: how many of it run at once."""

    memory_mb: int
    disk_mb: int
    side_by_side: int

    def seconds(self, step: Measurement, claude_bytes: float, claude_calls: float) -> float:
        """Return how long the function works in all: what is computed, moved and waited for, one after the other."""
        counts = step.found
        computed = step.cpu_seconds * max(_MB_A_PROCESSOR / self.memory_mb, 1)
        moved = (counts.get("s3_bytes", 0) + claude_bytes) / BYTES_A_SECOND
        copied = counts.get("s3_copied_bytes", 0) / COPIED_BYTES_A_SECOND
        asked = sum(counts.get(each, 0) for each in _AWS_REQUESTS) * REQUEST_SECONDS
        return computed + moved + copied + asked + claude_calls * CLAUDE_SECONDS


def read_function(template: Template, step: str) -> Function:
    """Read how large the function of a step is, and how many of it run at once."""
    name, source = FUNCTIONS[step]
    properties = template.functions[name]
    disk = properties.get("EphemeralStorage", {}).get("Size", _FREE_DISK_MB)
    mapping = template.resources[source]["Properties"] if source else {}
    at_once = mapping.get("ScalingConfig", {}).get("MaximumConcurrency", 1)
    return Function(int(properties["MemorySize"]), int(disk) - _FREE_DISK_MB, _number(template, at_once))


def _number(template: Template, value: Any) -> int:
    """Read a number of the template, which may stand in a parameter: then by its default."""
    return int(template.parameters[value["Ref"]]["Default"] if isinstance(value, dict) else value)
