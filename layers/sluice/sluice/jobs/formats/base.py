"""What a kind of file is, and what all of them are read as: batches of checked lines.

A kind is one class here and one line in ``registry``: by which names and first bytes it is known, how it is read as
requests, and, for a table, how it is read again at the end and which files come back.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import ClassVar, Protocol, TypeVar

from sluice.aws.s3 import Writer
from sluice.jobs.formats.check import BadLine, GoodLine, LineRules, Run
from sluice.jobs.job_settings import EffectiveSettings

# So much text is held at once, and the line or row that comes to more.
_MAX_CHARACTERS = 1_000_000

T = TypeVar("T")


class SourceBytes(Protocol):
    """The bytes of a dropped file, unpacked where it is packed."""

    @property
    def name(self) -> str:
        """The key of the object."""
        ...

    @property
    def gzipped(self) -> bool: ...

    @property
    def head(self) -> bytes:
        """The first bytes."""
        ...

    def chunks(self, offset: int = 0) -> Iterator[bytes]:
        """Yield all bytes from an offset on. Raises UnreadableInput, or as ``S3`` does."""
        ...


@dataclass(frozen=True, slots=True)
class Position:
    """How much of a file was read: bytes (unpacked; 0 where only lines are counted), and lines or rows."""

    offset: int = 0
    lines: int = 0


@dataclass(frozen=True, slots=True)
class InputBatch:
    """Checked lines in their order, to be taken once; ``position`` is behind the last of them."""

    items: Iterable[Run | GoodLine | BadLine]
    position: Position


class InputFile(Protocol):
    """A file. ``in_place``: its lines lie in the upload as they are sent, but for edits."""

    @property
    def in_place(self) -> bool: ...

    @property
    def notes(self) -> list[str]: ...

    def batches(self, start: Position) -> Iterator[InputBatch]:
        """Read from a position on. Raises InputError for settings that cannot be used, UnreadableInput for a file."""


# What stands in a cell that Sluice adds: a text, a number or a truth value of an answer; None: nothing.
Cell = str | int | float | bool | None


class TableRow(Protocol):
    """A row as it was dropped; ``number`` counts the rows that were planned, from 1. ``cells`` as people see them."""

    @property
    def number(self) -> int: ...

    @property
    def cells(self) -> Sequence[str]: ...


class TableWriter(Protocol):
    """Writes one of the files that a table comes back as."""

    def write_header(self, new_columns: Sequence[str]) -> None: ...

    def write_row(self, row: TableRow, cells: Sequence[Cell]) -> None:
        """Write a row of the table, with a cell for each new column."""
        ...

    def close(self) -> None:
        """Write what is not written yet; the object appears afterwards."""
        ...


@dataclass(frozen=True, slots=True)
class TableFile:
    """A file that a table comes back as; ``begin`` makes its writer, which writes into an object of the Outbox."""

    name: str
    content_type: str
    begin: Callable[[Writer], TableWriter]


class SourceTable(Protocol):
    """A table that was dropped, read once more so that its rows come back beside their answers."""

    @property
    def columns(self) -> Sequence[str]: ...

    def rows(self) -> Iterator[TableRow]:
        """Yield the rows that were planned, in their order."""
        ...

    def files(self) -> Sequence[TableFile]:
        """Return the files that the table comes back as, the one for people first."""
        ...


class FileKind(ABC):
    """A kind of file that can be dropped.

    ``name`` is in logs; ``suffixes`` are the ends of names, in lower case, that stand for it; ``marks`` are the first
    bytes by which it is known whatever its name. ``line_word`` is what its lines are called in the ids that Sluice
    makes. ``uses_settings``: its requests are made by the folder's settings. ``is_table``: it comes back as a table.
    """

    name: ClassVar[str]
    suffixes: ClassVar[tuple[str, ...]]
    marks: ClassVar[tuple[bytes, ...]] = ()
    line_word: ClassVar[str] = "line"
    uses_settings: ClassVar[bool] = True
    is_table: ClassVar[bool] = False

    def is_known_by(self, head: bytes) -> bool:
        """Return whether a file that begins so is of this kind, whatever its name."""
        return head.startswith(self.marks)

    @abstractmethod
    def open(self, source: SourceBytes, effective: EffectiveSettings, rules: LineRules) -> InputFile:
        """Open a file to be read as requests. Raises UnreadableInput where it cannot be."""

    def read_table(self, source: SourceBytes, effective: EffectiveSettings) -> SourceTable | None:
        """Open a file once more for the table that comes back; None for a kind that does not come back as one."""
        return None


def take_together(lines: Iterable[T], count: int, characters: Callable[[T], int]) -> Iterator[list[T]]:
    """Yield lines or rows ``count`` at a time, fewer where they are long, so that memory does not grow with them."""
    some: list[T] = []
    length = 0
    for line in lines:
        some.append(line)
        length += characters(line)
        if len(some) == count or length > _MAX_CHARACTERS:
            yield some
            some, length = [], 0
    if some:
        yield some
