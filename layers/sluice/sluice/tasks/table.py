"""The task door's table: each method is one transition, and each transition one conditional write or transaction.

Items: TASK#<id>/TASK the task; TASK#<id>/TASK#ANSWER its answer; TASK#<id>/REQUEST what was asked;
CALLER#<caller>/TASK#<id> for lists; IDEMPOTENCY#<hash>/TASK which task a repeated call meant.
ConditionFailed always means that somebody else was there first.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from sluice.aws.dynamodb import Item, Key, Put, Table, Update
from sluice.aws.s3 import S3
from sluice.tasks.task import ENDED, OPEN, CallbackState, Task, open_at

INLINE_BYTES = 32 * 1024


@dataclass(frozen=True, slots=True)
class Payloads:
    """Raises as ``S3`` does."""

    objects: S3
    bucket: str

    def store(self, name: str, body: bytes) -> dict[str, object]:
        """Keep a JSON document and return the attributes that lead back to it. ``name`` is unique, without suffix."""
        if len(body) <= INLINE_BYTES:
            return {"document": body.decode()}
        key = f"work/tasks/{name}.json"
        self.objects.put(self.bucket, key, body, "application/json")
        return {"object_key": key}

    def load(self, item: Mapping[str, Any]) -> bytes:
        """Read what ``store`` kept."""
        if "document" in item:
            return str(item["document"]).encode()
        return self.objects.get(self.bucket, item["object_key"])


ANSWER = "TASK#ANSWER"
_CLOSED = ("open", "open_at")


@dataclass(frozen=True, slots=True)
class Idempotency:
    """A caller's ``Idempotency-Key``, hashed together with the caller, and what its first call asked."""

    key_hash: str
    fingerprint: str

    @classmethod
    def of(cls, caller: str, key: str, fingerprint: str) -> Idempotency:
        return cls(hashlib.sha256(f"{caller}\0{key}".encode()).hexdigest(), fingerprint)


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
            Put({"pk": f"TASK#{task.id}", "sk": "TASK", **task.to_item()}),
            Put({"pk": f"TASK#{task.id}", "sk": "REQUEST", **request, **common}),
            Put({"pk": f"CALLER#{task.caller}", "sk": f"TASK#{task.id}", **common}),
        ]
        if idempotency:
            first = {"task_id": task.id, "fingerprint": idempotency.fingerprint}
            puts.append(Put({"pk": f"IDEMPOTENCY#{idempotency.key_hash}", "sk": "TASK", **first, **common}))
        self.table.transact(*puts)

    def first_call(self, idempotency: Idempotency) -> FirstCall | None:
        item = self.table.get(Key(f"IDEMPOTENCY#{idempotency.key_hash}", "TASK"))
        return FirstCall(item["task_id"], item["fingerprint"]) if item else None

    def find(self, task_id: str) -> Task | None:
        item = self.table.get(_key(task_id))
        return Task.from_item(item) if item else None

    def find_request(self, task_id: str) -> Item | None:
        return self.table.get(Key(f"TASK#{task_id}", "REQUEST"))

    def find_answer(self, task_id: str) -> Item | None:
        return self.table.get(Key(f"TASK#{task_id}", ANSWER))

    def list_ids(self, caller: str, before: str | None) -> Iterator[str]:
        """Yield the ids of a caller's tasks, newest first, from the one before ``before`` on."""
        after = f"TASK#{before}" if before else None
        for item in self.table.query(f"CALLER#{caller}", "TASK#", newest_first=True, after=after):
            yield item["sk"].removeprefix("TASK#")

    def overdue(self, before: float) -> Iterator[Task]:
        """Yield the open tasks whose next step was due before a time, longest overdue first."""
        for item in self.table.open(OPEN):
            if item["open_at"] >= open_at(before):
                return
            yield Task.from_item(item)

    # Running

    def claim(self, task_id: str, now: float, until: float) -> Task:
        """Take a task that is due, or one whose worker died, for as long as the worker can live."""
        return self._change(
            task_id,
            set={"status": "running", "started_at": now, **_due(until)},
            add={"attempts": 1},
            remove=("waiting_for",),
            where={"status": ("queued", "running")},
            condition="#due_at <= :due_at",
            values={"due_at": now},
        )

    def put_back(self, task: Task, due_at: float, failure: Failure, *, uncounted: bool = False) -> Task:
        """Queue a claimed task again. ``uncounted``: this attempt does not count against the limit."""
        return self._change(
            task.id,
            set={"status": "queued", "error_type": failure.type, "error_message": failure.message, **_due(due_at)},
            add={"attempts": -1} if uncounted else {},
            where=_claimed(task),
        )

    def hold(self, task: Task, due_at: float, waiting_for: str) -> Task:
        """Let a queued task wait for the end of an incident."""
        return self._change(task.id, set={"waiting_for": waiting_for, **_due(due_at)}, where={"status": "queued"})

    def succeed(self, task: Task, now: float, answer: Mapping[str, object]) -> Task:
        """End a claimed task together with its answer."""
        ending = self._ending(task, now, {"status": "succeeded"}, remove=("error_type", "error_message"))
        key: dict[str, object] = {"pk": f"TASK#{task.id}", "sk": ANSWER, "expires_at": task.expires_at}
        self.table.transact(ending, Put(key | dict(answer), replace=True))
        return replace(task, status="succeeded", finished_at=now, error_type=None, error_message=None)

    def fail(self, task: Task, now: float, failure: Failure) -> Task:
        """End a claimed task with an error."""
        changes: dict[str, object] = {"status": "failed", "error_type": failure.type, "error_message": failure.message}
        return Task.from_item(self.table.update(self._ending(task, now, changes)))

    def cancel(self, task_id: str, now: float) -> Task:
        """End a task that has not started."""
        return self._change(
            task_id,
            set={"status": "cancelled", "finished_at": now},
            remove=(*_CLOSED, "callback", "waiting_for"),
            where={"status": "queued"},
        )

    def _ending(self, task: Task, now: float, changes: dict[str, object], remove: tuple[str, ...] = ()) -> Update:
        changes |= {"finished_at": now}
        if task.callback:
            changes |= {"callback_since": now, **_due(now)}
        else:
            remove = (*remove, *_CLOSED)
        return Update(_key(task.id), set=changes, remove=remove, where=_claimed(task))

    # Calling back

    def claim_callback(self, task_id: str, now: float, until: float) -> Task:
        """Take a callback that is due, or one whose worker died."""
        return self._change(
            task_id,
            set=_due(until),
            add={"callback_attempts": 1},
            where={"status": ENDED, "callback": "pending"},
            condition="#due_at <= :due_at",
            values={"due_at": now},
        )

    def put_back_callback(self, task: Task, due_at: float, error: str, *, uncounted: bool = False) -> Task:
        return self._change(
            task.id,
            set={"callback_error": error, **_due(due_at)},
            add={"callback_attempts": -1} if uncounted else {},
            where=_claimed_callback(task),
        )

    def close_callback(self, task: Task, state: CallbackState, now: float, error: str | None = None) -> Task:
        """End a callback as delivered or undelivered."""
        changes: dict[str, object] = {"callback": state}
        changes |= {"delivered_at": now} if state == "delivered" else {"callback_error": error}
        remove = (*_CLOSED, "callback_error") if state == "delivered" else _CLOSED
        return self._change(task.id, set=changes, remove=remove, where=_claimed_callback(task))

    def reopen_callback(self, task_id: str, now: float) -> Task:
        """Make the callback of an ended task due again, with all its time before it."""
        return self._change(
            task_id,
            set={"callback": "pending", "callback_attempts": 0, "callback_since": now, "open": OPEN, **_due(now)},
            remove=("callback_error", "delivered_at"),
            where={"status": ENDED, "callback": ("pending", "delivered", "undelivered")},
        )

    def look_again(self, task: Task, at: float) -> None:
        """Note that an overdue task has been given a new message, so that it gets no other one soon."""
        self.table.update(Update(_key(task.id), set={"open_at": open_at(at)}, where={"open": OPEN}))

    def _change(self, task_id: str, **update: Any) -> Task:
        return Task.from_item(self.table.update(Update(_key(task_id), **update)))


def _key(task_id: str) -> Key:
    return Key(f"TASK#{task_id}", "TASK")


def _due(at: float) -> dict[str, object]:
    return {"due_at": at, "open_at": open_at(at)}


def _claimed(task: Task) -> dict[str, object]:
    """The worker that claimed this attempt, and no other, may end it."""
    return {"status": "running", "attempts": task.attempts}


def _claimed_callback(task: Task) -> dict[str, object]:
    return {"callback": "pending", "callback_attempts": task.callback_attempts}
