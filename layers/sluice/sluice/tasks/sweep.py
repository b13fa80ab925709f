"""Look for tasks that nothing moves any more, and give each a new message.

A message is lost where the API died between making a task and queueing it, or where somebody emptied a queue. A further
message does no harm, since the table decides what it means; a task in a long queue gets one only every few hours.
"""

from __future__ import annotations

from sluice.aws.queues import Queues
from sluice.errors import ConditionFailed
from sluice.tasks.settings import TaskSettings
from sluice.tasks.table import TaskTable

OVERDUE_SECONDS = 1800.0
LOOK_AGAIN_SECONDS = 6 * 3600.0


def send_again(settings: TaskSettings, table: TaskTable, queues: Queues, now: float) -> int:
    """Queue again what is overdue, and return how much that was. Raises AwsError."""
    count = 0
    for task in table.overdue(now - OVERDUE_SECONDS):
        try:
            table.look_again(task, now + LOOK_AGAIN_SECONDS)
        except ConditionFailed:
            continue
        queue_url = settings.callback_queue_url if task.ended else settings.task_queue_url
        queues.send(queue_url, {"task_id": task.id})
        count += 1
    return count
