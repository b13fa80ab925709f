"""What the plan queue brings: notifications of S3, and our own messages. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any, Literal
from urllib.parse import unquote_plus

from sluice.aws.sqs_batch import StepResult
from sluice.errors import Conflict, InputError, NotFound, ObjectNotFound
from sluice.jobs.control import cancel_job, release_job, resume_job
from sluice.jobs.folder_settings import is_settings_name
from sluice.jobs.job_settings import PRICES_KEY, check_settings_object, given_settings, resolve_settings
from sluice.jobs.model import HoldKind, Job, JobStatus, Upload
from sluice.jobs.plan.leftovers import COMMAND_TEXT, is_leftover
from sluice.jobs.plan.plan import Planner
from sluice.jobs.services import Services
from sluice.jobs.wording import shorten


@dataclass(frozen=True, slots=True)
class Command:
    """What a person asks of a job by dropping an object named after it."""

    verb: Literal["release", "cancel"]
    job_id: str
    key: str


@dataclass(frozen=True, slots=True)
class Continuation:
    """A job to be taken on, where ``checkpoint_key`` says, or from where the table says that it stands."""

    job_id: str
    checkpoint_key: str | None


@dataclass(frozen=True, slots=True)
class SettingsChanged:
    """A ``sluice.yaml`` or the price list was put into the Inbox; it is no job."""

    bucket: str
    key: str


@dataclass(frozen=True, slots=True)
class Leftover:
    """What a program left, or has not finished; it is no job."""

    key: str


PlanEvent = Upload | Command | Continuation | SettingsChanged | Leftover


def parse_message(message: Mapping[str, Any]) -> list[PlanEvent]:
    """Read one message. Raises ValueError where it is neither a notification nor ours.

    S3 delivers notifications at least once, in any order, several to a message, and sends a test event when they are
    set up (S3: Event message structure).
    """
    if "job_id" in message:
        checkpoint = message.get("checkpoint")
        return [Continuation(str(message["job_id"]), None if checkpoint is None else str(checkpoint))]
    if message.get("Event") == "s3:TestEvent":
        return []
    try:
        return [arrival for record in message["Records"] for arrival in _events(record)]
    except (KeyError, TypeError, AttributeError):
        raise ValueError("The message is neither a notification of S3 nor one of Sluice.") from None


def _events(record: Mapping[str, Any]) -> Iterator[PlanEvent]:
    if not str(record["eventName"]).startswith("ObjectCreated"):
        return
    found = record["s3"]["object"]
    bucket, key = str(record["s3"]["bucket"]["name"]), unquote_plus(found["key"])
    name = PurePosixPath(key).name
    if key.endswith("/"):
        # Folders as the console makes them.
        return
    if command := COMMAND_TEXT.fullmatch(name):
        name = f"{command[1]}.{command[2]}"
    stem, _, ending = name.rpartition(".")
    if is_leftover(key):
        yield Leftover(key)
    elif is_settings_name(name) or key == PRICES_KEY:
        yield SettingsChanged(bucket, key)
    elif ending == "release":
        yield Command("release", stem, key)
    elif ending == "cancel":
        yield Command("cancel", stem, key)
    else:
        yield Upload(bucket, key, found.get("versionId"), str(found.get("eTag", "")), int(found.get("size", 0)))


def receive_message(planner: Planner, message: Mapping[str, Any]) -> StepResult:
    """Act on all that one message of the plan queue brings. Raises ValueError for one that is none, or AwsError."""
    outcomes = [receive(planner, event) for event in parse_message(message)]
    return StepResult("received", {"events": outcomes})


def receive(planner: Planner, arrival: PlanEvent) -> str:
    """Act on one arrival; return in a few words, fit for a log, what came of it. Raises AwsError to be tried again."""
    match arrival:
        case Upload():
            job = planner.take_upload(arrival)
            return f"job {job.job_id} is {job.status}"
        case Continuation(job_id, checkpoint_key):
            known = planner.take_job(job_id, checkpoint_key)
            return f"job {job_id} is {known.status}" if known else f"there is no job {job_id}"
        case Command():
            return _run_command(planner, arrival)
        case Leftover(key):
            return f"passed over: {shorten(key)}"
        case SettingsChanged():
            return _take_settings(planner.services, arrival)


def _run_command(planner: Planner, command: Command) -> str:
    """Carry out a command. One that comes too late, or again, is answered and forgotten."""
    carry_out = release_job if command.verb == "release" else cancel_job
    try:
        job = carry_out(planner.services, command.job_id)
    except (NotFound, Conflict) as error:
        return f"{command.verb} refused: {error}"
    return f"{command.verb}: job {job.job_id} is {job.status}"


def _take_settings(services: Services, changed: SettingsChanged) -> str:
    """Read new settings, so that a mistake shows in the log at once, and let the jobs go on that waited for them."""
    try:
        check_settings_object(services.s3, changed.bucket, changed.key)
    except (InputError, ObjectNotFound) as error:
        return f"settings that cannot be used: {shorten(str(error))}"
    waiting = [job for job in _held_for_settings(services) if _is_for(services, changed, job)]
    for job in waiting:
        resume_job(services, job)
    return f"settings {changed.key} read; jobs that go on: {len(waiting)}"


def _held_for_settings(services: Services) -> Iterator[Job]:
    for job in services.jobs.open():
        if not isinstance(job, Job):
            # Jobs come first, then shards.
            return
        # The index may lag behind: one that is held since a moment is listed as it was before.
        present = services.jobs.find(job.job_id) if job.status is JobStatus.RECEIVED else job
        if present and present.status is JobStatus.HELD and present.hold and present.hold.kind == HoldKind.SETTINGS:
            yield present


def _is_for(services: Services, changed: SettingsChanged, job: Job) -> bool:
    """Return whether a job would be planned with these settings, and was not before.

    The nearest to its file are the ones that count. What S3 tells of them may come after the job was planned with them,
    or twice.
    """
    if job.upload.bucket != changed.bucket:
        return False
    if not job.upload.key.startswith(changed.key.rpartition("/")[0]):
        return False
    try:
        given = given_settings(services.outbox, job)
        found = resolve_settings(services.s3, services.settings, job.upload, given)
    except (InputError, ObjectNotFound):
        return False
    return found.folder_key == changed.key and job.hold is not None and found.digest != job.hold.settings_digest
