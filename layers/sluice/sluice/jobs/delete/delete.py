"""Deleting an ended job: its batches at Claude, its objects in both buckets, its shards in the table.

Nothing is left but that there was one, and when it was deleted.

Everything may be deleted again, so a message that comes twice, or after a crash at any line, does no harm. Batches go
first: the table alone knows which ones they are.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from itertools import islice
from typing import TypeVar

from sluice.aws.s3 import ObjectVersion
from sluice.aws.s3_links import ObjectLinks
from sluice.aws.sqs_batch import StepResult
from sluice.deadline import Deadline
from sluice.errors import ClaudeError, ConditionFailed
from sluice.jobs.messages import QueueMessage, Step, send
from sluice.jobs.model import Job, JobStatus, Shard, work_key
from sluice.jobs.rows import rows_key
from sluice.jobs.services import Services
from sluice.jobs.table_items import key_of
from sluice.table_keys import batch_key

T = TypeVar("T")

# Left of an invocation when it hands over to the next one.
_HAND_OVER_SECONDS = 30.0
_PARALLEL = 8
# S3: DeleteObjects takes 1,000 keys.
_THOUSAND = 1000


def delete(services: Services, message: Mapping[str, object], deadline: Deadline) -> StepResult:
    """Do what the message of a job asks for. Raises SluiceError where the message should be delivered again."""
    job = services.jobs.find(str(message["job_id"]))
    if job is None or job.status is not JobStatus.DELETING:
        return StepResult("not_due")
    shards = list(services.shards.of_job(job.job_id))
    steps = (_batches(services, shards), _objects(services, job), _items(services, shards))
    if not all(_each(deletions, deadline) for deletions in steps):
        send(services, [QueueMessage(Step.DELETE, {"job_id": job.job_id})])
        return StepResult("goes_on")
    try:
        services.jobs.mark_deleted(job, services.now())
    except ConditionFailed:
        return StepResult("done_elsewhere")
    return StepResult("deleted")


def _each(deletions: Iterable[Callable[[], None]], deadline: Deadline) -> bool:
    """Make deletions, several at once; False where time ran out before all were made."""
    remaining = iter(deletions)
    with ThreadPoolExecutor(_PARALLEL) as pool:
        while some := list(islice(remaining, 4 * _PARALLEL)):
            if deadline.is_within(_HAND_OVER_SECONDS):
                return False
            list(pool.map(lambda deletion: deletion(), some))
    return True


def _batches(services: Services, shards: Sequence[Shard]) -> Iterator[Callable[[], None]]:
    for shard in shards:
        if shard.batch_id:
            yield partial(_delete_batch, services, shard.batch_id)


def _delete_batch(services: Services, batch_id: str) -> None:
    try:
        services.claude.delete_batch(batch_id)
    except ClaudeError as error:
        if error.http_status != 404:
            raise


def _objects(services: Services, job: Job) -> Iterator[Callable[[], None]]:
    s3, outbox = services.s3, services.outbox.bucket
    for prefix in (f"{job.job_id}/", work_key(job.job_id, ""), rows_key(job.job_id, "")):
        found = (ObjectVersion(each.key, None) for each in s3.list(outbox, prefix))
        for some in _in_thousands(found):
            yield partial(s3.delete, outbox, some)
    if job.ticket and job.ticket.settings_key:
        yield partial(s3.delete, outbox, [ObjectVersion(job.ticket.settings_key, None)])
    for some in _in_thousands(_input(services, job)):
        yield partial(s3.delete, job.upload.bucket, some)
    if job.ticket and (upload_id := job.ticket.upload_id):
        yield partial(ObjectLinks(s3, job.upload.bucket, job.upload.key).abort, upload_id)


def _input(services: Services, job: Job) -> Iterator[ObjectVersion]:
    """Yield what was dropped: of a key that others may use too, the job's own version alone."""
    upload = job.upload
    if job.ticket is None:
        yield ObjectVersion(upload.key, upload.version)
        return
    yield from (each for each in services.s3.versions(upload.bucket, upload.key) if each.key == upload.key)


def _items(services: Services, shards: Sequence[Shard]) -> Iterator[Callable[[], None]]:
    for shard in shards:
        if shard.batch_id:
            yield partial(services.dynamodb.delete, batch_key(shard.batch_id))
        yield partial(services.dynamodb.delete, key_of(shard.ref))


def _in_thousands(items: Iterable[T]) -> Iterator[list[T]]:
    remaining = iter(items)
    while some := list(islice(remaining, _THOUSAND)):
        yield some
