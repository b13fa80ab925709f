"""What the steps of a job work with: settings, and one thin module for each outside thing."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import boto3
from botocore.config import Config

from sluice.aws.dynamodb import Table
from sluice.aws.s3 import S3
from sluice.aws.sqs import Sqs
from sluice.claude.batches import ClaudeApi
from sluice.claude.key import ClaudeKey
from sluice.incidents import Incidents
from sluice.jobs.outbox import Outbox
from sluice.jobs.shard_table import ShardTable
from sluice.jobs.table import JobTable
from sluice.notify.channels import Notifier
from sluice.settings import JobSettings

# Bounded waits everywhere: a call that hangs must not eat the time of a whole invocation.
_AWS = Config(connect_timeout=5, read_timeout=30, retries={"mode": "standard", "total_max_attempts": 5})
# Links are good for one region's host; the newer signature is the only one that all regions take.
_S3 = _AWS.merge(Config(signature_version="s3v4", s3={"addressing_style": "virtual"}))


@dataclass(frozen=True, slots=True)
class Services:
    settings: JobSettings
    dynamodb: Table
    s3: S3
    sqs: Sqs
    notifier: Notifier
    claude: ClaudeApi
    now: Callable[[], float] = time.time

    @property
    def jobs(self) -> JobTable:
        return JobTable(self.dynamodb)

    @property
    def shards(self) -> ShardTable:
        return ShardTable(self.dynamodb)

    @property
    def outbox(self) -> Outbox:
        return Outbox(self.s3, self.settings.outbox)

    @property
    def incidents(self) -> Incidents:
        return Incidents(self.dynamodb, self.now)

    @classmethod
    def from_env(cls, environ: Mapping[str, str]) -> Services:
        """Build them for a function. Raises as ``JobSettings.from_env`` does."""
        settings = JobSettings.from_env(environ)
        session = boto3.Session()
        dynamodb: Any = session.client("dynamodb", config=_AWS)
        secrets: Any = session.client("secretsmanager", config=_AWS)
        key = ClaudeKey(secrets, settings.claude_secret)
        return cls(
            settings=settings,
            dynamodb=Table(dynamodb, settings.table),
            s3=S3(session.client("s3", config=_S3)),
            sqs=Sqs(session.client("sqs", config=_AWS)),
            notifier=Notifier.from_session(session, _AWS, settings.topic_arn, settings.event_bus),
            claude=ClaudeApi(settings.claude_base_url, key.current, renew_key=key.renew),
        )
