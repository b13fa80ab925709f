"""What no task can get past stops the queue, is told of once, and ends with a release or a probe."""

from __future__ import annotations

import json
from typing import Any

import boto3
import pytest

from simulator.client import Break, Match, Refuse
from sluice.aws.dynamodb import Key, Update
from sluice.tasks.sdk import ClaudeSdk
from tests.world.account_errors import INCIDENT_OF_CAUSE

from .door import TaskDoor


def look(stack: TaskDoor) -> None:
    """Let every message that is there be looked at once, without a probe being due."""
    for task in list(stack.tasks.to_look_at(9e9)):
        stack.table.update(Update(Key(f"TASK#{task.id}", "TASK"), set={"due_at": 1.0}))
    stack.turn("TASK")


@pytest.mark.parametrize(
    ("fault", "kind"),
    [
        *((Refuse(cause=cause), kind) for cause, kind in INCIDENT_OF_CAUSE.items()),
        (Break(how="error_event", cause="no_credit", after_events=0), "billing_error"),
        (Break(how="error_event", cause="tier_spend_limit", after_events=4), "enforced_spend_limit_reached"),
        (Refuse(status=403), "permission_error:claude-haiku-5-5"),
        (Refuse(status=404, message="model: claude-haiku-5-5"), "not_found_error:claude-haiku-5-5"),
    ],
)
def test_the_queue_stops_with_one_notice_and_goes_on_when_released(
    stack: TaskDoor, fault: Refuse | Break, kind: str
) -> None:
    rule = stack.simulator.fail(fault, Match(operation="messages"))
    first = stack.submit()
    stack.turn("TASK")
    others = [stack.submit() for _ in range(5)]
    for _ in range(3):
        look(stack)

    assert len(stack.simulator.requests("messages")) == 1
    (notice,) = stack.published()
    assert notice["MessageAttributes"]["kind"]["Value"] == kind
    message = json.loads(notice["Message"])
    assert stack.events == [{name: value for name, value in message.items() if name not in ("subject", "text")}]
    assert (message["event"], message["kind"], message["tasks"]) == ("incident.opened", kind, [first])
    (incident,) = stack.call("GET", "/v1/incidents").body["data"]
    assert incident["kind"] == kind
    assert {stack.read(each)["status"] for each in [first, *others]} == {"queued"}
    assert stack.read(others[0])["waiting_for"] == kind
    assert not stack.receiver.calls

    stack.simulator.heal(rule)
    assert stack.call("POST", f"/v1/incidents/{kind.replace(':', '%3A')}/release").body["status"] == "released"
    stack.run()
    assert {stack.read(each)["status"] for each in [first, *others]} == {"succeeded"}
    assert len(stack.simulator.requests("messages")) == 7
    assert stack.published() == []


def test_a_probe_ends_an_incident_by_itself(stack: TaskDoor) -> None:
    rule = stack.simulator.fail(Refuse(status=402), Match(operation="messages"))
    ids = [stack.submit() for _ in range(3)]
    stack.turn("TASK")
    stack.let_time_pass()
    stack.turn("TASK")
    probes = len(stack.simulator.requests("messages"))
    assert [each.kind for each in stack.incidents.list_open()] == ["billing_error"]
    stack.simulator.heal(rule)
    stack.run()
    assert {stack.read(each)["status"] for each in ids} == {"succeeded"}
    assert len(stack.simulator.requests("messages")) == probes + 3
    assert len(stack.published()) == 1
    assert stack.incidents.list_open() == ()


def test_of_all_that_wait_one_makes_the_probe(stack: TaskDoor) -> None:
    stack.simulator.fail(Refuse(status=401), Match(operation="messages"))
    stack.submit()
    stack.turn("TASK")
    for _ in range(5):
        stack.submit()
    stack.let_time_pass()
    stack.turn("TASK")
    assert len(stack.simulator.requests("messages")) == 2


