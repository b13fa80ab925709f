"""What Claude was paid for is written down, if AWS takes it at all."""

from __future__ import annotations

import time
from typing import Any

import pytest
from botocore.client import BaseClient
from botocore.exceptions import ReadTimeoutError

from sluice.access.store import KeyStore, KeyTerms
from sluice.access.usage import month_of, read_usage
from sluice.aws.dynamodb import Table
from sluice.errors import AwsError, AwsUnavailable
from sluice.tasks.services import TaskServices
from sluice.tasks.table import Payloads
from sluice.tasks.worker import Worker

from .door import TaskDoor


@pytest.fixture
def slept(stack: TaskDoor, monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Let workers wait without waiting: their clock goes on by as much."""
    slept: list[float] = []
    make = TaskServices.worker

    def worker(services: TaskServices) -> Worker:
        made = make(services)
        object.__setattr__(made, "sleep", slept.append)
        object.__setattr__(made, "now", lambda: time.time() + sum(slept))
        return made

    monkeypatch.setattr(TaskServices, "worker", worker)
    stack.cold_start()
    return slept


def fail(monkeypatch: pytest.MonkeyPatch, owner: type, name: str, times: int, error: Exception) -> list[str]:
    """Let a method raise the first times that an answer is written, after ``times`` 0 always; return what was tried."""
    tried: list[str] = []
    original = getattr(owner, name)

    def method(self: Any, *args: Any, **kwargs: Any) -> Any:
        if name == "store" and "/answer-" not in args[0]:
            return original(self, *args, **kwargs)
        tried.append(name)
        if len(tried) <= times or not times:
            raise error
        return original(self, *args, **kwargs)

    monkeypatch.setattr(owner, name, method)
    return tried


@pytest.mark.parametrize(("owner", "name"), [(Payloads, "store"), (Table, "transact")])
def test_an_answer_that_could_not_be_stored_at_once_is_stored_soon_and_not_asked_for_again(
    stack: TaskDoor, slept: list[float], monkeypatch: pytest.MonkeyPatch, owner: type, name: str
) -> None:
    task_id = stack.submit()
    tried = fail(monkeypatch, owner, name, 3, AwsUnavailable("It is slow."))
    stack.turn("TASK")
    assert (stack.read(task_id)["status"], stack.read(task_id)["attempts"]) == ("succeeded", 1)
    assert (len(tried), len(slept)) == (4, 3)
    assert len(stack.simulator.requests("messages")) == 1


def test_storing_is_given_up_before_the_function_ends(
    stack: TaskDoor, slept: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    task_id = stack.submit()
    with monkeypatch.context() as patch:
        tried = fail(patch, Payloads, "store", 0, AwsUnavailable("It is down."))
        (record,) = stack.receive("TASK")
        assert stack.deliver("TASK", [record], seconds=120.0) == [record["messageId"]]
    assert len(tried) > 4
    assert 60 < sum(slept) < 115
    assert stack.read(task_id)["status"] == "running"
    stack.let_time_pass()
    stack.deliver("TASK", [record])
    assert (stack.read(task_id)["status"], stack.read(task_id)["attempts"]) == ("succeeded", 2)


def test_an_answer_that_aws_will_never_take_is_not_asked_for_again(
    stack: TaskDoor, slept: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    task_id = stack.submit()
    fail(monkeypatch, Payloads, "store", 0, AwsError("S3 said AccessDenied."))
    stack.run()
    failed = stack.read(task_id)
    assert (failed["status"], failed["attempts"]) == ("failed", 1)
    assert "could not be stored" in failed["error"]["message"]
    assert len(stack.simulator.requests("messages")) == 1
    assert slept == []


@pytest.mark.parametrize("error", [AwsUnavailable("It is down."), AwsError("It said no.")])
def test_an_answer_that_is_lost_is_paid_for(
    stack: TaskDoor, slept: list[float], monkeypatch: pytest.MonkeyPatch, error: AwsError
) -> None:
    monkeypatch.setenv("SLUICE_AUTH_MODE", "keys")
    stack.cold_start()
    key = KeyStore(stack.table).create(KeyTerms("shop"))
    stack.call("POST", "/v1/tasks", {"prompt": "x"}, {"x-api-key": key.text})
    fail(monkeypatch, Payloads, "store", 0, error)
    stack.turn("TASK")
    assert read_usage(stack.table, key.id, month_of(time.time())).cost > 0


@pytest.mark.parametrize("headers", [{}, {"idempotency-key": "order-4711"}])
def test_a_task_whose_making_was_not_confirmed_is_made_once(
    stack: TaskDoor, monkeypatch: pytest.MonkeyPatch, headers: dict[str, str]
) -> None:
    original = BaseClient._make_api_call  # type: ignore[attr-defined]  # its stubs leave it out
    lost: list[str] = []

    def call(client: BaseClient, operation: str, params: dict[str, Any]) -> Any:
        # The token of the first try lets DynamoDB know the second; without it, the second finds its own items.
        params.pop("ClientRequestToken", None)
        answer = original(client, operation, params)
        if operation == "TransactWriteItems" and not lost:
            lost.append(operation)
            raise ReadTimeoutError(endpoint_url="https://dynamodb")
        return answer

    monkeypatch.setattr(BaseClient, "_make_api_call", call)
    answer = stack.call("POST", "/v1/tasks", {"prompt": "x"}, headers)
    assert answer.status == 202, answer.body
    stack.run()
    assert lost
    assert stack.read(answer.body["id"])["status"] == "succeeded"
    assert len(stack.simulator.requests("messages")) == 1
    assert len(stack.call("GET", "/v1/tasks").body["data"]) == 1


def test_a_task_that_was_not_made_is_not_answered_with_202(stack: TaskDoor, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        fail(patch, Table, "transact", 0, AwsUnavailable("It is down."))
        assert stack.call("POST", "/v1/tasks", {"prompt": "x"}).status >= 500
    assert stack.call("GET", "/v1/tasks").body["data"] == []
    assert stack.receive("TASK") == []
