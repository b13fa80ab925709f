"""What the functions of the task door work with, built from their environment."""

from __future__ import annotations

import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

import boto3
from botocore.config import Config

from sluice.access.guard import Guard
from sluice.access.store import KeyStore
from sluice.aws.dynamodb import Table
from sluice.aws.s3 import S3
from sluice.aws.secrets import CachedSecret
from sluice.aws.sqs import Sqs
from sluice.callbacks.addresses import LOCAL_ORIGIN, AddressPolicy
from sluice.callbacks.circuit_breaker import CircuitBreakers
from sluice.callbacks.client import CallbackClient
from sluice.callbacks.courier import CallbackBook, Courier
from sluice.callbacks.signatures import WebhookSecrets
from sluice.claude.key import ClaudeKey
from sluice.incidents import Incidents
from sluice.notify.channels import Notifier, SnsChannel
from sluice.settings import TaskSettings
from sluice.tasks.callbacks import TaskCallbacks
from sluice.tasks.operations import TaskService
from sluice.tasks.sdk import ClaudeSdk
from sluice.tasks.table import Payloads, TaskTable
from sluice.tasks.worker import Worker

# Bounded waits: a call that hangs each time ends within 20 seconds, and there is still time to write an answer down. As
# many connections as threads.
_AWS = Config(
    connect_timeout=2, read_timeout=5, retries={"mode": "standard", "total_max_attempts": 3}, max_pool_connections=20
)
# A rotated webhook secret signs within this time.
_WEBHOOK_SECRET_SECONDS = 60.0

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class TaskServices:
    """The outside things that doors, workers and couriers share. ``from_env`` raises as ``TaskSettings`` does."""

    settings: TaskSettings
    session: boto3.Session
    table: Table
    payloads: Payloads
    sqs: Sqs

    @classmethod
    def from_env(cls, environ: Mapping[str, str]) -> TaskServices:
        settings = TaskSettings.from_env(environ)
        session = boto3.Session()
        dynamodb: Any = session.client("dynamodb", config=_AWS)
        return cls(
            settings=settings,
            session=session,
            table=Table(dynamodb, settings.table),
            payloads=Payloads(S3(session.client("s3", config=_AWS)), settings.outbox),
            sqs=Sqs(session.client("sqs", config=_AWS)),
        )

    def guard(self) -> Guard:
        return Guard(self.settings.auth_mode, KeyStore(self.table), operators=self.settings.operators)

    def callback_policy(self) -> AddressPolicy:
        hosts = tuple(host.lower() for host in self.settings.callback_hosts)
        return AddressPolicy(hosts, local=self.settings.callback_local == LOCAL_ORIGIN)

    def incidents(self) -> Incidents:
        return Incidents(self.table)

    def door(self) -> TaskService:
        table, policy = TaskTable(self.table), self.callback_policy()
        return TaskService(self.settings, table, self.payloads, self.sqs, self.guard(), policy)

    def worker(self) -> Worker:
        settings = self.settings
        secrets: Any = self.session.client("secretsmanager", config=_AWS)
        return Worker(
            settings=settings,
            table=TaskTable(self.table),
            payloads=self.payloads,
            sqs=self.sqs,
            notifier=Notifier.from_session(self.session, _AWS, settings.topic_arn, settings.event_bus),
            incidents=self.incidents(),
            claude=ClaudeSdk(
                settings.claude_base_url,
                ClaudeKey(secrets, settings.claude_secret),
                ping_seconds=settings.ping_timeout_seconds,
                content_seconds=settings.content_timeout_seconds,
            ),
        )

    def task_callbacks(self) -> TaskCallbacks:
        topic = SnsChannel(self.session.client("sns", config=_AWS), self.settings.topic_arn)
        return TaskCallbacks(TaskTable(self.table), self.payloads, topic)

    def courier(self, book: CallbackBook[T]) -> Courier[T]:
        """Build what delivers the callbacks of a door."""
        settings, policy = self.settings, self.callback_policy()
        secrets: Any = self.session.client("secretsmanager", config=_AWS)
        webhook_secret = CachedSecret(secrets, settings.webhook_secret, _WEBHOOK_SECRET_SECONDS)
        return Courier(
            book=book,
            sqs=self.sqs,
            queue_url=settings.callback_queue_url,
            max_hours=settings.callback_max_hours,
            breakers=CircuitBreakers(self.table),
            client=CallbackClient(policy, ssl.create_default_context()),
            policy=policy,
            secrets=lambda: WebhookSecrets.parse(webhook_secret.current()),
        )
