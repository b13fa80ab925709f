"""A task at two moments of its life, and an answer."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from sluice.tasks.answer import Answer
from sluice.tasks.task import Task

QUEUED = Task(
    id="task_1",
    caller="iam:ada",
    status="queued",
    created_at=1_800_000_000.0,
    due_at=1_800_000_060.0,
    expires_at=1_800_600_000,
    status_url="https://api.example.com/v1/tasks/task_1",
    callback_url="https://hooks.example.com/",
    callback="pending",
    metadata='{"ticket": "A-1042"}',
)
DONE = replace(
    QUEUED, status="succeeded", attempts=1, started_at=1_800_000_061.5, finished_at=1_800_000_063.0, callback_attempts=1
)


def answer(text: str = "Because of Rayleigh.", **usage: Any) -> Answer:
    message = {
        "model": "claude-haiku-5-5",
        "content": [{"type": "thinking", "thinking": "..."}, {"type": "text", "text": text}],
        "usage": {"input_tokens": 1000, "output_tokens": 100} | usage,
    }
    return Answer.of_message(message, "req_1")
