"""A queue's messages: each is acted on, logged under its names, counted, and shown again soon where it fails."""

from __future__ import annotations

import io
import json
import threading
from collections.abc import Mapping
from typing import Any

import pytest
from aws_lambda_powertools import Logger, Metrics
from botocore.exceptions import EndpointConnectionError

from sluice.aws.sqs import Sqs
from sluice.aws.sqs_batch import Act, QueueStep, StepResult, queue_handler
from sluice.backoff import STEP_FAILED
from sluice.deadline import Deadline
from sluice.errors import AwsUnavailable


class Context:
    function_name = "collect_shard"
    memory_limit_in_mb = 512
    invoked_function_arn = "arn:aws:lambda:us-east-1:123456789012:function:collect_shard"
    aws_request_id = "7d0e1f3c-1111-4222-8333-444455556666"

    def get_remaining_time_in_millis(self) -> int:
        return 30_000


class Client:
    """Notes when which message is shown again; or fails, as SQS may."""

    def __init__(self, *, fails: bool = False) -> None:
        self.delays: dict[str, int] = {}
        self.fails = fails

    def change_message_visibility(self, *, QueueUrl: str, ReceiptHandle: str, VisibilityTimeout: int) -> None:  # noqa: N803  boto3's names
        if self.fails:
            raise EndpointConnectionError(endpoint_url=QueueUrl)
        self.delays[ReceiptHandle] = VisibilityTimeout


class Bench:
    """A step, with what it logs."""

    def __init__(self, act: Act, *, in_threads: bool = False, metric: str = "", sqs_fails: bool = False) -> None:
        self._written = io.StringIO()
        self.client = Client(fails=sqs_fails)
        client: Any = self.client
        logger = Logger(service=f"test-{id(self)}", stream=self._written)
        metrics = Metrics(namespace="Sluice", service="test")
        self.step = QueueStep(act, Sqs(client), "url", metric, in_threads, logger=logger, metrics=metrics)

    def failed(self, *bodies: str, receives: int = 1) -> list[str]:
        """Hand the messages over; return the numbers of those that come again."""
        records = [record(number, body, receives) for number, body in enumerate(bodies)]
        answer = self.step.process({"Records": records}, Context())
        return [str(each["itemIdentifier"]) for each in answer["batchItemFailures"]]

    @property
    def lines(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self._written.getvalue().splitlines()]


def record(number: int, body: str, receives: int = 1) -> dict[str, Any]:
    attributes = {"ApproximateReceiveCount": str(receives)}
    return {"messageId": str(number), "receiptHandle": f"handle-{number}", "body": body, "attributes": attributes}


def message(**named: object) -> str:
    return json.dumps(named)


def succeed(_message: Mapping[str, Any], _deadline: Deadline) -> StepResult:
    return StepResult("done")


def fail_for_two(given: Mapping[str, Any], _deadline: Deadline) -> StepResult:
    if given["job_id"] == "two":
        raise AwsUnavailable("DynamoDB was throttled.")
    return StepResult("done")


def counted(written: str) -> dict[str, list[float]]:
    found: dict[str, list[float]] = {}
    for line in written.splitlines():
        blob = json.loads(line)
        for each in blob["_aws"]["CloudWatchMetrics"][0]["Metrics"]:
            found[each["Name"]] = found.get(each["Name"], []) + blob[each["Name"]]
    return found


def test_a_step_gets_the_message_and_the_time_that_is_left() -> None:
    seen: list[tuple[Mapping[str, Any], float]] = []

    def act(given: Mapping[str, Any], deadline: Deadline) -> StepResult:
        seen.append((given, deadline.left()))
        return StepResult("done")

    assert Bench(act).failed(message(job_id="one", attempt=2)) == []
    assert seen == [({"job_id": "one", "attempt": 2}, 30.0)]


def test_what_a_message_names_and_led_to_is_logged() -> None:
    bench = Bench(lambda _message, _deadline: StepResult("submitted", {"batch_id": "b1"}, problems=("It is odd.",)))
    bench.failed(message(job_id="one", shard=3, wave=1, prompt="secret"))
    problem, line = bench.lines
    assert {
        "job_id": "one",
        "shard": 3,
        "wave": 1,
        "problem": "It is odd.",
        "level": "ERROR",
    }.items() <= problem.items()
    assert {"job_id": "one", "shard": 3, "wave": 1, "outcome": "submitted", "batch_id": "b1"}.items() <= line.items()
    assert "secret" not in str(bench.lines)


