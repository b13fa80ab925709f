"""The answer of a task as it leaves: a message on the completion topic, or the body of a callback."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from sluice.notify.notice import Notice, one_line
from sluice.tasks.answer import Answer
from sluice.tasks.task import Task, event_view


def event_document(task: Task, answer: Answer | None, limit: int) -> str:
    """Write what happened to a task as JSON of at most ``limit`` bytes; a larger answer is left to ``status_url``."""
    document = _encode(event_view(task, answer))
    if answer is None or len(document.encode()) <= limit:
        return document
    return _encode(_without_answer(task))


def _encode(view: Mapping[str, Any]) -> str:
    # Without blanks, as other languages write JSON: many receivers parse a body and check the signature of what they
    # write again. Half of a surrogate pair, which an answer may hold, is nothing that can be sent.
    return json.dumps(view, ensure_ascii=False, separators=(",", ":")).encode(errors="replace").decode()


def _without_answer(task: Task) -> dict[str, Any]:
    view = event_view(task)
    view["data"]["answer_left_out"] = True
    return view


def task_notice(task: Task, answer: Answer | None) -> Notice:
    """Build the message of a task that named a topic attribute; an answer that SNS would not take is left out."""
    notice = _task_notice(task, event_view(task, answer))
    if answer is None or notice.fits_topic():
        return notice
    return _task_notice(task, _without_answer(task), "The answer is too long for this message. ")


def _task_notice(task: Task, event: Mapping[str, Any], remark: str = "") -> Notice:
    text = f"The task {task.id} has {task.status}.\n\n{remark}Read it at {task.status_url}\n"
    if task.error_message:
        text += f"\nWhat went wrong: {one_line(task.error_message, 2000)}\n"
    return Notice(
        subject=f"Sluice: task {task.status} - {task.topic_attribute}",
        text=text,
        detail={"notification_id": f"{task.id}-{task.status}", "event": task.event, "task_id": task.id, **event},
        detail_type=f"Sluice Task {task.status.capitalize()}",
        attributes={
            "event": task.event,
            "outcome": task.status,
            "task_id": task.id,
            "topic_attribute": task.topic_attribute or "",
        },
    )
