"""The queues of a stack, delivered by the test, so that it can repeat, reorder and delay their messages."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any


@dataclass(eq=False)
class QueueMessage:
    """A message on its way: sent with a ``delay``, seen from ``due`` on, received ``count`` times until now."""

    queue: str
    body: str
    due: float
    count: int = 0
    delay: float = 0.0

    @property
    def receipt_handle(self) -> str:
        return f"handle-{id(self)}"

    def record(self) -> dict[str, Any]:
        """Return the message as Lambda hands it to a function."""
        return {
            "messageId": f"{id(self):032x}",
            "receiptHandle": self.receipt_handle,
            "body": self.body,
            "attributes": {"ApproximateReceiveCount": str(self.count), "SentTimestamp": "0"},
            "messageAttributes": {},
            "eventSource": "aws:sqs",
            "eventSourceARN": f"arn:aws:sqs:us-east-1:123456789012:{self.queue}",
            "awsRegion": "us-east-1",
        }


@dataclass
class Queues:
    """The ``messages`` that are in the queues now, and all that were ever ``sent``.

    ``name_of`` gives the logical name of a queue for its URL; queues go by that name here.
    """

    name_of: Callable[[str], str]
    now: Callable[[], float]
    messages: list[QueueMessage] = field(default_factory=list)
    sent: list[QueueMessage] = field(default_factory=list)

    def send(self, queue: str, body: str, delay: float = 0.0) -> QueueMessage:
        """Put a message into a queue, to be seen after a delay in seconds."""
        message = QueueMessage(queue, body, self.now() + delay, delay=delay)
        self.messages.append(message)
        self.sent.append(message)
        return message

    def due(self) -> list[QueueMessage]:
        """Return the messages that can be seen now, the longest due first."""
        now = self.now()
        return sorted((each for each in self.messages if each.due <= now), key=lambda each: each.due)

    def record_call(self, operation: str, params: dict[str, Any]) -> None:
        """Put into the queues what a call to SQS has sent; other calls are passed over."""
        entries = {"SendMessage": [params], "SendMessageBatch": params.get("Entries", ())}.get(operation, ())
        for entry in entries:
            self.send(self.name_of(params["QueueUrl"]), entry["MessageBody"], entry.get("DelaySeconds", 0))

    def change_visibility(self, params: dict[str, Any]) -> None:
        """Let a message that a function has in hand come again after the visibility timeout that it asks for."""
        message = next(each for each in self.messages if each.receipt_handle == params["ReceiptHandle"])
        assert self.name_of(params["QueueUrl"]) == message.queue
        message.due = self.now() + params["VisibilityTimeout"]

    def clear(self) -> None:
        self.messages.clear()
        self.sent.clear()
