"""Which format of file a name stands for. ``registry`` opens each; ``Upload.format`` is where others ask."""

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
class FileFormat:
    """What a file is read as, and whether it is packed with gzip."""

    kind: Kind
    gzipped: bool

    @property
    def uses_settings(self) -> bool:
        """Whether the requests of such a file are made by the settings of its folder."""
        return self.kind is not Kind.JSONL

    @property
    def is_table(self) -> bool:
        """Whether the file is a table, and so comes back as one."""
        return self.kind is Kind.TABLE


def format_of(key: str) -> FileFormat:
    """Return the format that the name of a file stands for. Raises UnreadableInput, which says what can be read."""
    name = PurePosixPath(key).name.lower()
    kind = _KINDS.get(PurePosixPath(name.removesuffix(".gz")).suffix)
    if kind is None:
        readable = ", ".join(_KINDS)
        raise UnreadableInput(f"This kind of file cannot be read. What can: {readable}, and each as .gz.")
    return FileFormat(kind, name.endswith(".gz"))
