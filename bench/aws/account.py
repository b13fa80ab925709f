"""An AWS account in a folder: a step opens it in a process of its own and leaves it for the next one."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from bench.aws.dynamodb import Item, MemoryDynamoDb
from bench.aws.messages import MemoryQueues, MemoryTopic
from bench.aws.s3 import FileS3, Run
from bench.aws.usage import Usage
from sluice.aws.dynamodb import Table
from sluice.aws.s3 import S3
from sluice.aws.sqs import Sqs
from sluice.claude.batches import ClaudeApi
from sluice.jobs.services import Services
from sluice.notify.channels import EventBridgeChannel, Notifier, SnsChannel
from sluice.settings import JobSettings

INBOX, OUTBOX = "inbox", "outbox"
PLAN, SUBMIT, COLLECT, FINISH = "plan", "submit", "collect", "finish"
MODEL = "claude-haiku-5-5"
API_KEY = "sk-ant-simulator"


class Contents(msgspec.Struct):
    """All that is in an account, but for the bytes of its objects."""

    objects: dict[str, list[Run]] = {}
    items: list[Item] = []
    messages: dict[str, list[str]] = {}


@dataclass(frozen=True, slots=True)
class Account:
    """``usage`` counts what was asked since it was opened."""

    s3: FileS3
    dynamodb: MemoryDynamoDb
    queues: MemoryQueues
    usage: Usage

    def services(self, claude_url: str, now: Callable[[], float] | None = None) -> Services:
        """What the steps of a job work with, on this account."""
        # The clients are those of boto3 in shape alone.
        s3: Any = self.s3
        queues: Any = self.queues
        topic: Any = MemoryTopic(self.usage)
        dynamodb: Any = self.dynamodb
        settings = JobSettings(
            "table", OUTBOX, "topic", "default", PLAN, SUBMIT, COLLECT, FINISH, default_model=MODEL, max_job_cost=0.0
        )
        return Services(
            settings=settings,
            dynamodb=Table(dynamodb, "table"),
            s3=S3(s3),
            sqs=Sqs(queues),
            notifier=Notifier((SnsChannel(topic, "topic"), EventBridgeChannel(topic))),
            claude=ClaudeApi(claude_url, lambda: API_KEY),
            **({"now": now} if now else {}),
        )


@contextmanager
def open_account(folder: Path) -> Iterator[Account]:
    """Open the account in a folder, which is empty at first; what changed is kept when the block ends."""
    file, blobs = folder / "account.json", folder / "objects"
    blobs.mkdir(parents=True, exist_ok=True)
    contents = msgspec.json.decode(file.read_bytes(), type=Contents) if file.exists() else Contents()
    usage = Usage()
    account = Account(
        FileS3(blobs, usage, contents.objects),
        MemoryDynamoDb(usage, contents.items),
        MemoryQueues(usage, contents.messages),
        usage,
    )
    yield account
    after = Contents(account.s3.objects, list(account.dynamodb.items.values()), account.queues.messages)
    file.write_bytes(msgspec.json.encode(after))
