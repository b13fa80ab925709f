"""Messages that come twice, at once, late, or for nothing."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest

from simulator.client import Delay, Match
from sluice.aws.dynamodb import Key, Update
from sluice.table_keys import open_at
from sluice.tasks.task import look_at
from tests.world.lambdas import Context, sample

from .door import TaskDoor

LATER = 2 * 10**9


def copies(record: dict[str, Any], count: int) -> list[dict[str, Any]]:
    return [{**record, "messageId": f"copy-{number}"} for number in range(count)]


def test_a_message_delivered_five_times_at_once_calls_claude_once(stack: TaskDoor) -> None:
    stack.simulator.fail(Delay(seconds=0.3), Match(operation="messages"))
    task_id = stack.submit()
    (record,) = stack.receive("TASK")
    stack.deliver("TASK", copies(record, 5))
    stack.run()
    assert len(stack.simulator.requests("messages")) == 1
    assert stack.receiver.events == [("task.succeeded", task_id)]


def test_a_message_that_comes_after_the_end_does_nothing(stack: TaskDoor) -> None:
    task_id = stack.submit()
    (record,) = stack.receive("TASK")
    stack.deliver("TASK", [record])
    stack.run()
    sent = len(stack.queues.sent)
    assert stack.deliver("TASK", [record]) == []
    assert len(stack.queues.sent) == sent
    assert len(stack.simulator.requests("messages")) == 1
    assert stack.receiver.events == [("task.succeeded", task_id)]


def test_a_message_that_comes_while_a_worker_is_at_it_waits_for_that_workers_end(stack: TaskDoor) -> None:
    task_id = stack.submit()
    (record,) = stack.receive("TASK")
    # As long as a worker can have it.
    stack.tasks.claim(task_id, LATER, time.time() + 905)
    assert stack.deliver("TASK", [record]) == []
    # Not dropped: it may be the only message, and the worker may die.
    assert stack.delays("TASK") == [0, 900]
    assert not stack.simulator.requests()


def test_a_task_whose_worker_died_is_taken_over_after_its_lease(stack: TaskDoor) -> None:
    task_id = stack.submit()
    stack.tasks.claim(task_id, LATER, LATER + 60)
    stack.let_time_pass()
    stack.run()
    assert stack.read(task_id)["status"] == "succeeded"
    assert stack.read(task_id)["attempts"] == 2


def test_a_task_that_kills_its_workers_ends(stack: TaskDoor) -> None:
    task_id = stack.submit()
    stack.table.update(Update(Key(f"TASK#{task_id}", "TASK"), set={"attempts": 10, "status": "running", "due_at": 1.0}))
    stack.run()
    assert stack.read(task_id)["status"] == "failed"
    assert not stack.simulator.requests()
    assert stack.receiver.events == [("task.failed", task_id)]


def test_a_callback_delivered_five_times_at_once_calls_back_once(stack: TaskDoor) -> None:
    task_id = stack.submit()
    stack.turn("TASK")
    (record,) = stack.receive("CALLBACK")
    stack.deliver("CALLBACK", copies(record, 5))
    stack.deliver("CALLBACK", [record])
    stack.run()
    assert stack.receiver.events == [("task.succeeded", task_id)]


def test_messages_of_a_batch_are_handled_together_and_fail_alone(stack: TaskDoor) -> None:
    ids = [stack.submit() for _ in range(3)]
    records = stack.receive("TASK")
    broken = {**sample("run_task_malformed")["Records"][0], "messageId": "broken"}
    assert stack.deliver("TASK", [records[0], broken, *records[1:]]) == ["broken"]
    assert {stack.read(each)["status"] for each in ids} == {"succeeded"}


def test_messages_for_tasks_that_are_gone_are_dropped(stack: TaskDoor) -> None:
    nothing_failed: dict[str, list[str]] = {"batchItemFailures": []}
    assert stack.handlers["run_task"](sample("run_task_messages"), Context()) == nothing_failed
    assert stack.handlers["deliver_callback"](sample("deliver_callback_messages"), Context()) == nothing_failed
    assert stack.queues.sent == []


def test_a_task_without_a_message_gets_one_from_the_schedule(
    stack: TaskDoor, capsys: pytest.CaptureFixture[str]
) -> None:
    task_id = stack.submit()
    stack.submit(delay_seconds=7200)
    stack.receive("TASK")
    stack.look()
    assert stack.receive("TASK") == []
    # Nothing was sent, so nothing is counted: a metric of zeros is paid for as any other.
    assert "TasksSentAgain" not in capsys.readouterr().out
    stack.table.update(Update(Key(f"TASK#{task_id}", "TASK"), set={"due_at": 1.0, "open_at": open_at(1.0)}))
    for _ in range(2):
        stack.look()
    (record,) = stack.receive("TASK")
    assert json.loads(record["body"]) == {"task_id": task_id}
    assert '"TasksSentAgain":[1.0]' in capsys.readouterr().out


@pytest.mark.parametrize(("due_in", "delays"), [(1200.0, []), (590.0, [590.0]), (30.0, [30.0]), (-100.0, [0.0])])
def test_a_task_that_is_far_off_gets_one_message_shortly_before_its_time(
    stack: TaskDoor, due_in: float, delays: list[float], capsys: pytest.CaptureFixture[str]
) -> None:
    task_id, now = stack.submit(delay_seconds=7 * 24 * 3600), round(time.time(), 3)
    assert stack.queues.sent == []
    stack.table.update(
        Update(Key(f"TASK#{task_id}", "TASK"), set={"due_at": now + due_in, "open_at": open_at(now + due_in - 600)})
    )
    for _ in range(3):
        stack.look()
    assert stack.delays("TASK") == pytest.approx(delays, abs=3)
    assert "TasksSentAgain" not in capsys.readouterr().out


def test_the_message_of_a_task_that_was_far_off_is_replaced_when_it_is_lost(stack: TaskDoor) -> None:
    task_id, now = stack.submit(delay_seconds=7200), time.time()
    for due_at in (now + 60, now - 1900):
        task = {"due_at": round(due_at, 3), "open_at": open_at(look_at(due_at, due_at - 1 if due_at < now else 0.0))}
        stack.table.update(Update(Key(f"TASK#{task_id}", "TASK"), set=task))
        stack.look()
    assert len(stack.receive("TASK")) == 2
    assert list(stack.tasks.to_look_at(now + 3600)) == []
