"""Messages are never seen before they are due, and none is lost unnoticed."""

from __future__ import annotations

from typing import Any

import pytest
from botocore.exceptions import EndpointConnectionError
from hypothesis import given
from hypothesis import strategies as st

from sluice.aws.sqs import Sqs
from sluice.errors import AwsError, AwsUnavailable


class FakeSqs:
    def __init__(self) -> None:
        self.delay = -1

    def send_message(self, *, QueueUrl: str, MessageBody: str, DelaySeconds: int) -> None:  # noqa: N803  boto3's names
        self.delay = DelaySeconds


@pytest.mark.parametrize(("asked", "sent"), [(-3, 0), (0, 0), (0.01, 1), (1.5, 2), (2, 2), (899.2, 900), (5000, 900)])
def test_a_delay_is_rounded_up_to_whole_seconds_within_the_limits_of_sqs(asked: float, sent: int) -> None:
    client: Any = (sqs := FakeSqs())
    Sqs(client).send("url", {"job_id": "one"}, asked)
    assert sqs.delay == sent


class Batches:
    """Takes messages ten at a time, but for those with the number ``refused``."""

    def __init__(self, refused: int = -1) -> None:
        self.bodies: list[str] = []
        self._refused = refused

    def send_message_batch(self, *, QueueUrl: str, Entries: list[dict[str, str]]) -> dict[str, Any]:  # noqa: N803  boto3's names
        assert 1 <= len(Entries) <= 10
        assert len({entry["Id"] for entry in Entries}) == len(Entries)
        self.bodies += [entry["MessageBody"] for entry in Entries]
        return {"Failed": [{"Id": "3", "Code": "InternalError"}]} if len(self.bodies) > self._refused >= 0 else {}


@given(st.integers(0, 45))
def test_many_messages_are_sent_in_order_ten_to_a_call(count: int) -> None:
    client: Any = (sqs := Batches())
    Sqs(client).send_all("url", ({"number": number} for number in range(count)))
    assert sqs.bodies == [f'{{"number": {number}}}' for number in range(count)]


def test_a_message_that_was_not_taken_is_an_error() -> None:
    client: Any = Batches(refused=12)
    with pytest.raises(AwsError, match="1 of 5"):
        Sqs(client).send_all("url", ({"number": number} for number in range(15)))


class Unreachable:
    def __getattr__(self, name: str) -> Any:
        raise EndpointConnectionError(endpoint_url="https://sqs")


@pytest.mark.parametrize("many", [False, True])
def test_a_queue_that_cannot_be_reached_may_be_later(many: bool) -> None:
    client: Any = Unreachable()
    queues = Sqs(client)
    with pytest.raises(AwsUnavailable):
        queues.send_all("url", [{}]) if many else queues.send("url", {})
