"""One message to the topic, one event to the bus, and each notice to every channel."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError
from hypothesis import given
from hypothesis import strategies as st
from moto import mock_aws

from sluice.errors import AwsError, AwsUnavailable
from sluice.notify.channels import EventBridgeChannel, Notifier, SnsChannel
from sluice.notify.notice import Notice, subject_line
from tests.world.aws import client

NOTICE = Notice(
    subject="Finished: flüsse.csv\n2 of 2",
    text="All is done.",
    detail={"job_id": "rivers", "event": "job.finished"},
    detail_type="Sluice Job Finished",
    attributes={"event": "job.finished", "folder": ""},
)


@pytest.fixture
def inbox() -> Iterator[tuple[SnsChannel, str]]:
    """A topic, and a queue that hears it."""
    with mock_aws():
        sns, sqs = client("sns"), client("sqs")
        topic = sns.create_topic(Name="done")["TopicArn"]
        queue = sqs.create_queue(QueueName="heard")["QueueUrl"]
        arn = sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
        sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=arn)
        yield SnsChannel(sns, topic), queue


def test_machines_get_json_and_attributes_to_filter_on(inbox: tuple[SnsChannel, str]) -> None:
    topic, queue = inbox

    topic.send(NOTICE)

    (message,) = boto3.client("sqs").receive_message(QueueUrl=queue)["Messages"]
    heard = json.loads(message["Body"])
    assert NOTICE.detail.items() <= json.loads(heard["Message"]).items()
    assert heard["Subject"] == "Finished: flusse.csv 2 of 2"
    assert heard["MessageAttributes"] == {"event": {"Type": "String", "Value": "job.finished"}}


def test_a_rule_of_the_bus_matches_the_event() -> None:
    with mock_aws():
        events, sqs = client("events"), client("sqs")
        events.create_event_bus(Name="of-the-shop")
        queue = sqs.create_queue(QueueName="matched")["QueueUrl"]
        arn = sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
        pattern = {"source": ["sluice"], "detail-type": [NOTICE.detail_type], "detail": {"event": ["job.finished"]}}
        events.put_rule(Name="ends", EventBusName="of-the-shop", EventPattern=json.dumps(pattern))
        events.put_targets(Rule="ends", EventBusName="of-the-shop", Targets=[{"Id": "queue", "Arn": arn}])

        EventBridgeChannel(events, "of-the-shop").send(NOTICE)

        (message,) = sqs.receive_message(QueueUrl=queue)["Messages"]
    assert json.loads(message["Body"])["detail"] == NOTICE.detail


class Listed:
    """A channel that lists what it was sent, and refuses all of it where it is closed."""

    def __init__(self, name: str, heard: list[tuple[str, Notice]], *, closed: bool = False) -> None:
        self.name, self._heard, self._closed = name, heard, closed

    def send(self, notice: Notice) -> None:
        if self._closed:
            raise AwsUnavailable("It is closed.")
        self._heard.append((self.name, notice))


def test_a_notice_goes_to_each_channel_in_order() -> None:
    heard: list[tuple[str, Notice]] = []
    Notifier((Listed("first", heard), Listed("second", heard))).send(NOTICE)
    assert heard == [("first", NOTICE), ("second", NOTICE)]


def test_a_channel_that_takes_nothing_keeps_no_other_waiting_and_is_the_callers_to_know() -> None:
    heard: list[tuple[str, Notice]] = []
    notifier = Notifier((Listed("first", heard), Listed("second", heard, closed=True), Listed("third", heard)))
    sending = notifier.send(NOTICE)
    assert heard == [("first", NOTICE), ("third", NOTICE)]
    assert sending.sent_on == ("first", "third")
    assert isinstance(sending.failure, AwsUnavailable)


def test_a_channel_that_has_a_notice_does_not_get_it_again() -> None:
    heard: list[tuple[str, Notice]] = []
    sending = Notifier((Listed("first", heard), Listed("second", heard))).send(NOTICE, ["first"])
    assert heard == [("second", NOTICE)]
    assert (sending.sent_on, sending.failure) == (("first", "second"), None)


def test_a_stack_has_a_topic_and_a_bus_by_names_of_their_own() -> None:
    notifier = Notifier.from_session(boto3.Session(region_name="us-east-1"), Config(), "arn:of:topic", "bus")
    sns, bus = notifier.channels
    assert (sns.name, bus.name) == ("sns", "eventbridge")
    assert isinstance(sns, SnsChannel)
    assert isinstance(bus, EventBridgeChannel)
    assert (sns.topic_arn, bus.event_bus) == ("arn:of:topic", "bus")


def test_each_protocol_gets_its_copy_and_letters_are_no_escapes() -> None:
    notice = replace(NOTICE, text="Всё готово 🌊", detail={"file": "реки.csv"})

    copies = json.loads(notice.message())

    assert copies["default"] == copies["email"] == notice.text
    machine = {"file": "реки.csv", "subject": "Finished: flüsse.csv 2 of 2", "text": notice.text}
    for protocol in ("email-json", "sqs", "lambda", "http", "https", "firehose"):
        assert json.loads(copies[protocol]) == machine
    assert "\\u" not in notice.message()


def test_half_a_letter_is_an_escape() -> None:
    notice = replace(NOTICE, subject="Finished", detail={"answer": "\ud83d \uffff"})

    assert notice.message().isascii()
    assert json.loads(json.loads(notice.message())["sqs"])["answer"] == "\ud83d \uffff"


class Refusing:
    """Services that do not take what they are given."""

    code = "InternalError"

    def publish(self, **_: Any) -> None:
        raise ClientError({"Error": {"Code": self.code}}, "Publish")

    def put_events(self, **_: Any) -> dict[str, Any]:
        return {"FailedEntryCount": 1, "Entries": [{"ErrorCode": "NotAuthorized"}]}


def test_what_was_not_taken_is_an_error() -> None:
    services: Any = Refusing()

    with pytest.raises(AwsUnavailable):
        SnsChannel(services, "arn").send(NOTICE)
    with pytest.raises(AwsError, match="NotAuthorized"):
        EventBridgeChannel(services).send(NOTICE)


def test_what_sns_will_never_take_is_not_worth_another_try() -> None:
    services: Any = Refusing()
    services.code = "InvalidParameter"

    with pytest.raises(AwsError, match="InvalidParameter") as refused:
        SnsChannel(services, "arn").send(NOTICE)

    assert not refused.value.retryable


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("Grüße, Łódź – naïve", "Grusse, Lodz - naive"),
        ("Готово: a.csv", "...: a.csv"),
        ("done 🌊", "done ..."),
        ("a\n b", "a b"),
    ],
)
def test_a_subject_says_what_ascii_can_say(text: str, said: str) -> None:
    assert subject_line(text) == said


@given(st.text(max_size=300))
def test_any_subject_is_made_to_fit(text: str) -> None:
    subject = subject_line(text)

    assert len(subject) <= 99
    assert subject.isascii()
    assert "\n" not in subject
    assert "\r" not in subject
