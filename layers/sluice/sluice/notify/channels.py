"""Tell people and machines: one SNS message and one EventBridge event for each notice."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from botocore.exceptions import BotoCoreError, ClientError

from sluice.errors import AwsError, AwsUnavailable

if TYPE_CHECKING:
    from mypy_boto3_events import EventBridgeClient
    from mypy_boto3_sns import SNSClient
from sluice.notify.notice import Notice, subject_line

SOURCE = "sluice"
# The same message would be refused each time.
_REFUSED = frozenset({"InvalidParameter", "InvalidParameterValue", "ParameterValueInvalid", "ValidationError"})


@dataclass(frozen=True, slots=True)
class Topic:
    """``events`` is None for those who only publish."""

    sns: SNSClient
    events: EventBridgeClient | None
    topic_arn: str
    event_bus: str = "default"

    def publish(self, notice: Notice) -> None:
        """Send the notice to the topic; sending it again makes a second message.

        Raises AwsUnavailable or, where SNS will never take it, AwsError.
        """
        try:
            self.sns.publish(
                TopicArn=self.topic_arn,
                Subject=subject_line(notice.subject),
                MessageStructure="json",
                Message=notice.message(),
                MessageAttributes=notice.message_attributes(),
            )
        except ClientError as error:
            code = error.response["Error"].get("Code")
            if code in _REFUSED:
                raise AwsError(f"SNS refused a notice ({code}).") from error
            raise AwsUnavailable(f"SNS did not take a notice ({type(error).__name__}).") from error
        except BotoCoreError as error:
            raise AwsUnavailable(f"SNS did not take a notice ({type(error).__name__}).") from error

    def emit(self, notice: Notice) -> None:
        """Put the notice on the event bus. Raises AwsUnavailable or, where the bus refuses it, AwsError."""
        assert self.events is not None
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
