"""The queue messages that take a job or a shard one step on. Without I/O but for ``send``.

Each step can be repeated without harm, so a message may be sent again whenever it could have been lost.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum

from sluice.jobs.model import Job, JobStatus, Shard, ShardRef, ShardStatus
from sluice.jobs.services import Services
from sluice.jobs.settings import JobSettings


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
class Letter:
    step: Step
    message: Mapping[str, object]


def job_letter(job: Job) -> Letter | None:
    """Return what takes the job itself on; None where its shards have to move first, or a person."""
    match job.status:
        case JobStatus.RECEIVED | JobStatus.PLANNED:
            return Letter(Step.PLAN, {"job_id": job.job_id, "checkpoint": None})
        case JobStatus.RUNNING if job.open_shards == 0:
            return Letter(Step.FINISH, {"job_id": job.job_id})
        case _:
            return None


def shard_letter(job: Job, shard: Shard) -> Letter | None:
    """Return what takes a shard on; None where it waits for Claude, or its job for a person."""
    match shard.status:
        case ShardStatus.PLANNED if job.status is JobStatus.RUNNING:
            return Letter(Step.COLLECT if job.cancel_requested else Step.SUBMIT, shard.ref.message())
        case ShardStatus.SUBMITTING | ShardStatus.ADOPTING:
            return Letter(Step.SUBMIT, shard.ref.message())
        case ShardStatus.ENDED:
            return Letter(Step.COLLECT, shard.ref.message())
        case _:
            return None


def failed_shard_letter(ref: ShardRef, error_type: str, message: str) -> Letter:
    """Return what turns each request of a shard that can never be sent into an error."""
    return Letter(Step.COLLECT, {**ref.message(), "failure": {"type": error_type, "message": message}})


def send(services: Services, letters: Iterable[Letter]) -> int:
    """Send letters, ten to a call; return how many. Raises AwsError."""
    messages: dict[Step, list[Mapping[str, object]]] = defaultdict(list)
    for letter in letters:
        messages[letter.step].append(letter.message)
    for step, each in messages.items():
        services.queues.send_all(step.queue_url(services.settings), each)
    return sum(map(len, messages.values()))


def send_later(services: Services, letter: Letter, delay_seconds: float) -> None:
    """Send one letter that is seen after a delay, of 15 minutes at most (SQS: Message quotas)."""
    services.queues.send(letter.step.queue_url(services.settings), letter.message, delay_seconds)
