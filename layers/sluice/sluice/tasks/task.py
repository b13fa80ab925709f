"""A task: one queued request, where it stands, and where its callback stands.

status    queued -> running -> succeeded | failed
          running -> queued                        put back, to be tried again
          queued -> cancelled
callback  pending -> delivered | undelivered
          delivered | undelivered -> pending       sent again

``TASK_TRANSITIONS`` and ``CALLBACK_TRANSITIONS`` say the same to the table, whose methods they are named for.

``due_at`` is when the next step may be taken, whatever it is: when a queued task may start, when a running one counts
as abandoned, when a callback may be tried. A message that arrives earlier is put back until then. SQS holds a message
for 15 minutes at most, so a longer wait has none: the schedule looks at the table, and sends one shortly before.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, Literal

from sluice.aws.sqs import is_too_long
from sluice.table_keys import OPEN_TASKS, open_at
from sluice.tasks.answer import Answer
from sluice.timestamps import rfc3339
from sluice.transitions import Transition

Status = Literal["queued", "running", "succeeded", "failed", "cancelled"]
CallbackState = Literal["pending", "delivered", "undelivered"]

STATUSES: tuple[Status, ...] = ("queued", "running", "succeeded", "failed", "cancelled")
ENDED: tuple[Status, ...] = ("succeeded", "failed")

TASK_TRANSITIONS: Mapping[str, Transition[Status]] = {
    "claim": Transition(("queued", "running"), ("running",)),
    "put_back": Transition(("running",), ("queued",)),
    "hold": Transition(("queued",)),
    "succeed": Transition(("running",), ("succeeded",)),
    "fail": Transition(("running",), ("failed",)),
    "cancel": Transition(("queued",), ("cancelled",)),
}
CALLBACK_TRANSITIONS: Mapping[str, Transition[CallbackState]] = {
    "claim_callback": Transition(("pending",)),
    "put_back_callback": Transition(("pending",)),
    "close_callback": Transition(("pending",), ("delivered", "undelivered")),
    "reopen_callback": Transition(("pending", "delivered", "undelivered"), ("pending",)),
}


@dataclass(frozen=True, slots=True)
class Task:
    """Times in epoch seconds."""

    id: str
    caller: str  #: Who owns it: nobody else can see it.
    status: Status
    created_at: float
    due_at: float  #: When its next step may be taken, whatever that is.
    expires_at: int
    status_url: str
    model: str | None = None  #: None: the stack's default.
    callback_url: str | None = None  #: Where a callback is posted to.
    topic_attribute: str | None = None  #: Set on the message, where the stack's topic is called back instead.
    metadata: str | None = None  #: The caller's own data, as JSON.
    attempts: int = 0  #: How often it was claimed; put back uncounted, it counts one less.
    started_at: float | None = None  #: When the last attempt began.
    finished_at: float | None = None
    waiting_for: str | None = None  #: What it waits for, where an incident holds it.
    error_type: str | None = None  #: Of the last failed attempt.
    error_message: str | None = None
    callback: CallbackState | None = None  #: None where nobody is to be called back.
    callback_attempts: int = 0
    callback_claims: int = 0  #: Rises with each claim and each sending again, and never falls: it fences the couriers.
    callback_since: float | None = None  #: When it first became due; its time to be tried runs from then.
    redeliveries: int = 0  #: How often its owner has asked for another callback.
    callback_error: str | None = None  #: Why the last try failed.
    delivered_at: float | None = None

    @property
    def ended(self) -> bool:
        return self.status in ENDED

    @property
    def event(self) -> str:
        """Return the name of what a callback tells, such as task.succeeded."""
        return f"task.{self.status}"

    def to_item(self) -> dict[str, object]:
        """Return the item of a task that is made now."""
        values: dict[str, object] = {each.name: getattr(self, each.name) for each in fields(self)}
        return values | {"open": OPEN_TASKS, "open_at": open_at(look_at(self.due_at, self.created_at))}

    @classmethod
    def from_item(cls, item: Mapping[str, Any]) -> Task:
        return cls(**{each.name: item[each.name] for each in fields(cls) if each.name in item})

    def metadata_object(self) -> dict[str, Any] | None:
        """Return the caller's own data as it came."""
        decoded: dict[str, Any] | None = json.loads(self.metadata) if self.metadata else None
        return decoded


# A message that has not been acted on for so long after its time is lost.
OVERDUE_SECONDS = 1800.0
# The schedule looks every five minutes, so that one look may fail.
_LOOK_AHEAD_SECONDS = 600.0


def is_far_off(due_at: float, now: float) -> bool:
    """Return whether a time is too far off for a message, so that the schedule sends it."""
    return is_too_long(due_at - now)


def look_at(due_at: float, now: float) -> float:
    """Return when the schedule looks at a task that waits from now on: before its time where it has no message on the
    way, after it where it has one."""
    return due_at - _LOOK_AHEAD_SECONDS if is_far_off(due_at, now) else due_at + OVERDUE_SECONDS


def new_task_id(now: float) -> str:
    """Make an id that sorts by time and cannot be guessed: 48 bits of milliseconds, 80 bits of chance."""
    return f"task_{int(now * 1000):012x}{secrets.token_hex(10)}"


def task_view(task: Task, answer: Answer | None = None) -> dict[str, Any]:
    """Build the JSON object for a task; what has no value is left out. Times are RFC 3339 in UTC."""
    view = {
        "id": task.id,
        "type": "task",
        "status": task.status,
        "status_url": task.status_url,
        "created_at": rfc3339(task.created_at),
        "expires_at": rfc3339(task.expires_at),
        "started_at": rfc3339(task.started_at),
        "finished_at": rfc3339(task.finished_at),
        "next_attempt_at": rfc3339(task.due_at) if task.status == "queued" else None,
        "attempts": task.attempts,
        "waiting_for": task.waiting_for,
        "metadata": task.metadata_object(),
        "error": {"type": task.error_type, "message": task.error_message} if task.error_type else None,
        "timings": _timings(task),
        "callback": _callback(task),
    }
    return _without_none(view) | (_answer(answer) if answer else {})


def event_view(task: Task, answer: Answer | None = None) -> dict[str, Any]:
    """Build what a callback tells (Standard Webhooks: payload structure)."""
    data = task_view(task, answer)
    data.pop("callback", None)
    return {"type": task.event, "timestamp": rfc3339(task.finished_at), "data": data}


def _answer(answer: Answer) -> dict[str, Any]:
    return {
        "text": answer.text,
        "message": answer.message,
        "usage": answer.message.get("usage"),
        "estimated_cost_usd": answer.cost,
        "request_id": answer.request_id,
    }


def _timings(task: Task) -> dict[str, float] | None:
    """Return seconds: ``queued`` until the attempt began that ended the task, with all that was tried before."""
    if task.finished_at is None or task.started_at is None:
        return None
    return {
        "queued_seconds": round(task.started_at - task.created_at, 3),
        "running_seconds": round(task.finished_at - task.started_at, 3),
        "total_seconds": round(task.finished_at - task.created_at, 3),
    }


def _callback(task: Task) -> dict[str, Any] | None:
    if task.callback is None:
        return None
    waits = task.callback == "pending" and task.ended
    return _without_none(
        {
            "url": task.callback_url,
            "topic_attribute": task.topic_attribute,
            "status": task.callback,
            "attempts": task.callback_attempts,
            "next_attempt_at": rfc3339(task.due_at) if waits else None,
            "delivered_at": rfc3339(task.delivered_at),
            "error": task.callback_error,
        }
    )


def _without_none(view: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in view.items() if value is not None}
