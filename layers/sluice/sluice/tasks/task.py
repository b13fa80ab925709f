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
from typing import Any, Literal

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
