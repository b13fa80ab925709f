"""SQS as lists, and a topic and an event bus that nobody listens to."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from bench.aws.usage import Usage


class MemoryQueues:
    """The calls that ``Sqs`` makes of boto3's client. ``messages`` by the URL of their queue."""

    def __init__(self, usage: Usage, messages: dict[str, list[str]] | None = None) -> None:
        self.messages: dict[str, list[str]] = messages or {}
        self._usage = usage

    def send_message(self, **call: Any) -> dict[str, Any]:
        self._usage.add("sqs")
        self.messages.setdefault(call["QueueUrl"], []).append(call["MessageBody"])
        return {}

    def send_message_batch(self, **call: Any) -> dict[str, Any]:
        self._usage.add("sqs")
        bodies = [entry["MessageBody"] for entry in call["Entries"]]
        self.messages.setdefault(call["QueueUrl"], []).extend(bodies)
        return {}

    def take(self, url: str) -> Iterator[dict[str, Any]]:
        """Yield the messages of a queue, as a function gets them one by one: each is received and deleted."""
        while waiting := self.messages.get(url):
            self._usage.add("sqs", 2)
            self._usage.add("lambda_request")
            yield json.loads(waiting.pop(0))


class MemoryTopic:
    """The calls that the channels of notices make of boto3's clients of SNS and EventBridge."""

    def __init__(self, usage: Usage) -> None:
        self._usage = usage

    def publish(self, **_call: Any) -> dict[str, Any]:
        self._usage.add("sns")
        return {}

    def put_events(self, **_call: Any) -> dict[str, Any]:
        self._usage.add("eventbridge")
        return {}
