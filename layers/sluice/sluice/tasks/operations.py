"""What a caller can do with tasks: queue, read, list, cancel, have the callback sent again."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from itertools import islice

from sluice.access.guard import Caller, Guard
from sluice.aws.sqs import Sqs
from sluice.backoff import REDELIVER
from sluice.callbacks.addresses import AddressPolicy
from sluice.deadline import Deadline
from sluice.errors import AwsError, ConditionFailed, Conflict, InvalidRequest, NotFound, TooManyRequests
from sluice.http.idempotency import Idempotency, parse_idempotency_key
from sluice.settings import TaskSettings
from sluice.tasks.answer import Answer
from sluice.tasks.request import TaskRequest, parse_task_request
from sluice.tasks.table import Payloads, TaskTable
from sluice.tasks.task import OVERDUE_SECONDS, STATUSES, Task, is_far_off, look_at, new_task_id

MAX_PAGE = 100
# Far more than a task's id has, and less than DynamoDB takes in a sort key, whatever the letters.
_LONGEST_ID = 200
# A list with a rare status looks at this many tasks at most, then gives back where to go on.
_MOST_LOOKED_AT = 300


@dataclass(frozen=True, slots=True)
class Page:
    """``last_id`` is where the next page begins, None after the last. A page may have fewer tasks than asked for."""

    tasks: tuple[Task, ...]
    last_id: str | None


@dataclass(frozen=True, slots=True)
class TaskService:
    """Tasks belong to ``Caller.owner``: those of others are not found. Raises RequestErrors, and AwsErrors."""

    settings: TaskSettings
    table: TaskTable
    payloads: Payloads
    sqs: Sqs
    guard: Guard
    callback_policy: AddressPolicy
    now: Callable[[], float] = time.time

    def submit(self, caller: Caller, body: bytes, headers: Mapping[str, str], base_url: str) -> Task:
        """Queue a request; with an ``Idempotency-Key``, return the task that its first call made."""
        request = parse_task_request(body, headers, self.callback_policy)
        key = parse_idempotency_key(headers)
        model = request.model or self.settings.default_model
        self.guard.admit(caller, model)
        self.guard.check_known(caller, {**request.params, "model": model}, request.headers)
        task = self._new_task(caller, request, base_url)
        idempotency = Idempotency.of(caller.owner, key, request.fingerprint) if key else None
        kept = self.payloads.store(f"{task.id}/request", request.document())
        try:
            self.table.create(task, kept, idempotency)
        except AwsError as error:
            if idempotency and isinstance(error, ConditionFailed):
                return self._repeat(idempotency)
            # The answer to a write may be lost, and a try to write the same again then finds it done.
            if self.table.find(task.id) is None:
                raise
        self._enqueue(task, cancel_on_failure=idempotency is None)
        return task

    def _new_task(self, caller: Caller, request: TaskRequest, base_url: str) -> Task:
        now = self.now()
        task_id = new_task_id(now)
        due_at = now + request.delay_seconds
        return Task(
            id=task_id,
            caller=caller.owner,
            status="queued",
            created_at=now,
            due_at=due_at,
            expires_at=int(due_at + self.settings.task_ttl_hours * 3600),
            status_url=f"{self.settings.api_base_url.rstrip('/') or base_url}/v1/tasks/{task_id}",
            model=request.model,
            callback_url=request.callback_url,
            topic_attribute=request.topic_attribute,
            metadata=request.metadata,
            callback="pending" if request.callback_url or request.topic_attribute else None,
        )

    def _repeat(self, idempotency: Idempotency) -> Task:
        """Answer a repeated call. Its first one may have died before it queued the task, so that is done again."""
        first = self.table.first_call(idempotency)
        task = self.table.find(first.task_id) if first else None
        if first is None or task is None or self._expired(task):
            raise Conflict("Idempotency-Key: its first task is about to be forgotten; use another key.")
        if first.fingerprint != idempotency.fingerprint:
            raise Conflict("Idempotency-Key: it was used before, with another body.")
        if task.status == "queued" and not task.attempts:
            self._enqueue(task)
        return task

    def _enqueue(self, task: Task, *, cancel_on_failure: bool = False) -> None:
        now = self.now()
        if is_far_off(task.due_at, now):
            return
        try:
            self.sqs.send(self.settings.task_queue_url, {"task_id": task.id}, task.due_at - now)
        except AwsError:
            # The caller gets an error and will ask again with nothing to tie the calls together: one must not run.
            if cancel_on_failure:
                with suppress(AwsError):
                    self.table.cancel(task.id, self.now())
            raise

    def read(self, caller: Caller, task_id: str) -> tuple[Task, Answer | None]:
        task = self._find(caller, task_id)
        return task, load_answer(self.table, self.payloads, task)

    def list_tasks(self, caller: Caller, status: str | None, limit: int, after_id: str | None) -> Page:
        """Read a page of the caller's tasks, newest first."""
        if status is not None and status not in STATUSES:
            raise InvalidRequest(f"status: has to be one of {', '.join(STATUSES)}.")
        if not 1 <= limit <= MAX_PAGE:
            raise InvalidRequest(f"limit: has to be from 1 to {MAX_PAGE}.")
        if after_id is not None and len(after_id) > _LONGEST_ID:
            raise InvalidRequest("after_id: has to be the id of a task.")
        found: list[Task] = []
        last_id = None
        for task_id in islice(self.table.list_ids(caller.owner, after_id), _MOST_LOOKED_AT):
            if len(found) == limit:
                return Page(tuple(found), last_id)
            last_id = task_id
            task = self.table.find(task_id)
            if task and not self._expired(task) and status in (None, task.status):
                found.append(task)
        return Page(tuple(found), last_id if last_id and self._has_more(caller, last_id) else None)

    def _has_more(self, caller: Caller, last_id: str) -> bool:
        return next(self.table.list_ids(caller.owner, last_id), None) is not None

    def cancel(self, caller: Caller, task_id: str) -> Task:
        """End a task that has not started. Raises Conflict where it has."""
        self._find(caller, task_id)
        try:
            return self.table.cancel(task_id, self.now())
        except ConditionFailed:
            task = self._find(caller, task_id)
            if task.status == "cancelled":
                return task
            raise Conflict(f"The task is {task.status}; only a queued one can be cancelled.") from None

    def redeliver(self, caller: Caller, task_id: str) -> Task:
        """Send the callback of an ended task again: at once the first time, then no more often than it is tried.

        Raises Conflict where there is none, TooManyRequests where it has just been sent again.
        """
        self.guard.take_turn(caller)
        task = self._find(caller, task_id)
        if task.callback is None or not task.ended:
            raise Conflict(f"The task is {task.status} and has no callback that could be sent again.")
        now = self.now()
        wait = _next_redelivery(task) - now
        if wait > 0:
            raise TooManyRequests(f"This callback can be sent again in {math.ceil(wait)} seconds.", wait)
        try:
            task = self.table.reopen_callback(task, now)
        except ConditionFailed:
            raise TooManyRequests("This callback has just been sent again.", REDELIVER.delay(1)) from None
        self.sqs.send(self.settings.callback_queue_url, {"task_id": task_id})
        return task

    def _find(self, caller: Caller, task_id: str) -> Task:
        task = self.table.find(task_id)
        if task is None or task.caller != caller.owner or self._expired(task):
            raise NotFound("There is no such task.")
        return task

    def _expired(self, task: Task) -> bool:
        # DynamoDB: Time to live. Expired items may be there for some days.
        return task.expires_at <= self.now()


