"""Who pays for a task: the client key that queued it, which may be revoked or spent by the time the task runs."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace

from aws_lambda_powertools import Logger

from sluice.access.guard import Caller, Guard
from sluice.access.store import KeyStore
from sluice.access.usage import AnswerUsage, add_usage
from sluice.aws.dynamodb import Table
from sluice.errors import AwsError, Forbidden
from sluice.tasks.task import Task

logger = Logger(child=True)


@dataclass(frozen=True, slots=True)
class Billing:
    """Tasks of IAM principals are the account's own, and always may run."""

    table: Table
    now: Callable[[], float] = time.time

    def check(self, task: Task, model: str) -> None:
        """Ask whether Claude may be asked now. Raises Forbidden or BudgetSpent where that is over for good."""
        key_id = _key_id(task)
        if key_id is None:
            return
        register = KeyStore(self.table)
        record = register.find(key_id)
        if record is None or record.revoked_at is not None:
            raise Forbidden("The key that queued this task has been revoked.")
        # The task took its turn when it was queued. The guard is a new one, since what one remembers would let a queue
        # that runs at once spend far more than is left.
        terms = replace(record.terms, rate=None)
        Guard("keys", register, self.now).admit(Caller(task.caller, key_id, terms), model)

    def account(self, task: Task, spent: AnswerUsage) -> None:
        """Count what Claude was paid against the key; the loss of that is no reason to ask Claude again."""
        key_id = _key_id(task)
        if key_id is None:
            return
        try:
            add_usage(self.table, key_id, spent, self.now())
        except AwsError as error:
            logger.warning("A task's cost was not counted.", task_id=task.id, error=str(error))


def _key_id(task: Task) -> str | None:
    kind, _, key_id = task.caller.partition(":")
    return key_id if kind == "key" else None
