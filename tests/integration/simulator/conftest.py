"""One simulator for all tests of this folder, reset before each; and clients, which take long to make."""

from collections.abc import Iterator

import anthropic
import httpx2
import pytest

from simulator.client import Simulator, running_simulator


@pytest.fixture(scope="session")
def started_simulator() -> Iterator[Simulator]:
    with running_simulator(speed=0) as simulator:
        yield simulator


@pytest.fixture(autouse=True)
def simulator(started_simulator: Simulator) -> Simulator:
    """Its clock stands still, and its batches end when they are next looked at."""
    started_simulator.reset()
    return started_simulator


@pytest.fixture(scope="session")
def claude(started_simulator: Simulator) -> Iterator[anthropic.Anthropic]:
    """The SDK, which here checks every answer against its own types, and does not repeat calls."""
    with anthropic.Anthropic(
        base_url=started_simulator.base_url,
        api_key=started_simulator.api_key,
        max_retries=0,
        timeout=20,
        _strict_response_validation=True,
    ) as client:
        yield client


@pytest.fixture(scope="session")
def http(started_simulator: Simulator) -> Iterator[httpx2.Client]:
    """Plain HTTP with good headers."""
    headers = {"x-api-key": started_simulator.api_key, "anthropic-version": "2026-10-21"}
    with httpx2.Client(base_url=started_simulator.base_url, headers=headers, timeout=20, trust_env=False) as client:
        yield client
