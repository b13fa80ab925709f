"""The benchmark of the batch door still runs, and prints its tables. What it measures is not looked at."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
TITLES = (
    "## Side by side: 5,000 requests of 1.1 kB",
    "## Memory of each step",
    "## 10,000 requests through the whole path",
    "## Cost of a million requests, but for Claude",
    "## Growth to a billion",
    "## Standing cost",
)


@pytest.mark.timeout(400)
def test_the_quick_benchmark_of_batches_prints_all_of_its_tables() -> None:
    environment = os.environ | {"PYTHONPATH": os.pathsep.join((str(ROOT), str(ROOT / "layers" / "sluice")))}
    command = [sys.executable, "-m", "bench", "batches", "--quick"]

    run = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)

    assert run.returncode == 0, run.stderr
    assert [title for title in TITLES if title not in run.stdout.splitlines()] == []
    for row in ("| **Sluice**: plan and submit |", "| plan |", "| collect |", "| 1,000,000,000 |"):
        assert row in run.stdout
