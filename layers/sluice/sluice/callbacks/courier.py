"""Deliver one callback: sign it, send it to where it may go, and write down what became of it.

What is told, and where that is written down, is a ``CallbackBook``: tasks have one, jobs another. A callback is taken
by a conditional write, so that a message delivered twice calls back once. The ``webhook-id`` is the same for every
attempt at telling of one state: a receiver that keeps it sees each state once, even where a courier died between the
call and writing that down.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from random import Random
from typing import Generic, Literal, Protocol, TypeVar

from aws_lambda_powertools import Logger

from sluice.aws.sqs import Sqs, is_too_long
from sluice.backoff import CALLBACK, ENDPOINT_DOWN
from sluice.callbacks.addresses import AddressPolicy, Endpoint, parse_callback_url
from sluice.callbacks.circuit_breaker import CircuitBreakers
from sluice.callbacks.client import CallbackClient, NotDelivered, Reply
from sluice.callbacks.signatures import BadWebhookSecret, WebhookSecrets, sign
from sluice.deadline import Deadline
from sluice.errors import AwsError, ConditionFailed, RequestError
from sluice.table_keys import endpoint_key
from sluice.version import USER_AGENT

Outcome = Literal["delivered", "undelivered", "retried", "paused", "early", "dropped"]
EndState = Literal["delivered", "undelivered"]
T = TypeVar("T")

MAX_CALLBACK_BYTES = 512 * 1024
_LEASE_MARGIN = 5.0
_GONE = 410

logger = Logger(child=True)


@dataclass(frozen=True, slots=True)
class ClaimedCallback(Generic[T]):
    """A callback in the hands of one courier. ``subject`` is what it tells of, as it was claimed; ``url`` None: no URL
    is called.

    ``caller`` is whose endpoint it is; ``attempts`` counts this one; ``since`` is when it first became due, in epoch
    seconds; ``error`` is why the last try failed.
    """

    subject: T
    subject_id: str
    caller: str
    webhook_id: str
    url: str | None
    attempts: int
    since: float
    error: str | None = None


class CallbackBook(Protocol[T]):
    """The callbacks of a door. Each change raises ConditionFailed where somebody else was there first."""

    def claim(self, subject_id: str, now: float, until: float) -> ClaimedCallback[T]:
        """Take a callback that is due, or one whose courier died, until a moment."""

    def body(self, claimed: ClaimedCallback[T]) -> bytes:
        """Write what is told: JSON of at most ``MAX_CALLBACK_BYTES``."""

    def publish(self, claimed: ClaimedCallback[T]) -> Callable[[], None]:
        """Return what tells of that which calls no URL; it raises AwsError."""

    def put_back(
        self, claimed: ClaimedCallback[T], now: float, due_at: float, error: str, *, uncounted: bool = False
    ) -> None:
        """Let it be tried again from a moment on; ``uncounted``: this was no attempt.

        Where that is longer from now than SQS holds a message, the door has to send one itself.
        """

    def close(self, claimed: ClaimedCallback[T], state: EndState, now: float, error: str | None = None) -> None:
        """End it."""

    def due_at(self, subject_id: str) -> float | None:
        """Return when a pending callback is due; None where none is pending."""

    def message(self, subject_id: str) -> Mapping[str, object]:
        """Return the message that has it delivered."""


@dataclass(frozen=True, slots=True)
class _Refusal:
    """Why a callback was not taken. ``final``: it never will be. ``down``: the endpoint fails; None: not known."""

    error: str
    retry_after: float | None = None
    final: bool = False
    down: bool | None = False


@dataclass(frozen=True, slots=True)
class Courier(Generic[T]):
    """``secrets`` reads what to sign with, afresh for each callback as far as its cache allows."""

    book: CallbackBook[T]
    sqs: Sqs
    queue_url: str
    max_hours: float
    breakers: CircuitBreakers
    client: CallbackClient
    policy: AddressPolicy
    secrets: Callable[[], WebhookSecrets]
    now: Callable[[], float] = time.time
    random: Random = field(default_factory=Random)

    def deliver(self, subject_id: str, deadline: Deadline) -> Outcome:
        """Do what a message asks. Raises AwsError where the message has to come again."""
        now = self.now()
        try:
            claimed = self.book.claim(subject_id, now, now + deadline.left() + _LEASE_MARGIN)
        except ConditionFailed:
            return self._settle(subject_id)
        try:
            return self._publish(claimed) if claimed.url is None else self._post(claimed, claimed.url)
        except ConditionFailed:
            return self._settle(subject_id)

    def _publish(self, claimed: ClaimedCallback[T]) -> Outcome:
        publish = self.book.publish(claimed)
        try:
            publish()
        except AwsError as error:
            return self._refused(claimed, _Refusal(str(error), final=not error.retryable))
        return self._delivered(claimed)

    def _post(self, claimed: ClaimedCallback[T], url: str) -> Outcome:
        try:
            endpoint = parse_callback_url(url, self.policy)
        except RequestError as error:
            # The stack's parameters may have changed since the URL was taken.
            return self._refused(claimed, _Refusal(str(error), final=True))
        breaker = endpoint_key(endpoint.authority, claimed.caller)
        gate = self.breakers.check(breaker)
        if gate.wait_seconds is not None:
            return self._wait_for_endpoint(claimed, gate.wait_seconds)
        refusal = self._send_signed(claimed, endpoint, self.book.body(claimed))
        if refusal is None or refusal.down is False:
            self.breakers.note_up(breaker, gate)
        elif refusal.down:
            self.breakers.note_down(breaker, gate)
        return self._refused(claimed, refusal) if refusal else self._delivered(claimed)

    def _send_signed(self, claimed: ClaimedCallback[T], endpoint: Endpoint, body: bytes) -> _Refusal | None:
        try:
            return _refusal(self.client.post(endpoint, self._headers(claimed, body), body))
        except NotDelivered as error:
            return _Refusal(str(error), down=error.down)
        except BadWebhookSecret as error:
            logger.error("Callbacks cannot be signed.", error=str(error))
            return _Refusal(str(error), down=None)

    def _headers(self, claimed: ClaimedCallback[T], body: bytes) -> dict[str, str]:
        timestamp = int(self.now())
        return {
            "Content-Type": "application/json",
            "User-Agent": USER_AGENT,
            "webhook-id": claimed.webhook_id,
            "webhook-timestamp": str(timestamp),
            "webhook-signature": sign(self.secrets().keys, claimed.webhook_id, timestamp, body),
        }

    def _delivered(self, claimed: ClaimedCallback[T]) -> Outcome:
        self.book.close(claimed, "delivered", self.now())
        return "delivered"

    def _refused(self, claimed: ClaimedCallback[T], refusal: _Refusal) -> Outcome:
        now = self.now()
        due_at = now + CALLBACK.delay(claimed.attempts, refusal.retry_after, self.random.random)
        if refusal.final or self._gives_up(claimed, due_at):
            self.book.close(claimed, "undelivered", self.now(), refusal.error)
            return "undelivered"
        self.book.put_back(claimed, now, due_at, refusal.error)
        self._send(claimed.subject_id, due_at)
        return "retried"

    def _wait_for_endpoint(self, claimed: ClaimedCallback[T], seconds: float) -> Outcome:
        """Put a callback back without an attempt, since others have found its endpoint down."""
        error = claimed.error or "The endpoint has been down; it is tried again from time to time."
        now = self.now()
        due_at = now + ENDPOINT_DOWN.delay(1, seconds, self.random.random)
        if self._gives_up(claimed, due_at):
            self.book.close(claimed, "undelivered", self.now(), error)
            return "undelivered"
        self.book.put_back(claimed, now, due_at, error, uncounted=True)
        self._send(claimed.subject_id, due_at)
        return "paused"

    def _gives_up(self, claimed: ClaimedCallback[T], due_at: float) -> bool:
        return due_at > claimed.since + self.max_hours * 3600

    def _settle(self, subject_id: str) -> Outcome:
        """Deal with a message whose callback cannot be taken now."""
        due_at = self.book.due_at(subject_id)
        if due_at is None:
            return "dropped"
        self._send(subject_id, due_at)
        return "early"

    def _send(self, subject_id: str, due_at: float) -> None:
        now = self.now()
        if not is_too_long(due_at - now):
            self.sqs.send(self.queue_url, self.book.message(subject_id), max(due_at - now, 1.0))


def _refusal(reply: Reply) -> _Refusal | None:
    """Read an answer; None where the callback was taken (Standard Webhooks: any 2xx; 410 asks for no more)."""
    if 200 <= reply.status < 300:
        return None
    if 300 <= reply.status < 400:
        return _Refusal(f"The endpoint redirects ({reply.status}); redirects are not followed.")
    down = reply.status >= 500 or reply.status == 429
    return _Refusal(f"The endpoint answered {reply.status}.", reply.retry_after, reply.status == _GONE, down)
