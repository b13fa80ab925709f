"""The states of tasks and their callbacks, against DynamoDB's own conditions."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from sluice.aws.dynamodb import Table, Update
from sluice.errors import ConditionFailed
from sluice.table_keys import task_key
from sluice.tasks.table import Failure, TaskTable
from sluice.tasks.task import CALLBACK_TRANSITIONS, ENDED, STATUSES, TASK_TRANSITIONS, CallbackState, Task
from sluice.transitions import Transition

from .samples import QUEUED

NOW = QUEUED.due_at + 1
FAILURE = Failure("api_error", "It failed.")
CALLBACK_STATES: tuple[CallbackState, ...] = ("pending", "delivered", "undelivered")
CALLS: dict[str, Callable[[TaskTable, Task], object]] = {
    "claim": lambda tasks, task: tasks.claim(task.id, NOW, NOW),
    "put_back": lambda tasks, task: tasks.put_back(task, NOW, NOW, FAILURE),
    "hold": lambda tasks, task: tasks.hold(task, NOW, NOW, "authentication_error"),
    "succeed": lambda tasks, task: tasks.succeed(task, NOW, {"document": "{}"}),
    "fail": lambda tasks, task: tasks.fail(task, NOW, FAILURE),
    "cancel": lambda tasks, task: tasks.cancel(task.id, NOW),
    "claim_callback": lambda tasks, task: tasks.claim_callback(task.id, NOW, NOW),
    "put_back_callback": lambda tasks, task: tasks.put_back_callback(task, NOW, NOW, "It said 500."),
    "close_callback": lambda tasks, task: tasks.close_callback(task, "delivered", NOW),
    "reopen_callback": lambda tasks, task: tasks.reopen_callback(task, NOW),
}


def check_move(table: Table, transition: Transition[Any], name: str, attribute: str, before: Task) -> None:
    """Make the transition of a task in some state, or find that it is refused and changes nothing."""
    tasks, state = TaskTable(table), getattr(before, attribute)
    item = {name: value for name, value in before.to_item().items() if value is not None}
    table.update(Update(task_key(before.id), set=item, create=True))
    if state in transition.sources:
        CALLS[name](tasks, before)
        assert getattr(tasks.find(before.id), attribute) in (transition.targets or (state,))
    else:
        with pytest.raises(ConditionFailed):
            CALLS[name](tasks, before)
        assert tasks.find(before.id) == before


@pytest.mark.parametrize("name", TASK_TRANSITIONS)
def test_a_transition_starts_from_the_states_of_its_data_and_no_other(table: Table, name: str) -> None:
    for status in STATUSES:
        check_move(table, TASK_TRANSITIONS[name], name, "status", replace(QUEUED, id=f"task_{status}", status=status))


@pytest.mark.parametrize("name", CALLBACK_TRANSITIONS)
def test_a_callback_moves_as_its_data_says(table: Table, name: str) -> None:
    for state in CALLBACK_STATES:
        before = replace(QUEUED, id=f"task_{state}", status="succeeded", callback=state)
        check_move(table, CALLBACK_TRANSITIONS[name], name, "callback", before)


@pytest.mark.parametrize("name", ["claim_callback", "reopen_callback"])
@pytest.mark.parametrize("status", [status for status in STATUSES if status not in ENDED])
def test_nobody_is_called_back_before_the_end(table: Table, name: str, status: str) -> None:
    tasks = TaskTable(table)
    table.update(Update(task_key(QUEUED.id), set={"status": status, "callback": "pending", "due_at": 0}, create=True))

    with pytest.raises(ConditionFailed):
        CALLS[name](tasks, QUEUED)


def test_a_courier_of_before_a_redelivery_does_not_end_the_callback_of_after(table: Table) -> None:
    tasks = TaskTable(table)
    ended = replace(QUEUED, status="succeeded", callback="pending")
    item = {name: value for name, value in ended.to_item().items() if value is not None}
    table.update(Update(task_key(ended.id), set=item, create=True))
    before = tasks.claim_callback(ended.id, NOW, NOW + 60)
    tasks.reopen_callback(replace(ended, callback_since=None), NOW + 1)
    with pytest.raises(ConditionFailed):
        tasks.close_callback(before, "undelivered", NOW + 2, "The endpoint answered 410.")
    after = tasks.claim_callback(ended.id, NOW + 3, NOW + 60)
    assert after.callback_attempts == before.callback_attempts == 1

    with pytest.raises(ConditionFailed):
        tasks.close_callback(before, "undelivered", NOW + 4, "The endpoint answered 410.")
    tasks.close_callback(after, "delivered", NOW + 5)

    assert (found := tasks.find(ended.id))
    assert found.callback == "delivered"
