"""The queue messages of the steps of a job, and how they are sent. Which message is due when: ``jobs.next_steps``."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum

from sluice.jobs.model import ShardRef
from sluice.jobs.services import Services
from sluice.settings import JobSettings


class Step(StrEnum):
    PLAN = "plan"
    SUBMIT = "submit"
    COLLECT = "collect"
    FINISH = "finish"
    DELETE = "delete"

    def queue_url(self, settings: JobSettings) -> str:
        urls = {
            Step.PLAN: settings.plan_queue_url,
            Step.SUBMIT: settings.submit_queue_url,
            Step.COLLECT: settings.collect_queue_url,
            Step.FINISH: settings.finish_queue_url,
            Step.DELETE: settings.delete_queue_url,
        }
        return urls[self]


@dataclass(frozen=True, slots=True)
class QueueMessage:
    step: Step
    message: Mapping[str, object]


def failed_shard_message(ref: ShardRef, error_type: str, message: str) -> QueueMessage:
    """Return the message that turns each request of a shard that can never be sent into an error."""
    return QueueMessage(Step.COLLECT, {**ref.message(), "failure": {"type": error_type, "message": message}})


def send(services: Services, queue_messages: Iterable[QueueMessage]) -> int:
    """Send messages, ten to a call (SQS: SendMessageBatch); return how many. Raises AwsError."""
    messages: dict[Step, list[Mapping[str, object]]] = defaultdict(list)
    for queue_message in queue_messages:
        messages[queue_message.step].append(queue_message.message)
    for step, each in messages.items():
        services.sqs.send_all(step.queue_url(services.settings), each)
    return sum(map(len, messages.values()))


def send_later(services: Services, queue_message: QueueMessage, delay_seconds: float) -> None:
    """Send one message that is delivered after a delay, of 15 minutes at most (SQS: Message quotas)."""
    services.sqs.send(queue_message.step.queue_url(services.settings), queue_message.message, delay_seconds)
