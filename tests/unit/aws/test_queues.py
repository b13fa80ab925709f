"""Messages are never seen before they are due."""

from __future__ import annotations

from typing import Any

import pytest

from sluice.aws.queues import Queues


class Sqs:
    def __init__(self) -> None:
        self.delay = -1

    def send_message(self, *, QueueUrl: str, MessageBody: str, DelaySeconds: int) -> None:  # noqa: N803  boto3's names
        self.delay = DelaySeconds


@pytest.mark.parametrize(("asked", "sent"), [(-3, 0), (0, 0), (0.01, 1), (1.5, 2), (2, 2), (899.2, 900), (5000, 900)])
def test_a_delay_is_rounded_up_to_whole_seconds_within_the_limits_of_sqs(asked: float, sent: int) -> None:
    client: Any = (sqs := Sqs())
    Queues(client).send("url", {"job_id": "one"}, asked)
    assert sqs.delay == sent