@pytest.mark.parametrize("in_threads", [False, True])
def test_of_several_messages_only_those_that_failed_come_again_and_soon(*, in_threads: bool) -> None:
    bench = Bench(fail_for_two, in_threads=in_threads)
    assert bench.failed(*(message(job_id=each) for each in ("one", "two", "three"))) == ["1"]
    assert list(bench.client.delays) == ["handle-1"]
    assert STEP_FAILED.first * 0.7 < bench.client.delays["handle-1"] <= STEP_FAILED.first
    (line,) = [line for line in bench.lines if line["level"] == "ERROR"]
    assert {
        "job_id": "two",
        "error_class": "AwsUnavailable",
        "error": "DynamoDB was throttled.",
    }.items() <= line.items()


def test_a_message_that_failed_often_comes_again_later() -> None:
    bench = Bench(fail_for_two)
    bench.failed(message(job_id="two"), receives=20)
    assert bench.client.delays["handle-0"] > STEP_FAILED.longest * 0.7


@pytest.mark.parametrize("body", ["", "x", "[]", "3"])
def test_a_message_that_is_no_object_ends_as_one_that_failed(body: str) -> None:
    bench = Bench(succeed)
    assert bench.failed(body, message(job_id="one")) == ["0"]
    assert list(bench.client.delays) == ["handle-0"]


def test_a_message_comes_again_even_where_sqs_does_not_take_the_wish() -> None:
    bench = Bench(fail_for_two, sqs_fails=True)
    assert bench.failed(message(job_id="two")) == ["0"]
    assert [line["level"] for line in bench.lines] == ["ERROR", "WARNING"]


def test_in_threads_the_messages_of_an_event_are_worked_on_at_the_same_time() -> None:
    together = threading.Barrier(10, timeout=10)

    def act(_message: Mapping[str, Any], _deadline: Deadline) -> StepResult:
        together.wait()
        return StepResult("done")

    assert Bench(act, in_threads=True).failed(*(message(task_id=str(number)) for number in range(10))) == []


def test_otherwise_they_follow_one_another_in_their_order() -> None:
    seen: list[tuple[str, int]] = []

    def act(given: Mapping[str, Any], _deadline: Deadline) -> StepResult:
        seen.append((given["job_id"], threading.get_ident()))
        return StepResult("done")

    Bench(act).failed(*(message(job_id=each) for each in "abc"))
    assert seen == [(each, threading.get_ident()) for each in "abc"]


@pytest.mark.parametrize("in_threads", [False, True])
def test_messages_and_outcomes_are_counted_where_they_are_asked_to_be(
    capsys: pytest.CaptureFixture[str], *, in_threads: bool
) -> None:
    Bench(fail_for_two, in_threads=in_threads, metric="Tasks").failed(message(job_id="one"), message(job_id="two"))
    assert counted(capsys.readouterr().out) == {"TasksReceived": [2], "TasksDone": [1]}


def test_what_a_result_counts_is_counted(capsys: pytest.CaptureFixture[str]) -> None:
    bench = Bench(
        lambda _message, _deadline: StepResult("done", metrics={"RequestsErrored": 4, "RequestsSentAgain": 0})
    )
    bench.failed(message(job_id="one"))
    assert counted(capsys.readouterr().out) == {"RequestsErrored": [4]}


def test_a_step_is_built_once_and_all_its_lines_name_the_request(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("POWERTOOLS_SERVICE_NAME", "test-of-a-handler")
    written, built = io.StringIO(), []
    logger = Logger(stream=written)

    def build() -> QueueStep:
        built.append(True)
        if len(built) == 1:
            raise RuntimeError("The environment is not complete.")
        client: Any = Client()
        return QueueStep(
            succeed, Sqs(client), "url", logger=logger, metrics=Metrics(namespace="Sluice", service="test")
        )

    handler = queue_handler(build)
    event = {"Records": [record(0, message(job_id="one"))]}
    with pytest.raises(RuntimeError):
        handler(event, Context())
    assert handler(event, Context()) == handler(event, Context()) == {"batchItemFailures": []}
    assert len(built) == 2
    lines = [json.loads(line) for line in written.getvalue().splitlines()]
    assert [line["function_request_id"] for line in lines] == [Context.aws_request_id] * 2
