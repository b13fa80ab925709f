"""What the measurements share: a folder in memory, the simulator, and the steps run in it."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from bench.measure import Measurement, run_measured
from simulator.client import Simulator, running_simulator

_MEMORY = Path("/dev/shm")
# No batch ends by itself while something is measured.
_BATCH_SECONDS = 36_000


@dataclass(frozen=True, slots=True)
class Place:
    """A folder, and a simulator that writes there too."""

    folder: Path
    simulator: Simulator

    def sluice(self, steps: str, account: Path, requests: Path) -> Measurement:
        """Take steps of a job ("plan+submit") in a process of their own."""
        account.mkdir(exist_ok=True)
        return self._run("sluice_steps", steps, account, requests)

    def sdk(self, step: str, *arguments: object) -> Measurement:
        """Run a loop of the SDK's in a process of its own."""
        return self._run("sdk_loops", step, *arguments)

    def wire(self, step: str, argument: object) -> Measurement:
        """Move the bytes alone, in a process of its own."""
        return self._run("bytes_alone", step, argument)

    def _run(self, module: str, step: str, *arguments: object) -> Measurement:
        base_url = self.simulator.base_url
        return run_measured(f"bench.batches.{module}", step, base_url, *arguments, scratch=self.folder)

    def end_batches(self) -> list[str]:
        """Let Claude's time pass: end all batches, and return their ids, oldest first."""
        batches = self.simulator.batches()
        for batch in batches:
            if batch.status != "ended":
                self.simulator.end_batch(batch.id)
        return [batch.id for batch in batches]


@contextmanager
def open_place() -> Iterator[Place]:
    """Files lie in memory where the system offers that, so that no disk is measured."""
    parent = _MEMORY if _MEMORY.is_dir() else None
    with tempfile.TemporaryDirectory(dir=parent) as name:
        folder = Path(name)
        with running_simulator(batch_seconds=_BATCH_SECONDS, data_dir=folder) as simulator:
            yield Place(folder, simulator)
