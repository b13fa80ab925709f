"""The callbacks of tasks, as the courier takes, tells and ends them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial

from sluice.callbacks.courier import MAX_CALLBACK_BYTES, ClaimedCallback, EndState
from sluice.notify.channels import SnsChannel
from sluice.tasks.notices import event_document, task_notice
from sluice.tasks.operations import load_answer
from sluice.tasks.table import Payloads, TaskTable
from sluice.tasks.task import Task


@dataclass(frozen=True, slots=True)
class TaskCallbacks:
    """A ``CallbackBook``.

    ``topic`` alone, and no notifier: a task that named a topic attribute is answered there. That is no notice.
    """

    table: TaskTable
    payloads: Payloads
    topic: SnsChannel

    def claim(self, subject_id: str, now: float, until: float) -> ClaimedCallback[Task]:
        task = self.table.claim_callback(subject_id, now, until)
        since = task.callback_since or task.created_at
        url = None if task.topic_attribute else task.callback_url or ""
        webhook_id = f"msg_{task.id}_{task.status}"
        return ClaimedCallback(
            task, task.id, task.caller, webhook_id, url, task.callback_attempts, since, task.callback_error
        )

    def body(self, claimed: ClaimedCallback[Task]) -> bytes:
        task = claimed.subject
        return event_document(task, load_answer(self.table, self.payloads, task), MAX_CALLBACK_BYTES).encode()

    def publish(self, claimed: ClaimedCallback[Task]) -> Callable[[], None]:
        task = claimed.subject
        return partial(self.topic.send, task_notice(task, load_answer(self.table, self.payloads, task)))

    def put_back(
        self, claimed: ClaimedCallback[Task], now: float, due_at: float, error: str, *, uncounted: bool = False
    ) -> None:
        self.table.put_back_callback(claimed.subject, now, due_at, error, uncounted=uncounted)

    def close(self, claimed: ClaimedCallback[Task], state: EndState, now: float, error: str | None = None) -> None:
        self.table.close_callback(claimed.subject, state, now, error)

    def due_at(self, subject_id: str) -> float | None:
        task = self.table.find(subject_id)
        return task.due_at if task and task.ended and task.callback == "pending" else None

    def message(self, subject_id: str) -> Mapping[str, object]:
        return {"task_id": subject_id}
