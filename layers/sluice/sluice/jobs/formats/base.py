"""What all kinds of files are read as: batches of checked lines, each with the place where the next one begins."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Protocol, TypeVar

from sluice.jobs.formats.check import BadLine, GoodLine, Run

# So much text is held at once, and the line or row that comes to more.
_MAX_CHARACTERS = 1_000_000

T = TypeVar("T")


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
