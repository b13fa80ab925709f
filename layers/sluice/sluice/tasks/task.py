"""A task: one queued request, where it stands, and where its callback stands.

    status    queued -> running -> succeeded | failed         queued -> cancelled        running -> queued (tried again)
    callback  pending -> delivered | undelivered              undelivered, delivered -> pending (sent again)

``due_at`` is when the next step may be taken, whatever it is: when a queued task may start, when a running one counts
as abandoned, when a callback may be tried. A message that arrives earlier is put back until then.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, fields
from datetime import UTC, datetime
from typing import Any, Literal

from sluice.tasks.answer import Answer

Status = Literal["queued", "running", "succeeded", "failed", "cancelled"]
CallbackState = Literal["pending", "delivered", "undelivered"]

STATUSES: tuple[Status, ...] = ("queued", "running", "succeeded", "failed", "cancelled")
ENDED: tuple[Status, ...] = ("succeeded", "failed")
OPEN = "TASK"


@dataclass(frozen=True, slots=True)
class Task:
    """Times are epoch seconds. ``caller`` owns the task; ``model`` is None where the stack's default is to be used."""

    id: str
    caller: str
    status: Status
    created_at: float
    due_at: float
    expires_at: int
    status_url: str
    model: str | None = None
    callback_url: str | None = None
    topic_attribute: str | None = None
    metadata: str | None = None
    attempts: int = 0
    started_at: float | None = None
    finished_at: float | None = None
    waiting_for: str | None = None
    error_type: str | None = None
    error_message: str | None = None
    callback: CallbackState | None = None
    callback_attempts: int = 0
    callback_since: float | None = None
    callback_error: str | None = None
    delivered_at: float | None = None

    @property
    def ended(self) -> bool:
        return self.status in ENDED

    @property
    def event(self) -> str:
        """Return the name of what a callback tells, such as task.succeeded."""
        return f"task.{self.status}"

    def to_item(self) -> dict[str, object]:
        values: dict[str, object] = {each.name: getattr(self, each.name) for each in fields(self)}
        return values | {"open": OPEN, "open_at": open_at(self.due_at)}

    @classmethod
    def from_item(cls, item: Mapping[str, Any]) -> Task:
        return cls(**{each.name: item[each.name] for each in fields(cls) if each.name in item})

    def metadata_object(self) -> dict[str, Any] | None:
        """Return the caller's own data as it came."""
        decoded: dict[str, Any] | None = json.loads(self.metadata) if self.metadata else None
        return decoded


def open_at(due_at: float) -> str:
    """Write a time so that text sorts as time does, for the index over what is open."""
    return f"{due_at:017.3f}"


def new_task_id(now: float) -> str:
    """Make an id that sorts by time and cannot be guessed: 48 bits of milliseconds, 80 bits of chance."""
    return f"task_{int(now * 1000):012x}{secrets.token_hex(10)}"


def task_view(task: Task, answer: Answer | None = None) -> dict[str, Any]:
    """Build the JSON object for a task; what has no value is left out. Times are ISO 8601 in UTC."""
    view = {
        "id": task.id,
        "type": "task",
        "status": task.status,
        "status_url": task.status_url,
        "created_at": iso_time(task.created_at),
        "expires_at": iso_time(task.expires_at),
        "started_at": iso_time(task.started_at),
        "finished_at": iso_time(task.finished_at),
        "next_attempt_at": iso_time(task.due_at) if task.status == "queued" else None,
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
    return {"type": task.event, "timestamp": iso_time(task.finished_at), "data": data}


def _answer(answer: Answer) -> dict[str, Any]:
    return {
        "text": answer.text,
        "message": answer.message,
        "usage": answer.message.get("usage"),
        "estimated_cost_usd": answer.cost,
        "request_id": answer.request_id,
    }


def _timings(task: Task) -> dict[str, float] | None:
    """Seconds: ``queued`` until the attempt began that ended the task, with all that was tried before."""
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
            "next_attempt_at": iso_time(task.due_at) if waits else None,
            "delivered_at": iso_time(task.delivered_at),
            "error": task.callback_error,
        }
    )


def iso_time(at: float | None) -> str | None:
    """Write epoch seconds as ISO 8601 with milliseconds, in UTC."""
    if at is None:
        return None
    return datetime.fromtimestamp(at, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _without_none(view: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in view.items() if value is not None}
