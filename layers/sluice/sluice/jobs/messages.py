"""The queue messages that take a job or a shard one step on. Without I/O but for ``send``.

Each step can be repeated without harm, so a message may be sent again whenever it could have been lost.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum

from sluice.jobs.model import UNDECIDED, Job, JobStatus, Shard, ShardRef, ShardStatus
from sluice.jobs.services import Services
from sluice.settings import JobSettings


class Step(StrEnum):
    PLAN = "plan"
    SUBMIT = "submit"
    COLLECT = "collect"
    FINISH = "finish"

    def queue_url(self, settings: JobSettings) -> str:
        urls = {
            Step.PLAN: settings.plan_queue_url,
            Step.SUBMIT: settings.submit_queue_url,
            Step.COLLECT: settings.collect_queue_url,
            Step.FINISH: settings.finish_queue_url,
        }
        return urls[self]


@dataclass(frozen=True, slots=True)
class QueueMessage:
    step: Step
    message: Mapping[str, object]


def job_message(job: Job) -> QueueMessage | None:
    """Return what takes the job itself on; None where its shards have to move first, or a person."""
    match job.status:
        case JobStatus.RECEIVED | JobStatus.PLANNED:
            return QueueMessage(Step.PLAN, {"job_id": job.job_id, "checkpoint": None})
        case JobStatus.RUNNING if job.open_shards == 0:
            return QueueMessage(Step.FINISH, {"job_id": job.job_id})
        case _:
            return None


def shard_message(job: Job, shard: Shard) -> QueueMessage | None:
    """Return what takes a shard on; None where it waits for Claude, or its job for a person."""
    match shard.status:
        case ShardStatus.PLANNED if job.status is JobStatus.RUNNING:
            return QueueMessage(Step.COLLECT if job.cancel_requested else Step.SUBMIT, shard.ref.message())
        case ShardStatus.SUBMITTING | ShardStatus.ADOPTING:
            return QueueMessage(Step.SUBMIT, shard.ref.message())
        case ShardStatus.ENDED:
            return QueueMessage(Step.COLLECT, shard.ref.message())
        case _:
            return None


def failed_shard_message(ref: ShardRef, error_type: str, message: str) -> QueueMessage:
    """Return what turns each request of a shard that can never be sent into an error."""
    return QueueMessage(Step.COLLECT, {**ref.message(), "failure": {"type": error_type, "message": message}})


def send(services: Services, queue_messages: Iterable[QueueMessage]) -> int:
    """Send letters, ten to a call; return how many. Raises AwsError."""
    messages: dict[Step, list[Mapping[str, object]]] = defaultdict(list)
    for queue_message in queue_messages:
        messages[queue_message.step].append(queue_message.message)
    for step, each in messages.items():
        services.queues.send_all(step.queue_url(services.settings), each)
    return sum(map(len, messages.values()))


def send_later(services: Services, queue_message: QueueMessage, delay_seconds: float) -> None:
    """Send one letter that is seen after a delay, of 15 minutes at most (SQS: Message quotas)."""
    services.queues.send(queue_message.step.queue_url(services.settings), queue_message.message, delay_seconds)


@dataclass(frozen=True, slots=True)
class OpenJob:
    """A job with those of its shards that are open."""

    job: Job
    shards: tuple[Shard, ...]

    @property
    def last_movement(self) -> float:
        """The latest moment at which anything of it moved, or to which it was put off."""
        return max([self.job.moved_at, *(max(shard.moved_at, shard.due_at) for shard in self.shards)])


def pending_messages(open_job: OpenJob) -> list[QueueMessage]:
    """Return the messages that take a job on from where it stands; of undecided shards, the poller takes care."""
    own = job_message(open_job.job)
    decided = (shard for shard in open_job.shards if shard.status not in UNDECIDED)
    return [
        queue_message
        for queue_message in (own, *(shard_message(open_job.job, shard) for shard in decided))
        if queue_message
    ]
