"""The task door's table: each method is one transition, and each transition one conditional write or transaction.

ConditionFailed always means that somebody else was there first.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from sluice.aws.dynamodb import Item, Put, Table, Update
from sluice.aws.s3 import S3
from sluice.http.idempotency import Idempotency
from sluice.table_keys import (
    CALLERS_TASK_PREFIX,
    OPEN_TASKS,
    callers_task_key,
    idempotency_key,
    open_at,
    task_answer_key,
    task_key,
    task_request_key,
)
from sluice.tasks.task import CALLBACK_TRANSITIONS, ENDED, TASK_TRANSITIONS, CallbackState, Task, look_at
from sluice.transitions import move

INLINE_BYTES = 32 * 1024
MAX_ERROR_CHARACTERS = 2000


@dataclass(frozen=True, slots=True)
class Payloads:
    """Raises as ``S3`` does."""

    s3: S3
    bucket: str

    def store(self, name: str, body: bytes) -> dict[str, object]:
        """Keep a JSON document and return the attributes that lead back to it. ``name`` is unique, without suffix."""
        if len(body) <= INLINE_BYTES:
            return {"document": body.decode()}
        key = f"work/tasks/{name}.json"
        self.s3.put(self.bucket, key, body, "application/json")
        return {"object_key": key}

    def load(self, item: Mapping[str, Any]) -> bytes:
        """Read what ``store`` kept."""
        if "document" in item:
            return str(item["document"]).encode()
        return self.s3.get(self.bucket, item["object_key"])


_CLOSED = ("open", "open_at")


@dataclass(frozen=True, slots=True)
class FirstCall:
    task_id: str
    fingerprint: str


@dataclass(frozen=True, slots=True)
class Failure:
    """What a caller is told of a failed attempt: the API's type and message."""

    type: str
    message: str


