"""SQS: the JSON messages that one function leaves for another."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Any

from botocore.exceptions import BotoCoreError, ClientError

from sluice.errors import AwsError, AwsUnavailable

if TYPE_CHECKING:
    from mypy_boto3_sqs import SQSClient

# SQS: Message quotas.
MAX_DELAY_SECONDS = 900
# A worker's lease is a little longer than SQS holds a message: one that comes that much early is put off once more.
_NEAR_SECONDS = MAX_DELAY_SECONDS + 60.0
_BATCH = 10


def is_too_long(seconds: float) -> bool:
    """Return whether a wait is too long for a message: it is kept in the table, and a schedule sends one at its end."""
    return seconds > _NEAR_SECONDS


@dataclass(frozen=True, slots=True)
class Sqs:
    """Raises AwsUnavailable where SQS did not take a message; sending it again is always safe."""

    client: SQSClient

    def send(self, queue_url: str, message: Mapping[str, object], delay_seconds: float = 0) -> None:
        """Leave one message, to be seen after ``delay_seconds`` (0 to 900; cut to that).

        SQS counts in whole seconds. They are rounded up: what comes too early would only be put off again.
        """
        delay = min(max(math.ceil(delay_seconds), 0), MAX_DELAY_SECONDS)
        try:
            self.client.send_message(QueueUrl=queue_url, MessageBody=json.dumps(message), DelaySeconds=delay)
        except (ClientError, BotoCoreError) as error:
            raise AwsUnavailable(f"SQS did not take a message ({type(error).__name__}).") from error

    def change_visibility(self, queue_url: str, receipt_handle: str, delay_seconds: float) -> None:
        """Let a message that is being worked on reappear after ``delay_seconds``, not after its visibility timeout."""
        try:
            self.client.change_message_visibility(
                QueueUrl=queue_url, ReceiptHandle=receipt_handle, VisibilityTimeout=round(delay_seconds)
            )
        except (ClientError, BotoCoreError) as error:
            raise AwsUnavailable(f"SQS did not put a message back ({type(error).__name__}).") from error

    def send_all(self, queue_url: str, messages: Iterable[Mapping[str, object]]) -> None:
        """Leave many messages, ten to a call."""
        remaining = iter(messages)
        while ten := list(islice(remaining, _BATCH)):
            entries: list[Any] = [
                {"Id": str(number), "MessageBody": json.dumps(each)} for number, each in enumerate(ten)
            ]
            try:
                answer = self.client.send_message_batch(QueueUrl=queue_url, Entries=entries)
            except (ClientError, BotoCoreError) as error:
                raise AwsUnavailable(f"SQS did not take messages ({type(error).__name__}).") from error
            if failed := answer.get("Failed"):
                raise AwsError(f"SQS did not take {len(failed)} of {len(ten)} messages: {failed[0]['Code']}.")
