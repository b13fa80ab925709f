"""Who pays for a task: the client key that queued it, which may be revoked or spent by the time the task runs."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from aws_lambda_powertools import Logger

from sluice.access.guard import Caller, Guard
from sluice.access.store import KeyStore
from sluice.access.usage import AnswerUsage, Reservation, add_usage
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

    def reserve(self, task: Task, params: Mapping[str, Any]) -> tuple[Reservation, ...]:
        """Take what the task may cost from the budget of its key, if it has one, right before Claude is asked.

        Raises BudgetSpent where less than that is left, TooManyRequests where that is so for a moment.
        """
        key_id = _key_id(task)
        record = KeyStore(self.table).find(key_id) if key_id else None
        if record is None:
            return ()
        caller = Caller(task.caller, key_id, record.terms)
        reserved = Guard("keys", KeyStore(self.table), self.now).reserve(caller, params, len(json.dumps(params)))
        return (reserved,) if reserved else ()

    def account(self, task: Task, spent: AnswerUsage, reserved: Sequence[Reservation] = ()) -> None:
        """Count what Claude was paid against the key, and give back the rest of what was reserved.

        The loss of that is no reason to ask Claude again.
        """
        key_id = _key_id(task)
        if key_id is None:
            return
        try:
            add_usage(self.table, key_id, spent, self.now(), reserved)
        except AwsError as error:
            logger.warning("A task's cost was not counted.", task_id=task.id, error=str(error))


def _key_id(task: Task) -> str | None:
    kind, _, key_id = task.caller.partition(":")
    return key_id if kind == "key" else None
