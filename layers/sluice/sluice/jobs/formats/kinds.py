"""Which kind of file a name stands for."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from pathlib import PurePosixPath

from sluice.errors import UnreadableInput


class Kind(StrEnum):
    JSONL = "jsonl"
    TABLE = "csv"
    TEXT = "txt"

    @property
    def line_word(self) -> str:
        """What a line is called in the ids that are made up for lines without one."""
        return "row" if self is Kind.TABLE else "line"


_KINDS = {
    ".jsonl": Kind.JSONL,
    ".ndjson": Kind.JSONL,
    ".csv": Kind.TABLE,
    ".tsv": Kind.TABLE,
    ".txt": Kind.TEXT,
}


@dataclass(frozen=True, slots=True)
class FileKind:
    """``packed``: with gzip."""

    kind: Kind
    packed: bool


def is_table(key: str) -> bool:
    """Say whether a file is a table, and so comes back as one. Raises as ``kind_of_file`` does."""
    return kind_of_file(key).kind is Kind.TABLE


def kind_of_file(key: str) -> FileKind:
    """Tell the kind of a file from its name. Raises UnreadableInput, which says what can be read."""
    name = PurePosixPath(key).name.lower()
    packed = name.endswith(".gz")
    kind = _KINDS.get(PurePosixPath(name.removesuffix(".gz")).suffix)
    if kind is None:
        raise UnreadableInput("This kind of file cannot be read. What can: .jsonl, .csv, .tsv, .txt, and each as .gz.")
    return FileKind(kind, packed)
