"""One simulator for all tests of jobs, emptied for each, and a world around it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from simulator.client import Simulator, running_simulator
from tests.integration.jobs.world import World, new_world


@pytest.fixture(scope="session")
def one_simulator() -> Iterator[Simulator]:
    with running_simulator() as simulator:
        yield simulator


@pytest.fixture
def world(one_simulator: Simulator) -> Iterator[World]:
    with new_world(one_simulator) as world:
        yield world
