"""A whole streaming door on this machine: simulator, table, secret, and the function behind a Function URL."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import httpx2
import pytest

from local.function_url import running_function_url
from simulator.client import Simulator, running_simulator
from sluice.access.store import KeyStore, KeyTerms
from sluice.aws.dynamodb import Table
from sluice.aws.sigv4 import Credentials
from sluice.aws.stdlib_client import AwsAccess, DynamoDb
from tests.integration.streams.door import FUNCTION_NAME, MODEL, Aws, DoorMaker, StreamDoor, client_at
from tests.world.aws import REGION, STACK, create_resources
from tests.world.moto_server import watched_moto_server
from tests.world.rights import Rights

FUNCTION = Path(__file__).resolve().parents[3] / "functions" / FUNCTION_NAME


@pytest.fixture(scope="session")
def aws() -> Iterator[Aws]:
    made: list[Aws] = []

    def watch(signer: str, name: str, params: Mapping[str, Any]) -> None:
        if signer == FUNCTION_NAME:
            made[0].rights.watch_function(signer, name, params)

    with watched_moto_server(watch) as endpoint_url:
        access = AwsAccess(REGION, Credentials("test", "test"), endpoint_url)
        parameters = {"AuthMode": "keys", "DefaultModel": MODEL, "ConnectRetrySeconds": "3"}
        resources = create_resources(parameters, partial(client_at, endpoint_url))
        made.append(Aws(endpoint_url, access, Table(DynamoDb(access), STACK), resources, Rights(resources)))
        yield made[0]


@pytest.fixture(autouse=True)
def within_its_policies(request: pytest.FixtureRequest) -> Iterator[None]:
    """Fail a test in which the function makes a call that its policies do not allow."""
    yield
    if "aws" in request.fixturenames:
        request.getfixturevalue("aws").rights.check()


@pytest.fixture(scope="session")
def running() -> Iterator[Simulator]:
    with running_simulator() as simulator:
        yield simulator


@pytest.fixture
def simulator(running: Simulator) -> Simulator:
    running.reset()
    return running


@pytest.fixture(scope="session")
def make_stack(aws: Aws, running: Simulator, tmp_path_factory: pytest.TempPathFactory) -> DoorMaker:
    @contextmanager
    def make(
        *, copies: int = 6, timeout_seconds: float = 60.0, stop_on_disconnect: bool = False, **settings: str
    ) -> Iterator[StreamDoor]:
        log_dir = tmp_path_factory.mktemp("logs")
        environment = {
            **aws.environment,
            "SLUICE_CLAUDE_BASE_URL": running.base_url,
            **{f"SLUICE_{name.upper()}": value for name, value in settings.items()},
        }
        key = KeyStore(aws.table).create(KeyTerms("tests")).text
        with (
            running_function_url(
                task_root=FUNCTION,
                environment=environment,
                copies=copies,
                timeout_seconds=timeout_seconds,
                log_dir=log_dir,
                stop_on_disconnect=stop_on_disconnect,
            ) as url,
            httpx2.Client(timeout=60, trust_env=False, verify=False) as client,
        ):
            yield StreamDoor(url, key, running, aws, log_dir, client)

    return make


@pytest.fixture(scope="session")
def shared_stack(make_stack: DoorMaker) -> Iterator[StreamDoor]:
    settings = {
        "ping_timeout_seconds": "0.6",
        "content_timeout_seconds": "1.2",
        "connect_retry_seconds": "1.5",
        "allowed_origins": "https://app.example",
    }
    with make_stack(timeout_seconds=6.0, **settings) as stack:
        yield stack


@pytest.fixture
def stack(shared_stack: StreamDoor, simulator: Simulator) -> StreamDoor:
    assert simulator is shared_stack.simulator
    return shared_stack


@pytest.fixture(scope="session")
def shared_kept_stack(make_stack: DoorMaker) -> Iterator[StreamDoor]:
    with make_stack(stop_on_disconnect=True) as stack:
        yield stack


@pytest.fixture
def kept(shared_kept_stack: StreamDoor, simulator: Simulator) -> StreamDoor:
    """A stack with patient clocks, whose function sees that its client has gone."""
    assert simulator is shared_kept_stack.simulator
    return shared_kept_stack
