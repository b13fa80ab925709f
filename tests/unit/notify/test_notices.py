"""One message to the topic, one event to the bus."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError
from hypothesis import given
from hypothesis import strategies as st
from moto import mock_aws

from sluice.errors import AwsError, AwsUnavailable
from sluice.notify.channels import Topic
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
def inbox() -> Iterator[tuple[Topic, str]]:
    """A topic, and a queue that hears it."""
    with mock_aws():
        sns, sqs = client("sns"), client("sqs")
        topic = sns.create_topic(Name="done")["TopicArn"]
        queue = sqs.create_queue(QueueName="heard")["QueueUrl"]
        arn = sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
        sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=arn)
        yield Topic(sns, client("events"), topic), queue


def test_machines_get_json_and_attributes_to_filter_on(inbox: tuple[Topic, str]) -> None:
    topic, queue = inbox

    topic.publish(NOTICE)

    (message,) = boto3.client("sqs").receive_message(QueueUrl=queue)["Messages"]
    heard = json.loads(message["Body"])
    assert NOTICE.detail.items() <= json.loads(heard["Message"]).items()
    assert heard["Subject"] == "Finished: fl?sse.csv 2 of 2"
    assert heard["MessageAttributes"] == {"event": {"Type": "String", "Value": "job.finished"}}


def test_the_bus_takes_the_event(inbox: tuple[Topic, str]) -> None:
    topic, _ = inbox

    topic.emit(NOTICE)


def test_each_protocol_gets_its_copy_and_letters_are_no_escapes() -> None:
    notice = replace(NOTICE, text="Всё готово 🌊", detail={"file": "реки.csv"})

    copies = json.loads(notice.message())

    assert copies["default"] == copies["email"] == notice.text
    machine = {"file": "реки.csv", "subject": "Finished: fl?sse.csv 2 of 2", "text": notice.text}
    for protocol in ("email-json", "sqs", "lambda", "http", "https", "firehose"):
        assert json.loads(copies[protocol]) == machine
    assert "\\u" not in notice.message()


def test_half_a_letter_is_an_escape() -> None:
    notice = replace(NOTICE, detail={"answer": "\ud83d \uffff"})

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
    topic = Topic(services, services, "arn")

    with pytest.raises(AwsUnavailable):
        topic.publish(NOTICE)
    with pytest.raises(AwsError, match="NotAuthorized"):
        topic.emit(NOTICE)


def test_what_sns_will_never_take_is_not_worth_another_try() -> None:
    services: Any = Refusing()
    services.code = "InvalidParameter"

    with pytest.raises(AwsError, match="InvalidParameter") as refused:
        Topic(services, None, "arn").publish(NOTICE)

    assert not refused.value.retryable


@given(st.text(max_size=300))
def test_any_subject_is_made_to_fit(text: str) -> None:
    subject = subject_line(text)

    assert len(subject) <= 99
    assert subject.isascii()
    assert "\n" not in subject
    assert "\r" not in subject
