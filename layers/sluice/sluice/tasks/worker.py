"""Run one task: take it, ask Claude, write down what came of it, and pass it on to be called back.

What a message means is decided by the table alone. It is taken by a conditional write that only one worker wins, for as
long as that worker can live at most; a message that finds nothing to take is put back until there may be something, or
dropped. So a message that is delivered twice, late or out of order changes nothing.

Waiting is never done by sleeping, nor by letting a message reappear: a new message is sent with the delay, and the old
one is deleted. The count of receives then counts crashes alone, and only what kills workers becomes a dead letter. What
waits for longer than SQS holds a message is sent one by the schedule (``operations.send_due``).
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from random import Random
from typing import Any, Literal

from aws_lambda_powertools import Logger

from sluice.access.usage import AnswerUsage, Reservation
from sluice.aws.sqs import Sqs
from sluice.backoff import INCIDENT_HOLD, TASK, WRITE_ANSWER
from sluice.claude.errors import concerns_message, is_disproved_by_refusal, type_of_kind
from sluice.deadline import Deadline
from sluice.errors import (
    AccountError,
    AwsError,
    AwsUnavailable,
    ClaudeError,
    ConditionFailed,
    PermanentError,
    RequestError,
    TooManyRequests,
    TransientError,
)
from sluice.incidents import Incidents, IncidentView
from sluice.notify.channels import Notifier
from sluice.settings import TaskSettings
from sluice.tasks.answer import Answer
from sluice.tasks.billing import Billing
from sluice.tasks.holds import IncidentHolds, TaskHold
from sluice.tasks.sdk import ClaudeSdk, UnfinishedAnswer
from sluice.tasks.table import Failure, Payloads, TaskTable
from sluice.tasks.task import Task, is_far_off

Outcome = Literal["succeeded", "failed", "retried", "suspended", "held", "early", "dropped"]

# Kept from Claude's time to write down what came, and what the last try at that needs where AWS hangs each time.
_WRITE_SECONDS = 45.0
_LAST_TRY_SECONDS = 20.0
# A lease outlives its worker by this much, for clocks that differ.
_LEASE_MARGIN = 5.0
# After a defect of ours.
_DEFECT_SECONDS = 60.0

logger = Logger(child=True)


@dataclass(frozen=True, slots=True)
class Worker:
    settings: TaskSettings
    table: TaskTable
    payloads: Payloads
    sqs: Sqs
    notifier: Notifier
    incidents: Incidents
    claude: ClaudeSdk
    now: Callable[[], float] = time.time
    random: Random = field(default_factory=Random)
    sleep: Callable[[float], None] = time.sleep

    def run(self, task_id: str, deadline: Deadline) -> Outcome:
        """Do what a message asks, before ``deadline``. Raises AwsError where the message has to come again."""
        until = self.now() + deadline.left()
        view = self.incidents.look()
        hold = self._holds.find(task_id, view)
        is_probe = hold is not None and self._may_ask(hold.task)
        if hold and is_probe and not self.incidents.claim_probe(hold.incident):
            return self._hold(hold)
        try:
            task = self.table.claim(task_id, self.now(), until + _LEASE_MARGIN)
        except ConditionFailed:
            return self._settle(task_id)
        if task.attempts > self.settings.task_max_attempts:
            return self._fail(task, Failure("api_error", "The task stopped its worker each time it was run."))
        outcome = self._attempt(task, until, view)
        if hold and is_probe and outcome == "failed":
            # What fails for its own sake must not use up the probes of the others.
            self.incidents.return_probe(hold.incident)
        return outcome

    def _attempt(self, task: Task, until: float, view: IncidentView) -> Outcome:
        try:
            self._billing.check(task, self._model(task))
            params, headers = self._request(task)
            reserved = self._billing.reserve(task, params)
            answer = self._ask(task, params, headers, until, reserved)
        except TooManyRequests as busy:
            return self._retry(task, Failure(busy.error_type, str(busy)), busy.retry_after)
        except RequestError as refusal:
            return self._fail(task, Failure(refusal.error_type, str(refusal)))
        except UnfinishedAnswer as cut:
            return self._refused(task, cut.failure, view)
        except ClaudeError as failure:
            return self._refused(task, failure, view)
        except AwsUnavailable as error:
            return self._retry(task, Failure("api_error", str(error)), None)
        except Exception:
            # Otherwise the task would count as running until its lease ends.
            now = self.now()
            self.table.put_back(task, now, now + _DEFECT_SECONDS, Failure("api_error", "An error inside Sluice."))
            raise
        self._end_incidents(view, lambda kind: concerns_message(kind, self._model(task)))
        return self._succeed(task, answer, until)

    def _end_incidents(self, view: IncidentView, disproves: Callable[[str], bool]) -> None:
        """End what an answer disproves; the answer itself matters more."""
        try:
            self.incidents.end_disproved(view, disproves)
        except AwsError as error:
            logger.warning("An incident could not be ended.", error=str(error))

    def _ask(
        self,
        task: Task,
        params: Mapping[str, Any],
        headers: Mapping[str, str],
        until: float,
        reserved: Sequence[Reservation],
    ) -> Answer:
        """Ask Claude, and settle what that cost, whatever comes of it. Raises as ``ClaudeSdk.ask`` does."""
        spent = AnswerUsage(succeeded=False)
        try:
            answer = self.claude.ask(params, headers, max(until - self.now() - _WRITE_SECONDS, 1.0))
            spent = answer.spent()
            return answer
        except UnfinishedAnswer as cut:
            spent = cut.begun.spent(succeeded=False)
            raise
        except ClaudeError as failure:
            if failure.error_type == "timeout_error" and failure.http_status is None:
                # Claude may have written, and charges for it. Nothing was read, so it counts as much as it could be.
                spent = AnswerUsage(succeeded=False, cost=sum(each.dollars for each in reserved))
            raise
        finally:
            if spent.cost or spent.succeeded or spent.input_tokens or reserved:
                self._billing.account(task, spent, reserved)

    def _may_ask(self, task: Task) -> bool:
        """Return whether a task can be a probe. One that its key bars from Claude need not wait, only to fail then."""
        try:
            self._billing.check(task, self._model(task))
        except RequestError:
            return False
        return True

    def _request(self, task: Task) -> tuple[dict[str, Any], dict[str, str]]:
        item = self.table.find_request(task.id)
        if item is None:
            raise PermanentError("What the task asks is no longer there.")
        request = json.loads(self.payloads.load(item))
        return {**request["params"], "model": self._model(task)}, request["headers"]

    def _model(self, task: Task) -> str:
        """Return the model of a task, or the default of the day it runs, so that a retired default can be replaced."""
        return task.model or self.settings.default_model

    @property
    def _holds(self) -> IncidentHolds:
        return IncidentHolds(self.table, self.incidents, self.notifier, self.settings.default_model, self.now)

    @property
    def _billing(self) -> Billing:
        return Billing(self.table.table, self.now)

    # What came of it

    def _succeed(self, task: Task, answer: Answer, until: float) -> Outcome:
        try:
            ended = self._keep(task, answer, until)
        except ConditionFailed:
            return self._settle(task.id)
        except AwsError as error:
            if error.retryable:
                raise
            # What AWS refuses now it would refuse again, and each time Claude would be paid first.
            logger.error("An answer could not be stored.", task_id=task.id, error=str(error))
            return self._fail(task, Failure("api_error", "Claude's answer could not be stored."))
        self._call_back(ended)
        return "succeeded"

    def _keep(self, task: Task, answer: Answer, until: float) -> Task:
        """Write the answer down. It is paid for: as long as there is time, AWS is asked again, and not Claude."""
        attempt = 0
        while True:
            attempt += 1
            try:
                kept = self.payloads.store(f"{task.id}/answer-{task.attempts}", answer.document())
                return self.table.succeed(task, self.now(), kept)
            except AwsUnavailable as error:
                delay = WRITE_ANSWER.delay(attempt, random=self.random.random)
                if self.now() + delay + _LAST_TRY_SECONDS > until:
                    raise
                logger.warning("An answer could not be stored yet.", task_id=task.id, error=str(error))
                self.sleep(delay)

    def _fail(self, task: Task, failure: Failure) -> Outcome:
        try:
            ended = self.table.fail(task, self.now(), failure)
        except ConditionFailed:
            return self._settle(task.id)
        self._call_back(ended)
        return "failed"

    def _refused(self, task: Task, failure: ClaudeError, view: IncidentView) -> Outcome:
        notified = Failure(failure.error_type, str(failure))
        if isinstance(failure, TransientError):
            return self._retry(task, notified, failure.retry_after)
        if isinstance(failure, AccountError) and self._holds.affects_other_tasks(task, failure):
            self._holds.begin(task, failure, view.version)
            due_at = self.now() + INCIDENT_HOLD.delay(0, self.random.random)
            return self._put_back(task, due_at, notified, uncounted=True) or "suspended"
        if failure.http_status is not None:
            self._end_incidents(view, is_disproved_by_refusal)
        return self._fail(task, notified)

    def _retry(self, task: Task, failure: Failure, retry_after: float | None) -> Outcome:
        due_at = self.now() + TASK.delay(task.attempts, retry_after, self.random.random)
        if task.attempts >= self.settings.task_max_attempts or due_at >= task.expires_at:
            return self._fail(task, failure)
        return self._put_back(task, due_at, failure) or "retried"

    def _put_back(self, task: Task, due_at: float, failure: Failure, *, uncounted: bool = False) -> Outcome | None:
        try:
            self.table.put_back(task, self.now(), due_at, failure, uncounted=uncounted)
        except ConditionFailed:
            return self._settle(task.id)
        self._send(task.id, due_at)
        return None

    # Messages

    def _hold(self, hold: TaskHold) -> Outcome:
        task, now = hold.task, self.now()
        due_at = now + INCIDENT_HOLD.delay(now - hold.incident.opened_at, self.random.random)
        try:
            if due_at >= hold.fails_at:
                claimed = self.table.claim(task.id, now, now + _WRITE_SECONDS)
                return self._fail(claimed, Failure(type_of_kind(hold.incident.kind), hold.incident.message))
            self.table.hold(task, now, due_at, hold.incident.kind)
        except ConditionFailed:
            return self._settle(task.id)
        self._send(task.id, due_at)
        return "held"

    def _settle(self, task_id: str) -> Outcome:
        """Deal with a message whose task cannot be taken now."""
        task = self.table.find(task_id)
        if task is None:
            return "dropped"
        if task.status in ("queued", "running"):
            self._send(task_id, task.due_at)
            return "early"
        if task.ended and task.callback == "pending" and not task.callback_attempts:
            # A worker may have died between the end of the task and the message to call back.
            self._call_back(task)
        return "dropped"

    def _send(self, task_id: str, due_at: float) -> None:
        now = self.now()
        if not is_far_off(due_at, now):
            self.sqs.send(self.settings.task_queue_url, {"task_id": task_id}, max(due_at - now, 1.0))

    def _call_back(self, task: Task) -> None:
        if task.callback:
            self.sqs.send(self.settings.callback_queue_url, {"task_id": task.id})
