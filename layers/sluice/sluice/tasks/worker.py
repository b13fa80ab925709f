"""Run one task: take it, ask Claude, write down what came of it, and pass it on to be called back.

What a message means is decided by the table alone. It is taken by a conditional write that only one worker wins, for as
long as that worker can live at most; a message that finds nothing to take is put back until there may be something, or
dropped. So a message that is delivered twice, late or out of order changes nothing.

Waiting is never done by sleeping, nor by letting a message reappear: a new message is sent with the delay, and the old
one is deleted. The count of receives then counts crashes alone, and only what kills workers becomes a dead letter.
"""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from random import Random
from typing import Any, Literal

from aws_lambda_powertools import Logger

from sluice.access.spending import add_usage
from sluice.aws.queues import MAX_DELAY_SECONDS, Queues
from sluice.aws.topic import Topic
from sluice.errors import AwsError, AwsUnavailable, ConditionFailed, PassingFailure, PermanentFailure, SystemicFailure
from sluice.incidents import Incident, Incidents, kind_of_failure
from sluice.tasks.answers import Answer
from sluice.tasks.claude import Claude
from sluice.tasks.documents import Documents
from sluice.tasks.notices import incident_notice
from sluice.tasks.retries import held_delay, task_delay
from sluice.tasks.settings import TaskSettings
from sluice.tasks.table import Failure, TaskTable
from sluice.tasks.task import Task

Outcome = Literal["succeeded", "failed", "retried", "suspended", "held", "early", "dropped"]

# Kept from Claude's time to write down what came.
_WRITE_SECONDS = 15.0
# A lease outlives its worker by this much, for clocks that differ.
_LEASE_MARGIN = 5.0
# After a defect of ours.
_DEFECT_SECONDS = 60.0
# A task held back by an incident fails while its caller can still read so.
_LAST_WORD_SECONDS = 3600.0

logger = Logger(child=True)


@dataclass(frozen=True, slots=True)
class _Hold:
    task: Task
    incident: Incident