def test_waiting_does_not_use_up_the_attempts(stack: TaskDoor, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SLUICE_TASK_MAX_ATTEMPTS", "2")
    stack.cold_start()
    rule = stack.simulator.fail(Refuse(status=401), Match(operation="messages"))
    task_id = stack.submit()
    for _ in range(6):
        stack.turn("TASK")
        stack.let_time_pass()
    assert stack.task(task_id).attempts == 0
    stack.simulator.heal(rule)
    stack.run()
    assert stack.read(task_id)["status"] == "succeeded"


def test_a_model_that_the_caller_named_fails_that_task_alone(stack: TaskDoor) -> None:
    params = {"model": "claude-retired", "max_tokens": 5, "messages": [{"role": "user", "content": "x"}]}
    answer = stack.call("POST", "/v1/tasks", {"params": params})
    other = stack.submit()
    stack.run()
    assert stack.read(answer.body["id"])["error"]["type"] == "not_found_error"
    assert stack.read(other)["status"] == "succeeded"
    assert stack.published() == []


@pytest.mark.parametrize("missing", ["File not found: file_011", "model: claude-other", "Not found"])
def test_what_one_task_misses_fails_that_task_alone(stack: TaskDoor, missing: str) -> None:
    stack.simulator.fail(Refuse(status=404, message=missing), Match(operation="messages", prompt="read the file"))
    task_id, other = stack.submit(prompt="read the file"), stack.submit()
    stack.run()
    failed = stack.read(task_id)
    assert (failed["status"], failed["attempts"]) == ("failed", 1)
    assert failed["error"] == {"type": "not_found_error", "message": missing}
    assert stack.read(other)["status"] == "succeeded"
    assert sorted(stack.receiver.events) == sorted([("task.failed", task_id), ("task.succeeded", other)])
    assert stack.published() == []
    assert stack.incidents.list_open() == ()


def test_a_model_that_may_not_be_used_does_not_stop_others(stack: TaskDoor) -> None:
    stack.simulator.fail(Refuse(status=403), Match(operation="messages", model="claude-opus-5-5"))
    params = {"model": "claude-opus-5-5", "max_tokens": 5, "messages": [{"role": "user", "content": "x"}]}
    answer = stack.call("POST", "/v1/tasks", {"params": params})
    stack.turn("TASK")
    other = stack.submit()
    look(stack)
    assert stack.read(answer.body["id"])["waiting_for"] == "permission_error:claude-opus-5-5"
    assert stack.read(other)["status"] == "succeeded"


def test_a_task_that_waits_too_long_fails_while_its_caller_can_read_so(stack: TaskDoor) -> None:
    stack.simulator.fail(Refuse(status=401, message="bad key"), Match(operation="messages"))
    task_id = stack.submit()
    stack.turn("TASK")
    stack.table.update(Update(Key(f"TASK#{task_id}", "TASK"), set={"created_at": 1.0, "expires_at": 10**9 * 2}))
    look(stack)
    assert stack.read(task_id)["status"] == "queued"
    soon = int(stack.task(task_id).due_at) + 1800
    stack.table.update(Update(Key(f"TASK#{task_id}", "TASK"), set={"expires_at": soon}))
    look(stack)
    failed = stack.read(task_id)
    assert (failed["status"], failed["error"]["message"]) == ("failed", "bad key")
    stack.run()
    assert stack.receiver.events == [("task.failed", task_id)]


def test_a_key_that_has_just_been_rotated_stops_nothing(stack: TaskDoor, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sluice.aws.secrets._RENEW_SECONDS", 0.0)
    stack.cold_start()
    stack.simulator.fail(Refuse(status=401), Match(operation="messages", key="sk-ant-simulator"))
    boto3.client("secretsmanager").put_secret_value(
        SecretId=stack.environment["SLUICE_CLAUDE_SECRET"], SecretString="sk-ant-old"
    )
    try:
        stack.submit()
        stack.run()
        boto3.client("secretsmanager").put_secret_value(
            SecretId=stack.environment["SLUICE_CLAUDE_SECRET"], SecretString="sk-ant-new"
        )
        stack.simulator.fail(Refuse(status=401), Match(operation="messages", key="sk-ant-old"))
        task_id = stack.submit()
        stack.run()
    finally:
        boto3.client("secretsmanager").put_secret_value(
            SecretId=stack.environment["SLUICE_CLAUDE_SECRET"], SecretString="sk-ant-simulator"
        )
    assert stack.read(task_id)["status"] == "succeeded"
    assert stack.published() == []
    assert stack.incidents.list_open() == ()


def test_whoever_finds_an_incident_that_nobody_told_of_tells(stack: TaskDoor, monkeypatch: pytest.MonkeyPatch) -> None:
    stack.simulator.fail(Refuse(status=401), Match(operation="messages"))
    with monkeypatch.context() as patch:
        patch.setenv("SLUICE_TOPIC_ARN", "arn:aws:sns:us-east-1:123456789012:missing")
        stack.cold_start()
        stack.submit()
        stack.turn("TASK")
    assert (len(stack.published()), len(stack.events)) == (0, 1)
    stack.cold_start()
    key = Key("INCIDENT#authentication_error", "INCIDENT")
    stack.table.update(Update(key, set={"notifying_at": 1.0}))
    stack.let_time_pass()
    stack.turn("TASK")
    assert len(stack.published()) == len(stack.events) == 1


def opened(stack: TaskDoor, kind: str) -> None:
    """Let an incident be open that jobs have met, with a probe due."""
    stack.incidents.open_incident(kind, "No.", stack.incidents.version())
    stack.let_time_pass()


@pytest.mark.parametrize("kind", ["permission_error:claude-opus-5-5", "permission_error:batches"])
def test_what_jobs_wait_for_alone_stops_no_task_and_is_not_ended_by_one(stack: TaskDoor, kind: str) -> None:
    opened(stack, kind)
    task_id = stack.submit()
    stack.turn("TASK")

    assert stack.read(task_id)["status"] == "succeeded"
    assert [each.kind for each in stack.incidents.list_open()] == [kind]


def test_a_probe_that_is_wrong_in_itself_shows_that_the_key_is_good(stack: TaskDoor) -> None:
    opened(stack, "authentication_error")
    stack.simulator.fail(Refuse(status=400, message="max_tokens: too large"), Match(operation="messages"), times=1)
    task_id = stack.submit()
    stack.turn("TASK")

    assert stack.read(task_id)["status"] == "failed"
    assert stack.incidents.list_open() == ()


def test_probes_that_are_wrong_in_themselves_leave_theirs_to_the_next(stack: TaskDoor) -> None:
    opened(stack, "billing_error")
    stack.simulator.fail(Refuse(status=400), Match(operation="messages"), times=3)
    ids = [stack.submit() for _ in range(4)]
    for record in stack.receive("TASK"):
        stack.deliver("TASK", [record])

    assert sorted(stack.read(each)["status"] for each in ids) == ["failed", "failed", "failed", "succeeded"]
    assert stack.incidents.list_open() == ()


def test_a_probe_ends_only_the_incident_that_it_was_let_through_in(
    stack: TaskDoor, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened(stack, "billing_error")
    ask = ClaudeSdk.ask

    def ask_for_long(*args: Any) -> Any:
        stack.incidents.release("billing_error")
        stack.incidents.open_incident("billing_error", "No credit again.", stack.incidents.version())
        return ask(*args)

    monkeypatch.setattr(ClaudeSdk, "ask", ask_for_long)
    task_id = stack.submit()
    stack.turn("TASK")

    assert stack.read(task_id)["status"] == "succeeded"
    assert [each.message for each in stack.incidents.list_open()] == ["No credit again."]


def test_a_refusal_of_before_a_release_stops_nothing_and_mails_nobody(
    stack: TaskDoor, monkeypatch: pytest.MonkeyPatch
) -> None:
    rule = stack.simulator.fail(Refuse(status=401), Match(operation="messages"))
    stack.submit()
    stack.turn("TASK")
    assert len(stack.published()) == 1
    stack.let_time_pass()
    ask = ClaudeSdk.ask

    def ask_before_the_release(*args: Any) -> Any:
        try:
            return ask(*args)
        finally:
            stack.simulator.heal(rule)
            stack.incidents.release("authentication_error")

    with monkeypatch.context() as patch:
        patch.setattr(ClaudeSdk, "ask", ask_before_the_release)
        stack.turn("TASK")

    assert stack.incidents.list_open() == ()
    stack.run()
    assert stack.published() == []
    assert {call[0] for call in stack.receiver.events} == {"task.succeeded"}


def test_whoever_names_a_missing_model_waits_for_nobody(stack: TaskDoor) -> None:
    opened(stack, "not_found_error:claude-retired")
    params = {"model": "claude-retired", "max_tokens": 5, "messages": [{"role": "user", "content": "x"}]}
    answer = stack.call("POST", "/v1/tasks", {"params": params})
    stack.turn("TASK")

    assert stack.read(answer.body["id"])["error"]["type"] == "not_found_error"
