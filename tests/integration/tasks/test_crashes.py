"""The process dies before and after every call that it makes, to AWS, to Claude and to the receiver.

The points are found by a run without a crash, so that a call added tomorrow is covered tomorrow.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import pytest

from simulator.client import Match, Refuse
from sluice.callbacks.client import CallbackClient
from sluice.tasks.sdk import ClaudeSdk
from tests.world.calls import Crash

from .door import TaskDoor

T = TypeVar("T")

BODY = {"prompt": "Why is the sky blue?"}


@pytest.fixture(autouse=True)
def calls_that_can_die(stack: TaskDoor, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the process die before and after what Claude and the receiver are asked, too."""
    for owner, name in ((ClaudeSdk, "ask"), (CallbackClient, "post")):
        original = getattr(owner, name)

        def call(*args: Any, original: Any = original, name: str = name, **kwargs: Any) -> Any:
            return stack.calls.around(name, lambda: original(*args, **kwargs))

        monkeypatch.setattr(owner, name, call)


class Life:
    """One task from its call to its callback, with one crash on the way; messages that were not deleted come again."""

    def __init__(self, stack: TaskDoor) -> None:
        self.stack = stack
        self.points: list[str] = []
        self.undeleted: list[tuple[str, dict[str, Any]]] = []

    def live(self, crash_at: int | None) -> None:
        task_id = self._submit(crash_at) or self._submit(None)
        assert task_id
        self.task_id = task_id
        for _ in range(20):
            for queue in ("TASK", "CALLBACK"):
                for record in [*self._redelivered(queue), *self.stack.receive(queue)]:
                    self._deliver(queue, record, crash_at)
            if self._is_settled():
                return
            self.stack.let_time_pass()
        raise AssertionError("The task does not settle.")

    def _is_settled(self) -> bool:
        task = self.stack.task(self.task_id)
        return task.ended and task.callback != "pending" and not self.undeleted

    def _submit(self, crash_at: int | None) -> str | None:
        body = {**BODY, "callback_url": self.stack.receiver.url}
        headers = {"idempotency-key": f"life-{id(self)}"}
        answer = self._part(crash_at, lambda: self.stack.call("POST", "/v1/tasks", body, headers))
        return str(answer.body["id"]) if answer else None

    def _deliver(self, queue: str, record: dict[str, Any], crash_at: int | None) -> None:
        if self._part(crash_at, lambda: self.stack.deliver(queue, [record])) is None:
            self.undeleted.append((queue, record))

    def _part(self, crash_at: int | None, step: Callable[[], T]) -> T | None:
        """Do a step, in which the process may die; None where it did."""
        calls, left = self.stack.calls, -1 if crash_at is None else crash_at - len(self.points)
        calls.points.clear()
        calls.last_point = left if left >= 0 else None
        try:
            with calls.running("task"):
                return step()
        except Crash:
            self.stack.cold_start()
            return None
        finally:
            calls.last_point = None
            self.points += calls.points

    def _redelivered(self, queue: str) -> list[dict[str, Any]]:
        records = [record for name, record in self.undeleted if name == queue]
        self.undeleted = [each for each in self.undeleted if each[0] != queue]
        return records


def whole_life(stack: TaskDoor) -> list[str]:
    """Live one without a crash, from a cold start as after a crash, and return its points."""
    stack.cold_start()
    life = Life(stack)
    life.live(None)
    return life.points


def life_with_a_crash(stack: TaskDoor, crash_at: int) -> Life:
    stack.clear()
    stack.receiver.calls.clear()
    stack.cold_start()
    life = Life(stack)
    life.live(crash_at)
    return life


def test_a_crash_anywhere_loses_nothing_and_repeats_no_more_than_it_must(stack: TaskDoor) -> None:
    points = whole_life(stack)
    assert {"before ask", "after post"} < set(points)
    unwritten = points[points.index("after ask") : points.index("after ask") + 2]
    assert unwritten == ["after ask", "before dynamodb.TransactWriteItems"]
    paid_again = called_back_again = 0
    for crash_at, point in enumerate(points):
        stack.simulator.reset()
        life = life_with_a_crash(stack, crash_at)
        assert life.points[crash_at] == point
        task = stack.read(life.task_id)
        assert (task["status"], task["callback"]["status"]) == ("succeeded", "delivered"), (crash_at, point)
        asked, called = len(stack.simulator.requests("messages")), len(stack.receiver.calls)
        assert asked == 1 or point in unwritten, (crash_at, point)
        assert len({call.headers["webhook-id"] for call in stack.receiver.calls}) == 1, (crash_at, point)
        paid_again += asked - 1
        called_back_again += called - 1
    # After Claude's last byte and before the answer is written; after the receiver's answer and before that is written.
    assert (paid_again, called_back_again) == (2, 2)


@pytest.mark.parametrize("status", [529, 401, 400])
def test_a_crash_anywhere_before_or_after_a_failure_loses_nothing(stack: TaskDoor, status: int) -> None:
    stack.simulator.fail(Refuse(status=status), Match(operation="messages"), times=1)
    points = whole_life(stack)
    # What comes before and after is the same as in a life without a failure.
    for crash_at in range(points.index("before ask"), points.index("before post")):
        point = points[crash_at]
        stack.simulator.reset()
        stack.simulator.fail(Refuse(status=status), Match(operation="messages"), times=1)
        life = life_with_a_crash(stack, crash_at)
        task = stack.read(life.task_id)
        assert task["status"] in ("succeeded", "failed"), (crash_at, point)
        assert task["callback"]["status"] == "delivered", (crash_at, point)
        # Whoever died before an incident was released leaves that to the next task.
        if stack.incidents.list_open():
            after = stack.submit()
            stack.run()
            assert stack.read(after)["status"] == "succeeded"
            assert stack.incidents.list_open() == ()
