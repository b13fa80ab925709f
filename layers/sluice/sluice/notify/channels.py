"""Channels, which carry a notice to people or machines, and the notifier, which gives each notice to all of them.

A new channel is a class with the two members of ``Channel``, and a line in ``Notifier.from_session``.
"""

from __future__ import annotations

import json
from collections.abc import Collection
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Protocol

from botocore.exceptions import BotoCoreError, ClientError

from sluice.errors import AwsError, AwsUnavailable
from sluice.notify.notice import Notice, subject_line

if TYPE_CHECKING:
    import boto3
    from botocore.config import Config
    from mypy_boto3_events import EventBridgeClient
    from mypy_boto3_sns import SNSClient

SOURCE = "sluice"
# The same message would be refused each time.
_REFUSED = frozenset({"InvalidParameter", "InvalidParameterValue", "ParameterValueInvalid", "ValidationError"})


class Channel(Protocol):
    """One way in which notices leave."""

    @property
    def name(self) -> str:
        """The channel's own, and the same in each version, so that it can be stored."""

    def send(self, notice: Notice) -> None:
        """Send a notice; sending it again makes a second one.

        Raises AwsUnavailable or, where the channel will never take it, AwsError.
        """


@dataclass(frozen=True, slots=True)
class SnsChannel:
    """A topic: mail for people, and messages for queues, functions and URLs that subscribe to it."""

    sns: SNSClient
    topic_arn: str
    name: ClassVar[str] = "sns"

    def send(self, notice: Notice) -> None:
        try:
            self.sns.publish(
                TopicArn=self.topic_arn,
                Subject=subject_line(notice.mail_subject or notice.subject),
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


@dataclass(frozen=True, slots=True)
class EventBridgeChannel:
    """An event bus: rules match the source, the detail type, and what is in the detail."""

    events: EventBridgeClient
    event_bus: str = "default"
    name: ClassVar[str] = "eventbridge"

    def send(self, notice: Notice) -> None:
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


@dataclass(frozen=True, slots=True)
class Sending:
    """Which channels have a notice by now, by name; and why one does not, if so."""

    sent_on: tuple[str, ...]
    failure: AwsError | None


@dataclass(frozen=True, slots=True)
class Notifier:
    """Gives each notice to each of its channels, in their order: the one that reaches people comes first."""

    channels: tuple[Channel, ...]

    @classmethod
    def from_session(cls, session: boto3.Session, config: Config, topic_arn: str, event_bus: str) -> Notifier:
        """Build the channels of a stack."""
        return cls(
            (
                SnsChannel(session.client("sns", config=config), topic_arn),
                EventBridgeChannel(session.client("events", config=config), event_bus),
            )
        )

    def send(self, notice: Notice, sent_on: Collection[str] = ()) -> Sending:
        """Send a notice on each channel that does not have it yet; one that does not take it keeps no other waiting."""
        done, failure = list(sent_on), None
        for channel in self.channels:
            if channel.name in sent_on:
                continue
            try:
                channel.send(notice)
                done.append(channel.name)
            except AwsError as error:
                failure = failure or error
        return Sending(tuple(done), failure)