def _next_redelivery(task: Task) -> float:
    """Return from when on the callback of a task may be sent again: receivers are of the caller's choice, and what they
    get is many times as long as the call that asks for it."""
    return (task.callback_since or 0.0) + REDELIVER.delay(task.redeliveries) if task.redeliveries else 0.0


def load_answer(table: TaskTable, payloads: Payloads, task: Task) -> Answer | None:
    """Read the answer of a task that has one."""
    if task.status != "succeeded":
        return None
    item = table.find_answer(task.id)
    return Answer.parse(payloads.load(item)) if item else None


LOOK_AGAIN_SECONDS = 6 * 3600.0
# Left for the message at hand when a look has to end; the next one goes on.
_RESERVE_SECONDS = 30.0


def send_due(settings: TaskSettings, table: TaskTable, sqs: Sqs, now: float, deadline: Deadline) -> int:
    """Send their messages to tasks and callbacks whose time comes after a long wait, and again to those that have lost
    theirs. Return how many of the latter there were. Raises AwsError."""
    lost = 0
    for task in table.to_look_at(now):
        if deadline.is_within(_RESERVE_SECONDS):
            break
        queue_url = settings.callback_queue_url if task.ended else settings.task_queue_url
        sqs.send(queue_url, {"task_id": task.id}, task.due_at - now)
        is_lost = task.due_at + OVERDUE_SECONDS <= now
        lost += is_lost
        # Behind the message: sent twice it does no harm, lost it would.
        with suppress(ConditionFailed):
            table.look_again(task, now + LOOK_AGAIN_SECONDS if is_lost else look_at(task.due_at, task.due_at))
    return lost
