"""One stack for all tests that ask for it: the template as it is built and deployed, with the simulator behind it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing

import pytest

from local.options import Options
from local.stack import Stack, running_stack
from local.template import ROOT
from simulator.client import Simulator
from sluice.access.store import KeyStore
from tests.e2e.doors import Doors

STATE_DIR = ROOT / ".local/e2e"

# Small enough that a file of some thousand lines has several shards, and that each limit is met.
PARAMETERS = {
    "MaxShardRequests": "1500",
    "MaxShardBytes": "1000000",
    "MaxWaves": "3",
    "StuckAfterMinutes": "1",
    "ConnectRetrySeconds": "3",
}


@pytest.fixture(scope="session")
def stack() -> Iterator[Stack]:
    """The deployed stack."""
    with running_stack(Options(state_dir=STATE_DIR, parameters=PARAMETERS)) as stack:
        yield stack


@pytest.fixture(scope="session")
def claude_of_stack(stack: Stack) -> Iterator[Simulator]:
    """The simulator of the stack, whose batches take a moment."""
    with closing(Simulator(stack.facts.claude_base_url)) as simulator:
        simulator.set(batch_seconds=0.3)
        yield simulator


@pytest.fixture(scope="session")
def revoked_key(stack: Stack, claude_of_stack: Simulator) -> str:
    """A key that was used, and then revoked when the tests began, so that no test has to wait for the doors to see."""
    with closing(Doors(stack, claude_of_stack)) as doors:
        key = doors.make_key("soon revoked")
        headers = {"x-api-key": key.text}
        for door, path in ((doors.streams, "/v1/models"), (doors.api, "/v1/tasks")):
            assert door.get(path, headers=headers).status_code == 200
        KeyStore(doors.table).revoke(key.id)
        return key.text


@pytest.fixture(scope="session")
def doors(stack: Stack, claude_of_stack: Simulator, revoked_key: str) -> Iterator[Doors]:
    """The doors of the stack, and the simulator."""
    with closing(Doors(stack, claude_of_stack)) as doors:
        yield doors


@pytest.fixture
def simulator(doors: Doors) -> Iterator[Simulator]:
    """The simulator, without a fault or an answer that another test has scripted."""
    yield doors.simulator
    doors.simulator.heal()
    doors.simulator.forget_answers()
