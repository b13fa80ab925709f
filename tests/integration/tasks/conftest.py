"""The whole task door in one process: its handlers, an AWS of moto, Claude's simulator and a receiver over HTTP."""

from __future__ import annotations

import ssl
import threading
import time
from collections.abc import Iterator
from functools import cache
from typing import Any

import boto3
import httpx2
import pytest
from moto import mock_aws
from moto.core.botocore_stubber import BotocoreStubber

from simulator.client import Simulator, running_simulator
from tests.world.aws import create_resources
from tests.world.calls import watched_aws
from tests.world.queues import Queues
from tests.world.rights import Rights

from .door import Deployment, TaskDoor, load_handlers
from .receiver import Receiver, running_receiver
from .resources import environment_of, subscribe_queue


@pytest.fixture(scope="session")
def claude() -> Iterator[Simulator]:
    with running_simulator() as simulator:
        yield simulator


@pytest.fixture
def simulator(claude: Simulator) -> Simulator:
    claude.reset()
    return claude


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with running_receiver() as receiver:
        yield receiver


@pytest.fixture(scope="session", autouse=True)
def one_at_a_time() -> Iterator[None]:
    """Let moto answer one call at a time: unlike DynamoDB, it does not hold a condition and its write together."""
    lock = threading.Lock()
    answer = BotocoreStubber.__call__

    def answer_alone(*args: Any, **kwargs: Any) -> Any:
        with lock:
            return answer(*args, **kwargs)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(BotocoreStubber, "__call__", answer_alone)
        yield


@pytest.fixture(scope="module")
def connections() -> Iterator[None]:
    """Close the connections to Claude, which a function keeps for as long as it lives."""
    opened: list[httpx2.Client] = []

    class Client(httpx2.Client):
        def __init__(self, **kwargs: Any) -> None:
            super().__init__(**kwargs)
            opened.append(self)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(httpx2, "Client", Client)
        yield
    for client in opened:
        client.close()


@pytest.fixture(scope="module")
def deployment(claude: Simulator, connections: None) -> Iterator[Deployment]:
    """Make the resources and load the functions once for all tests of a file; cold starts are what takes the time."""
    with mock_aws(), watched_aws() as calls, pytest.MonkeyPatch.context() as patch:
        # Clients, sessions and TLS contexts have no state, and making them is nearly all that a cold start costs.
        patch.setattr(boto3.Session, "client", cache(boto3.Session.client))
        patch.setattr(boto3, "Session", cache(boto3.Session))
        patch.setattr(boto3, "DEFAULT_SESSION", None)
        patch.setattr(ssl, "create_default_context", cache(ssl.create_default_context))
        parameters = {"ClaudeBaseUrl": claude.base_url, "CallbackLocal": "http://127.0.0.1", "Operators": "ada"}
        resources = create_resources(parameters)
        notices_url = subscribe_queue(resources)
        environment = environment_of(resources)
        for name, value in environment.items():
            patch.setenv(name, value)
        queues = Queues(resources.queue_named, time.time)
        rights = Rights(resources)
        deployment = Deployment(resources, environment, notices_url, load_handlers(), calls, queues, rights)
        calls.listeners += [queues.record_call, deployment.record_event]
        calls.watchers.append(rights.watch)
        yield deployment


@pytest.fixture
def stack(deployment: Deployment, simulator: Simulator, receiver: Receiver) -> Iterator[TaskDoor]:
    stack = TaskDoor(simulator, receiver, deployment)
    yield stack
    stack.clear()
