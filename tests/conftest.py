"""What all tests share: no unit test reaches a network, and no test sees the credentials of the machine."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

ROOT = Path(__file__).resolve().parents[1]
UNIT = ROOT / "tests" / "unit"

_CREDENTIALS = {
    "AWS_ACCESS_KEY_ID": "test",
    "AWS_SECRET_ACCESS_KEY": "test",
    "AWS_DEFAULT_REGION": "us-east-1",
    "AWS_REGION": "us-east-1",
    "AWS_EC2_METADATA_DISABLED": "true",
}


# How long an example takes says something of the machine alone.
settings.register_profile("sluice", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("sluice")


@pytest.fixture(autouse=True, scope="session")
def no_real_account() -> Iterator[None]:
    """Stand in for any credentials that the machine holds."""
    with pytest.MonkeyPatch.context() as patch:
        for name in [name for name in os.environ if name.startswith(("AWS_", "ANTHROPIC_", "SLUICE_"))]:
            patch.delenv(name)
        for name, value in _CREDENTIALS.items():
            patch.setenv(name, value)
        yield


@pytest.fixture(autouse=True)
def no_network_in_unit_tests(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Refuse to connect anywhere from tests/unit, so that a unit test cannot come to depend on a server."""
    if UNIT not in request.path.parents:
        return

    def refuse(self: socket.socket, address: object) -> None:
        if self.family == socket.AF_UNIX:
            return
        raise AssertionError(f"A unit test wants to connect to {address}.")

    monkeypatch.setattr(socket.socket, "connect", refuse)
