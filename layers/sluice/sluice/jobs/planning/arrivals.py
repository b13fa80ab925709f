"""What the plan queue brings: notifications of S3, and our own messages. Pure."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any, Literal
from urllib.parse import unquote_plus

from sluice.jobs.folder import FILE_NAME
from sluice.jobs.model import Upload
from sluice.jobs.pinned import PRICES_KEY


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


Arrival = Upload | Command | Continuation | SettingsChanged


def parse_message(body: str) -> list[Arrival]:
    """Read one message. Raises ValueError where it is neither a notification nor ours.

    S3 delivers notifications at least once, in any order, several to a message, and sends a test event when they are
    set up (S3: Event message structure).
    """
    message = json.loads(body)
    if not isinstance(message, dict):
        raise ValueError("The message is not an object.")
    if "job_id" in message:
        checkpoint = message.get("checkpoint")
        return [Continuation(str(message["job_id"]), None if checkpoint is None else str(checkpoint))]
    if message.get("Event") == "s3:TestEvent":
        return []
    try:
        return [arrival for record in message["Records"] for arrival in _arrivals(record)]
    except (KeyError, TypeError, AttributeError):
        raise ValueError("The message is neither a notification of S3 nor one of Sluice.") from None


def _arrivals(record: Mapping[str, Any]) -> Iterator[Arrival]:
    if not str(record["eventName"]).startswith("ObjectCreated"):
        return
    found = record["s3"]["object"]
    bucket, key = str(record["s3"]["bucket"]["name"]), unquote_plus(found["key"])
    name = PurePosixPath(key).name
    if key.endswith("/") or name.startswith("."):
        # Folders as the console makes them, and what file managers leave behind (.DS_Store).
        return
    stem, _, ending = name.rpartition(".")
    if name == FILE_NAME or key == PRICES_KEY:
        yield SettingsChanged(bucket, key)
    elif ending == "release":
        yield Command("release", stem, key)
    elif ending == "cancel":
        yield Command("cancel", stem, key)
    else:
        yield Upload(bucket, key, found.get("versionId"), str(found.get("eTag", "")), int(found.get("size", 0)))
