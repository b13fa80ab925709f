"""What the completion topic is told of tasks and incidents, and the body of a callback."""

from __future__ import annotations

import json

from sluice.aws.topic import Notice
from sluice.tasks.answers import Answer
from sluice.tasks.task import Task
from sluice.tasks.views import event_view

MAX_CALLBACK_BYTES = 512 * 1024
# SNS: Message size. One message holds the text once for each protocol, 256 KB in all.
MAX_NOTICE_BYTES = 24 * 1024


def event_document(task: Task, answer: Answer | None, limit: int) -> str:
    """Write what happened to a task as JSON of at most ``limit`` bytes; a larger answer is left to ``status_url``."""
    document = json.dumps(event_view(task, answer), ensure_ascii=False)
    if answer is None or len(document.encode()) <= limit:
        return document
    view = event_view(task)
    view["data"]["answer_left_out"] = True
    return json.dumps(view, ensure_ascii=False)


def task_notice(task: Task, answer: Answer | None) -> Notice:
    """Build the message of a task that named a topic attribute."""
    detail = json.loads(event_document(task, answer, MAX_NOTICE_BYTES))
    text = f"The task {task.id} has {task.status}.\n\nRead it at {task.status_url}\n"
    if task.error_message:
        text += f"\nWhat went wrong: {task.error_message}\n"
    return Notice(
        subject=f"Sluice: task {task.status} - {task.topic_attribute}",
        text=text,
        detail={"notification_id": f"{task.id}-{task.status}", "event": task.event, "task_id": task.id, **detail},
        detail_type=f"Sluice Task {task.status.capitalize()}",
        attributes={
            "event": task.event,
            "outcome": task.status,
            "task_id": task.id,
            "topic_attribute": task.topic_attribute or "",
        },
    )


def incident_notice(kind: str, message: str) -> Notice:
    """Build the message that tells a person that tasks wait."""
    text = (
        f"Claude refuses what this stack sends, and no task will get past that by itself:\n\n    {kind}: {message}\n\n"
        "Tasks wait meanwhile; nothing is lost. One is tried every few minutes, and all go on when it succeeds.\n"
        f"To let them go on at once when the cause is gone: POST {{ApiUrl}}/v1/incidents/{kind}/release\n"
    )
    return Notice(
        subject=f"Sluice: tasks wait - {kind}",
        text=text,
        detail={"event": "incident.opened", "kind": kind, "message": message},
        detail_type="Sluice Incident Opened",
        attributes={"event": "incident.opened", "outcome": "held", "kind": kind},
    )