@dataclass(frozen=True, slots=True)
class Worker:
    settings: TaskSettings
    table: TaskTable
    documents: Documents
    queues: Queues
    topic: Topic
    incidents: Incidents
    claude: Claude
    now: Callable[[], float] = time.time
    random: Random = field(default_factory=Random)

    def run(self, task_id: str, seconds_left: float) -> Outcome:
        """Do what a message asks, within ``seconds_left``. Raises AwsError where the message has to come again."""
        hold = self._find_hold(task_id)
        if hold and not self.incidents.claim_probe(hold.incident):
            return self._hold(hold)
        now = self.now()
        try:
            task = self.table.claim(task_id, now, now + seconds_left + _LEASE_MARGIN)
        except ConditionFailed:
            return self._settle(task_id)
        if task.attempts > self.settings.task_max_attempts:
            return self._fail(task, Failure("api_error", "The task stopped its worker each time it was run."))
        outcome = self._attempt(task, seconds_left)
        if hold and outcome == "succeeded":
            self.incidents.release(hold.incident.kind)
        return outcome

    def _attempt(self, task: Task, seconds_left: float) -> Outcome:
        try:
            params, headers = self._request(task)
            answer = self.claude.ask(params, headers, max(seconds_left - _WRITE_SECONDS, 1.0))
        except SystemicFailure as failure:
            return self._suspend(task, failure)
        except PermanentFailure as failure:
            return self._fail(task, Failure(failure.error_type, str(failure)))
        except PassingFailure as failure:
            return self._retry(task, Failure(failure.error_type, str(failure)), failure.retry_after)
        except AwsUnavailable as error:
            return self._retry(task, Failure("api_error", str(error)), None)
        except Exception:
            # Otherwise the task would count as running until its lease ends.
            self.table.put_back(task, self.now() + _DEFECT_SECONDS, Failure("api_error", "An error inside Sluice."))
            raise
        return self._succeed(task, answer)

    def _request(self, task: Task) -> tuple[dict[str, Any], dict[str, str]]:
        item = self.table.find_request(task.id)
        if item is None:
            raise PermanentFailure("What the task asks is no longer there.")
        request = json.loads(self.documents.load(item))
        return {**request["params"], "model": self._model(task)}, request["headers"]

    def _model(self, task: Task) -> str:
        """A task without a model gets the default of the day it runs, so that a retired default can be replaced."""
        return task.model or self.settings.default_model

    # What came of it

    def _succeed(self, task: Task, answer: Answer) -> Outcome:
        kept = self.documents.store(f"{task.id}/answer-{task.attempts}", answer.document())
        try:
            ended = self.table.succeed(task, self.now(), kept)
        except ConditionFailed:
            return self._settle(task.id)
        self._account(task, answer)
        self._call_back(ended)
        return "succeeded"

    def _fail(self, task: Task, failure: Failure) -> Outcome:
        try:
            ended = self.table.fail(task, self.now(), failure)
        except ConditionFailed:
            return self._settle(task.id)
        self._call_back(ended)
        return "failed"

    def _retry(self, task: Task, failure: Failure, retry_after: float | None) -> Outcome:
        due_at = self.now() + task_delay(task.attempts, retry_after, self.random)
        if task.attempts >= self.settings.task_max_attempts or due_at >= task.expires_at:
            return self._fail(task, failure)
        return self._put_back(task, due_at, failure) or "retried"

    def _suspend(self, task: Task, failure: SystemicFailure) -> Outcome:
        """Stop the queue for what no task can get past, and tell a person, once."""
        if failure.error_type == "not_found_error" and task.model:
            # A model that the caller named is the caller's to correct; nobody else need wait for it.
            return self._fail(task, Failure(failure.error_type, str(failure)))
        kind = kind_of_failure(failure, self._model(task))
        if self.incidents.open_incident(kind, str(failure)):
            self._tell(kind, failure)
        due_at = self.now() + held_delay(0, self.random)
        suspended = Failure(failure.error_type, str(failure))
        return self._put_back(task, due_at, suspended, uncounted=True) or "suspended"

    def _tell(self, kind: str, failure: SystemicFailure) -> None:
        try:
            self.topic.publish(incident_notice(kind, str(failure)))
            self.incidents.mark_told(kind)
        except AwsError as error:
            # Without the mark, whoever meets the incident a minute from now tells.
            logger.warning("A notice of an incident could not be sent.", kind=kind, error=str(error))

    def _put_back(self, task: Task, due_at: float, failure: Failure, *, uncounted: bool = False) -> Outcome | None:
        try:
            self.table.put_back(task, due_at, failure, uncounted=uncounted)
        except ConditionFailed:
            return self._settle(task.id)
        self._send(task.id, due_at)
        return None

    def _account(self, task: Task, answer: Answer) -> None:
        """Count an answer against the budget of the key that asked; its loss is no reason to ask Claude again."""
        kind, _, key_id = task.caller.partition(":")
        if kind != "key":
            return
        try:
            add_usage(self.table.table, key_id, answer.spent(), self.now())
        except AwsError as error:
            logger.warning("A task's cost was not counted.", task_id=task.id, error=str(error))

    # Messages

    def _find_hold(self, task_id: str) -> _Hold | None:
        """Find the open incident that keeps a due task from running."""
        incidents = self.incidents.list_open()
        task = self.table.find(task_id) if incidents else None
        if task is None or task.status != "queued" or task.due_at > self.now():
            return None
        for incident in incidents:
            _, of_a_model, model = incident.kind.partition(":")
            if not of_a_model or model == self._model(task):
                return _Hold(task, incident)
        return None

    def _hold(self, hold: _Hold) -> Outcome:
        task, now = hold.task, self.now()
        due_at = now + held_delay(now - hold.incident.opened_at, self.random)
        last_word = task.expires_at - min(_LAST_WORD_SECONDS, (task.expires_at - task.created_at) / 10)
        try:
            if due_at >= last_word:
                claimed = self.table.claim(task.id, now, now + _WRITE_SECONDS)
                return self._fail(claimed, Failure(hold.incident.kind.partition(":")[0], hold.incident.message))
            self.table.hold(task, due_at, hold.incident.kind)
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
        delay = min(max(math.ceil(due_at - self.now()), 1), MAX_DELAY_SECONDS)
        self.queues.send(self.settings.task_queue_url, {"task_id": task_id}, delay)

    def _call_back(self, task: Task) -> None:
        if task.callback:
            self.queues.send(self.settings.callback_queue_url, {"task_id": task.id})
