"""A task as its caller sees it: over HTTP, in a callback, in a message of the topic."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from sluice.tasks.answers import Answer
from sluice.tasks.task import Task


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
