"""One step in a process of its own: the seconds it takes, and the most memory it ever has."""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from time import perf_counter

import msgspec


class Measurement(msgspec.Struct, frozen=True):
    """``peak_bytes`` from the start of the process on, of which it had ``idle_bytes`` once all was imported.

    ``cpu_seconds`` are those of the process alone; ``found`` is what the step has to say besides.
    """

    seconds: float
    cpu_seconds: float
    peak_bytes: int
    idle_bytes: int
    found: dict[str, float]


def peak_bytes() -> int:
    """Ask the system for the most memory that this process ever had in RAM.

    Linux: ``ru_maxrss`` would count the parent's memory, which a new process has until it starts its own program.
    """
    status = Path("/proc/self/status")
    if status.exists():
        line = next(line for line in status.read_text().splitlines() if line.startswith("VmHWM"))
        return int(line.split()[1]) * 1024
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


def print_measured(step: Callable[[], Mapping[str, float]]) -> None:
    """Run a step that is all set to go, and print what ``run_measured`` reads."""
    idle, cpu, begun = peak_bytes(), _cpu_seconds(), perf_counter()
    found = step()
    seconds = perf_counter() - begun
    print(
        json.dumps(
            {
                "seconds": seconds,
                "cpu_seconds": _cpu_seconds() - cpu,
                "peak_bytes": peak_bytes(),
                "idle_bytes": idle,
                "found": dict(found),
            }
        )
    )


def run_measured(module: str, *arguments: object, scratch: Path | None = None) -> Measurement:
    """Run a module that prints what it measured; ``scratch`` is where its temporary files go.

    Raises CalledProcessError where it fails.
    """
    command = [sys.executable, "-m", module, *map(str, arguments)]
    environment = os.environ | ({"TMPDIR": str(scratch)} if scratch else {})
    answer = subprocess.run(command, check=True, stdout=subprocess.PIPE, env=environment)
    return msgspec.json.decode(answer.stdout.splitlines()[-1], type=Measurement)


def _cpu_seconds() -> float:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime
