"""The kinds of files that can be dropped, and which of them an upload is."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import PurePosixPath

from sluice.aws.s3 import S3
from sluice.errors import UnreadableInput
from sluice.jobs.formats.base import FileKind, SourceBytes
from sluice.jobs.formats.csv import CsvKind
from sluice.jobs.formats.jsonl import JsonlKind
from sluice.jobs.formats.source import UploadBytes
from sluice.jobs.formats.txt import TxtKind
from sluice.jobs.model import Upload

KINDS: tuple[FileKind, ...] = (
    JsonlKind(),
    CsvKind(),
    TxtKind(),
)


@dataclass(frozen=True, slots=True)
class DroppedFile:
    """An upload, and the kind that it is read as."""

    kind: FileKind
    source: SourceBytes


def identify(s3: S3, upload: Upload) -> DroppedFile:
    """Find the kind of an upload: by its first bytes where they tell, otherwise by its name.

    Raises UnreadableInput where it is of none, which says what can be read.
    """
    source = UploadBytes(s3, upload)
    named = kind_named(upload.key)
    for kind in KINDS:
        if kind.is_known_by(source.head):
            return DroppedFile(kind, source)
    if named is None:
        readable = ", ".join(suffix for kind in KINDS for suffix in kind.suffixes)
        raise UnreadableInput(f"This kind of file cannot be read. What can: {readable}, and each as .gz.")
    return DroppedFile(named, source)


def kind_named(key: str) -> FileKind | None:
    """Return the kind that the name of a file stands for; None where there is none."""
    suffix = PurePosixPath(PurePosixPath(key).name.lower().removesuffix(".gz")).suffix
    return next((kind for kind in KINDS if suffix in kind.suffixes), None)
