"""Tell people and machines: one SNS message and one EventBridge event for each notice."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from botocore.exceptions import BotoCoreError, ClientError

from sluice.errors import AwsError, AwsUnavailable

if TYPE_CHECKING:
    from mypy_boto3_events import EventBridgeClient
    from mypy_boto3_sns import SNSClient

# SNS: Publish. A subject is ASCII, without line breaks, of fewer than 100 characters.
MAX_SUBJECT = 99
SOURCE = "sluice"


@dataclass(frozen=True, slots=True)
class Notice:
    """What happened: ``text`` for a person's mail, ``detail`` for machines, ``attributes`` to filter on.

    ``detail_type`` is the EventBridge name, such as "Sluice Job Finished".
    """

    subject: str
    text: str
    detail: Mapping[str, Any]
    detail_type: str
    attributes: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Topic:
    sns: SNSClient
    events: EventBridgeClient
    topic_arn: str
    event_bus: str = "default"

    def publish(self, notice: Notice) -> None:
        """Send the notice to the topic. Raises AwsUnavailable; sending it again makes a second message."""
        subject = subject_line(notice.subject)
        # The text travels with the machine's copy too: a bot that passes notices on needs no words of its own.
        machine = json.dumps({**notice.detail, "subject": subject, "text": notice.text}, ensure_ascii=False)
        message = {"default": notice.text, "email": notice.text, "email-json": machine}
        message |= dict.fromkeys(("sqs", "lambda", "http", "https", "firehose"), machine)
        attributes: dict[str, Any] = {
            name: {"DataType": "String", "StringValue": value} for name, value in notice.attributes.items() if value
        }
        try:
            self.sns.publish(
                TopicArn=self.topic_arn,
                Subject=subject,
                MessageStructure="json",
                Message=json.dumps(message),
                MessageAttributes=attributes,
            )
        except (ClientError, BotoCoreError) as error:
            raise AwsUnavailable(f"SNS did not take a notice ({type(error).__name__}).") from error

    def emit(self, notice: Notice) -> None:
        """Put the notice on the event bus. Raises AwsUnavailable or, where the bus refuses it, AwsError."""
        entry: Any = {
            "Source": SOURCE,
            "DetailType": notice.detail_type,
            "Detail": json.dumps(notice.detail, ensure_ascii=False),
            "EventBusName": self.event_bus,
        }
        try:
            answer = self.events.put_events(Entries=[entry])
        except (ClientError, BotoCoreError) as error:
            raise AwsUnavailable(f"EventBridge did not take an event ({type(error).__name__}).") from error
        if answer.get("FailedEntryCount"):
            raise AwsError(f"EventBridge refused an event: {answer['Entries'][0].get('ErrorCode')}.")


def subject_line(text: str) -> str:
    """Fit a subject to what SNS takes: ASCII, one line, fewer than 100 characters."""
    plain = " ".join(text.encode("ascii", "replace").decode().split())
    return plain if len(plain) <= MAX_SUBJECT else plain[: MAX_SUBJECT - 3] + "..."
