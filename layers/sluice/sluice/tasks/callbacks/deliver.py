"""Deliver one callback: sign it, send it to where it may go, and write down what became of it.

A callback is taken by a conditional write, as a task is, so that a message delivered twice calls back once. The
``webhook-id`` is the same for every attempt at one state of a task: a receiver that keeps it sees each state once, even
where a courier died between the call and writing that down.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from random import Random
from typing import Literal

from aws_lambda_powertools import Logger

from sluice.aws.sqs import Sqs
from sluice.backoff import CALLBACK, ENDPOINT_DOWN
from sluice.deadline import Deadline
from sluice.errors import AwsError, ConditionFailed, RequestError
from sluice.notify.channels import SnsChannel
from sluice.settings import TaskSettings
from sluice.table_keys import endpoint_key
from sluice.tasks.callbacks.addresses import AddressPolicy, Endpoint, parse_callback_url
from sluice.tasks.callbacks.circuit_breaker import CircuitBreakers
from sluice.tasks.callbacks.client import CallbackClient, NotDelivered, Reply
from sluice.tasks.callbacks.signatures import BadWebhookSecret, WebhookSecrets, sign
from sluice.tasks.notices import MAX_CALLBACK_BYTES, event_document, task_notice
from sluice.tasks.operations import load_answer
from sluice.tasks.table import Payloads, TaskTable
from sluice.tasks.task import Task, is_far_off
from sluice.version import USER_AGENT

Outcome = Literal["delivered", "undelivered", "retried", "paused", "early", "dropped"]

_LEASE_MARGIN = 5.0
_GONE = 410

logger = Logger(child=True)


@dataclass(frozen=True, slots=True)
class _Refusal:
    """Why a callback was not taken. ``final``: it never will be. ``down``: the endpoint fails; None: not known."""

    error: str
    retry_after: float | None = None
    final: bool = False
    down: bool | None = False


@dataclass(frozen=True, slots=True)
class CallbackDelivery:
    """``secrets`` reads what to sign with, afresh for each callback as far as its cache allows.

    ``topic`` alone, and no notifier: a task that named a topic attribute is answered there. That is no notice.
    """

    settings: TaskSettings
    table: TaskTable
    payloads: Payloads
    sqs: Sqs
    topic: SnsChannel
    breakers: CircuitBreakers
    client: CallbackClient
    policy: AddressPolicy
    secrets: Callable[[], WebhookSecrets]
    now: Callable[[], float] = time.time
    random: Random = field(default_factory=Random)

    def deliver(self, task_id: str, deadline: Deadline) -> Outcome:
        """Do what a message asks. Raises AwsError where the message has to come again."""
        now = self.now()
        try:
            task = self.table.claim_callback(task_id, now, now + deadline.left() + _LEASE_MARGIN)
        except ConditionFailed:
            return self._settle(task_id)
        try:
            return self._publish(task) if task.topic_attribute else self._post(task)
        except ConditionFailed:
            return self._settle(task_id)

    def _publish(self, task: Task) -> Outcome:
        answer = load_answer(self.table, self.payloads, task)
        try:
            self.topic.send(task_notice(task, answer))
        except AwsError as error:
            return self._refused(task, _Refusal(str(error), final=not error.retryable))
        return self._delivered(task)

    def _post(self, task: Task) -> Outcome:
        try:
            endpoint = parse_callback_url(task.callback_url or "", self.policy)
        except RequestError as error:
            # The stack's parameters may have changed since the task was made.
            return self._refused(task, _Refusal(str(error), final=True))
        breaker = endpoint_key(endpoint.authority, task.caller)
        gate = self.breakers.check(breaker)
        if gate.wait_seconds is not None:
            return self._wait_for_endpoint(task, gate.wait_seconds)
        body = event_document(task, load_answer(self.table, self.payloads, task), MAX_CALLBACK_BYTES).encode()
        refusal = self._send_signed(task, endpoint, body)
        if refusal is None or refusal.down is False:
            self.breakers.note_up(breaker, gate)
        elif refusal.down:
            self.breakers.note_down(breaker, gate)
        return self._refused(task, refusal) if refusal else self._delivered(task)

    def _send_signed(self, task: Task, endpoint: Endpoint, body: bytes) -> _Refusal | None:
        try:
            return _refusal(self.client.post(endpoint, self._headers(task, body), body))
        except NotDelivered as error:
            return _Refusal(str(error), down=error.down)
        except BadWebhookSecret as error:
            logger.error("Callbacks cannot be signed.", error=str(error))
            return _Refusal(str(error), down=None)

    def _headers(self, task: Task, body: bytes) -> dict[str, str]:
        webhook_id, timestamp = f"msg_{task.id}_{task.status}", int(self.now())
        return {
            "Content-Type": "application/json",
            "User-Agent": USER_AGENT,
            "webhook-id": webhook_id,
            "webhook-timestamp": str(timestamp),
            "webhook-signature": sign(self.secrets().keys, webhook_id, timestamp, body),
        }

    def _delivered(self, task: Task) -> Outcome:
        self.table.close_callback(task, "delivered", self.now())
        return "delivered"

    def _refused(self, task: Task, refusal: _Refusal) -> Outcome:
        now = self.now()
        due_at = now + CALLBACK.delay(task.callback_attempts, refusal.retry_after, self.random.random)
        if refusal.final or self._gives_up(task, due_at):
            self.table.close_callback(task, "undelivered", self.now(), refusal.error)
            return "undelivered"
        self.table.put_back_callback(task, now, due_at, refusal.error)
        self._send(task.id, due_at)
        return "retried"

    def _wait_for_endpoint(self, task: Task, seconds: float) -> Outcome:
        """Put a callback back without an attempt, since others have found its endpoint down."""
        error = task.callback_error or "The endpoint has been down; it is tried again from time to time."
        now = self.now()
        due_at = now + ENDPOINT_DOWN.delay(1, seconds, self.random.random)
        if self._gives_up(task, due_at):
            self.table.close_callback(task, "undelivered", self.now(), error)
            return "undelivered"
        self.table.put_back_callback(task, now, due_at, error, uncounted=True)
        self._send(task.id, due_at)
        return "paused"

    def _gives_up(self, task: Task, due_at: float) -> bool:
        since = task.callback_since or task.created_at
        return due_at > since + self.settings.callback_max_hours * 3600

    def _settle(self, task_id: str) -> Outcome:
        """Deal with a message whose callback cannot be taken now."""
        task = self.table.find(task_id)
        if task is None or not task.ended or task.callback != "pending":
            return "dropped"
        self._send(task_id, task.due_at)
        return "early"

    def _send(self, task_id: str, due_at: float) -> None:
        now = self.now()
        if not is_far_off(due_at, now):
            self.sqs.send(self.settings.callback_queue_url, {"task_id": task_id}, max(due_at - now, 1.0))


def _refusal(reply: Reply) -> _Refusal | None:
    """Read an answer; None where the callback was taken (Standard Webhooks: any 2xx; 410 asks for no more)."""
    if 200 <= reply.status < 300:
        return None
    if 300 <= reply.status < 400:
        return _Refusal(f"The endpoint redirects ({reply.status}); redirects are not followed.")
    down = reply.status >= 500 or reply.status == 429
    return _Refusal(f"The endpoint answered {reply.status}.", reply.retry_after, reply.status == _GONE, down)
