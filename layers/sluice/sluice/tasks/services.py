"""What the functions of the task door work with, built from their environment."""

from __future__ import annotations

import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, cast

import boto3
from botocore.config import Config

from sluice.access.guard import AuthMode, Guard
from sluice.access.register import Register
from sluice.aws.objects import Objects
from sluice.aws.queues import Queues
from sluice.aws.table import Table
from sluice.aws.topic import Topic
from sluice.claude.secret import ClaudeKey, KeptSecret
from sluice.incidents import Incidents
from sluice.tasks.breaker import Breakers
from sluice.tasks.claude import Claude
from sluice.tasks.courier import Courier
from sluice.tasks.documents import Documents
from sluice.tasks.door import TaskDoor
from sluice.tasks.posting import Poster
from sluice.tasks.settings import TaskSettings
from sluice.tasks.signatures import WebhookSecrets
from sluice.tasks.table import TaskTable
from sluice.tasks.worker import Worker

# Bounded waits: a call that hangs each time ends within 20 seconds, and there is still time to write an answer down. As
# many connections as threads.
_AWS = Config(
    connect_timeout=2, read_timeout=5, retries={"mode": "standard", "total_max_attempts": 3}, max_pool_connections=20
)
# A rotated webhook secret signs within this time.
_WEBHOOK_SECRET_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class TaskServices:
    """The outside things that doors, workers and couriers share. ``from_env`` raises as ``TaskSettings`` does."""

    settings: TaskSettings
    session: boto3.Session
    table: Table
    documents: Documents
    queues: Queues

    @classmethod
    def from_env(cls, environ: Mapping[str, str]) -> TaskServices:
        settings = TaskSettings.from_env(environ)
        session = boto3.Session()
        dynamodb: Any = session.client("dynamodb", config=_AWS)
        return cls(
            settings=settings,
            session=session,
            table=Table(dynamodb, settings.table),
            documents=Documents(Objects(session.client("s3", config=_AWS)), settings.outbox),
            queues=Queues(session.client("sqs", config=_AWS)),
        )

    def guard(self) -> Guard:
        return Guard(cast(AuthMode, self.settings.auth_mode), Register(self.table))

    def incidents(self) -> Incidents:
        return Incidents(self.table)

    def door(self) -> TaskDoor:
        return TaskDoor(self.settings, TaskTable(self.table), self.documents, self.queues, self.guard())

    def worker(self) -> Worker:
        settings = self.settings
        secrets: Any = self.session.client("secretsmanager", config=_AWS)
        return Worker(
            settings=settings,
            table=TaskTable(self.table),
            documents=self.documents,
            queues=self.queues,
            topic=self._topic(),
            incidents=self.incidents(),
            claude=Claude(
                settings.claude_base_url,
                ClaudeKey(secrets, settings.claude_secret),
                ping_seconds=settings.ping_timeout_seconds,
                content_seconds=settings.content_timeout_seconds,
            ),
        )

    def courier(self) -> Courier:
        settings = self.settings
        secrets: Any = self.session.client("secretsmanager", config=_AWS)
        webhook_secret = KeptSecret(secrets, settings.webhook_secret, _WEBHOOK_SECRET_SECONDS)
        return Courier(
            settings=settings,
            table=TaskTable(self.table),
            documents=self.documents,
            queues=self.queues,
            topic=self._topic(),
            breakers=Breakers(self.table),
            poster=Poster(settings.callbacks, ssl.create_default_context()),
            secrets=lambda: WebhookSecrets.parse(webhook_secret.current()),
        )

    def _topic(self) -> Topic:
        return Topic(self.session.client("sns", config=_AWS), None, self.settings.topic_arn)