@dataclass(frozen=True, slots=True)
class TaskTable:
    table: Table

    def create(self, task: Task, request: Mapping[str, object], idempotency: Idempotency | None) -> None:
        """Make a task with its request. ConditionFailed: the idempotency key was used before."""
        common: dict[str, object] = {"expires_at": task.expires_at}
        puts = [
            Put({**task_key(task.id).attributes(), **task.to_item()}),
            Put({**task_request_key(task.id).attributes(), **request, **common}),
            Put({**callers_task_key(task.caller, task.id).attributes(), **common}),
        ]
        if idempotency:
            first = {"task_id": task.id, "fingerprint": idempotency.fingerprint}
            puts.append(Put({**idempotency_key(idempotency.key_hash).attributes(), **first, **common}))
        self.table.transact(*puts)

    def first_call(self, idempotency: Idempotency) -> FirstCall | None:
        item = self.table.get(idempotency_key(idempotency.key_hash))
        return FirstCall(item["task_id"], item["fingerprint"]) if item else None

    def find(self, task_id: str) -> Task | None:
        item = self.table.get(task_key(task_id))
        return Task.from_item(item) if item else None

    def find_request(self, task_id: str) -> Item | None:
        return self.table.get(task_request_key(task_id))

    def find_answer(self, task_id: str) -> Item | None:
        return self.table.get(task_answer_key(task_id))

    def list_ids(self, caller: str, before: str | None) -> Iterator[str]:
        """Yield the ids of a caller's tasks, newest first, from the one before ``before`` on."""
        start = callers_task_key(caller, before or "")
        after = start.sk if before else None
        for item in self.table.query(start.pk, CALLERS_TASK_PREFIX, newest_first=True, after=after):
            yield item["sk"].removeprefix(CALLERS_TASK_PREFIX)

    def to_look_at(self, now: float) -> Iterator[Task]:
        """Yield the open tasks that the schedule has to look at by now, those that wait longest first."""
        for item in self.table.open(OPEN_TASKS):
            if item["open_at"] > open_at(now):
                return
            yield Task.from_item(item)

    # Running

    def claim(self, task_id: str, now: float, until: float) -> Task:
        """Take a task that is due, or one whose worker died, for as long as the worker can live."""
        update = Update(
            task_key(task_id),
            set={"started_at": now, **_due(until, now)},
            add={"attempts": 1},
            remove=("waiting_for",),
            condition="#due_at <= :due_at",
            values={"due_at": now},
        )
        return self._apply("claim", update)

    def put_back(self, task: Task, now: float, due_at: float, failure: Failure, *, uncounted: bool = False) -> Task:
        """Queue a claimed task again. ``uncounted``: this attempt does not count against the limit."""
        update = Update(
            task_key(task.id),
            set={**_error(failure), **_due(due_at, now)},
            add={"attempts": -1} if uncounted else {},
            where=_claimed(task),
        )
        return self._apply("put_back", update)

    def hold(self, task: Task, now: float, due_at: float, waiting_for: str) -> Task:
        """Let a queued task wait for the end of an incident, where nobody has moved it since it was read."""
        changes = {"waiting_for": waiting_for, **_due(due_at, now)}
        return self._apply("hold", Update(task_key(task.id), set=changes, where={"due_at": task.due_at}))

    def succeed(self, task: Task, now: float, answer: Mapping[str, object]) -> Task:
        """End a claimed task together with its answer."""
        ending = _ending(task, now, {}, remove=("error_type", "error_message"))
        kept = {**task_answer_key(task.id).attributes(), "expires_at": task.expires_at, **answer}
        self.table.transact(move(ending, TASK_TRANSITIONS["succeed"]), Put(kept, replace=True))
        return replace(task, status="succeeded", finished_at=now, error_type=None, error_message=None)

    def fail(self, task: Task, now: float, failure: Failure) -> Task:
        """End a claimed task with an error."""
        return self._apply("fail", _ending(task, now, _error(failure)))

    def cancel(self, task_id: str, now: float) -> Task:
        """End a task that has not started."""
        remove = (*_CLOSED, "callback", "waiting_for")
        return self._apply("cancel", Update(task_key(task_id), set={"finished_at": now}, remove=remove))

    def _apply(self, name: str, update: Update) -> Task:
        return Task.from_item(self.table.update(move(update, TASK_TRANSITIONS[name])))

    # Calling back

    def claim_callback(self, task_id: str, now: float, until: float) -> Task:
        """Take a callback that is due, or one whose worker died."""
        update = Update(
            task_key(task_id),
            set=_due(until, now),
            add={"callback_attempts": 1, "callback_claims": 1},
            where={"status": ENDED},
            condition="#due_at <= :due_at",
            values={"due_at": now},
        )
        return self._apply_callback("claim_callback", update)

    def put_back_callback(self, task: Task, now: float, due_at: float, error: str, *, uncounted: bool = False) -> Task:
        update = Update(
            task_key(task.id),
            set={"callback_error": error, **_due(due_at, now)},
            add={"callback_attempts": -1} if uncounted else {},
            where=_claimed_callback(task),
        )
        return self._apply_callback("put_back_callback", update)

    def close_callback(self, task: Task, state: CallbackState, now: float, error: str | None = None) -> Task:
        """End a callback as delivered or undelivered."""
        changes: dict[str, object] = {"delivered_at": now} if state == "delivered" else {"callback_error": error}
        remove = (*_CLOSED, "callback_error") if state == "delivered" else _CLOSED
        update = Update(task_key(task.id), set=changes, remove=remove, where=_claimed_callback(task))
        return self._apply_callback("close_callback", update, state)

    def reopen_callback(self, task: Task, now: float) -> Task:
        """Make the callback of an ended task due again, with all its time before it.

        A courier of before can then no longer say how it ended. Raises ConditionFailed where it has been made due again
        since ``task`` was read.
        """
        update = Update(
            task_key(task.id),
            set={"callback_attempts": 0, "callback_since": now, "open": OPEN_TASKS, **_due(now, now)},
            add={"redeliveries": 1, "callback_claims": 1},
            remove=("callback_error", "delivered_at"),
            where={"status": ENDED, "callback_since": task.callback_since},
        )
        return self._apply_callback("reopen_callback", update)

    def look_again(self, task: Task, at: float) -> None:
        """Note that a task has been given a message, so that it gets no other one before ``at``."""
        self.table.update(Update(task_key(task.id), set={"open_at": open_at(at)}, where={"open": OPEN_TASKS}))

    def _apply_callback(self, name: str, update: Update, to: CallbackState | None = None) -> Task:
        moved = move(update, CALLBACK_TRANSITIONS[name], to, attribute="callback")
        return Task.from_item(self.table.update(moved))


def _ending(task: Task, now: float, changes: Mapping[str, object], remove: tuple[str, ...] = ()) -> Update:
    """End a claimed task: its callback becomes due, or nothing more is open."""
    changes = {**changes, "finished_at": now}
    if task.callback:
        changes |= {"callback_since": now, **_due(now, now)}
    else:
        remove = (*remove, *_CLOSED)
    return Update(task_key(task.id), set=changes, remove=remove, where=_claimed(task))


def _error(failure: Failure) -> dict[str, object]:
    # What Claude says may quote what it was asked, and an item that is too large is refused (DynamoDB: 400 KB).
    return {"error_type": failure.type, "error_message": failure.message[:MAX_ERROR_CHARACTERS]}


def _due(at: float, now: float) -> dict[str, object]:
    return {"due_at": at, "open_at": open_at(look_at(at, now))}


def _claimed(task: Task) -> dict[str, object]:
    """Return the condition under which the worker that claimed this attempt, and no other, may end it."""
    return {"attempts": task.attempts}


def _claimed_callback(task: Task) -> dict[str, object]:
    """The courier of this claim, and no other: attempts are counted anew when a callback is sent again."""
    return {"callback_claims": task.callback_claims}
