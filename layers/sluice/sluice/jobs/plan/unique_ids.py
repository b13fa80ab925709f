"""Is every ``custom_id`` of a job the only one of its name? Answered in about 8 bytes a request, and never wrongly.

A batch wants unique ids (Claude API: Message Batches), and the results of all batches of a job lie in one file. While
a file is read, only the hash of each id is kept. Where all hashes differ, so do all ids, and that is the end of it.
Where some are alike, the ids themselves, which lie in the Outbox anyway, are read once more to tell repetitions
from chance; then the file is planned anew by one who knows which ids to let pass only once (``FirstUses``).
"""

from __future__ import annotations

from array import array
from collections.abc import Collection, Iterable

from sluice.errors import UnreadableInput

# Hashes are sorted into so many arrays while they come, so that only one array at a time is looked at.
_PARTS = 256
_MASK = _PARTS - 1
# Each of them is held, in several places. A file with so many is the wrong one, or was put together twice.
MAX_REPEATED = 200_000


class SeenHashes:
    """The hashes of the ids of a job. Python salts them, so they mean nothing to another process."""

    def __init__(self) -> None:
        self._parts = [array("q") for _ in range(_PARTS)]

    def add(self, ids: Iterable[str]) -> None:
        parts = self._parts
        for value in map(hash, ids):
            parts[value & _MASK].append(value)

    def repeated(self) -> set[int]:
        """Return the hashes that were added more than once. Raises UnreadableInput where there are far too many."""
        repeated: set[int] = set()
        for part in self._parts:
            if len(set(part)) < len(part):
                repeated |= repeated_values(part)
            if len(repeated) > MAX_REPEATED:
                raise UnreadableInput(
                    f'More than {MAX_REPEATED} values of "custom_id" are there more than once: perhaps it is the wrong '
                    "file. Make each the only one of its name, or leave them all out, and drop the file again."
                )
        return repeated


def repeated_ids(runs: Iterable[Collection[str]], hashes: Collection[int]) -> set[str]:
    """Return the ids that are there more than once, of those with the given hashes."""
    first: set[str] = set()
    repeated: set[str] = set()
    for ids in runs:
        for custom_id in ids:
            if hash(custom_id) in hashes:
                (repeated if custom_id in first else first).add(custom_id)
    return repeated


def repeated_values(values: Iterable[int]) -> set[int]:
    """Return the values that are there more than once."""
    first: set[int] = set()
    repeated: set[int] = set()
    for value in values:
        (repeated if value in first else first).add(value)
    return repeated


class FirstUses:
    """Lets each id of a file pass once, where ``repeated`` has all ids that are there more than once."""

    def __init__(self, repeated: Collection[str] = (), used: Collection[str] = ()) -> None:
        self.repeated = frozenset(repeated)
        self.used = set(used)

    def concerns(self, ids: Collection[str]) -> bool:
        """Return whether any of these needs to be asked about one by one."""
        return not self.repeated.isdisjoint(ids)

    def take(self, custom_id: str) -> bool:
        """Return whether this is the first use of an id."""
        if custom_id in self.used:
            return False
        if custom_id in self.repeated:
            self.used.add(custom_id)
        return True


def spare_name(number: int, kind: str, tag: str, repeated: Collection[str]) -> str:
    """Name the line (or row) of a number that does not name itself, so that one that names itself so can keep it."""
    plain = f"{kind}-{number}"
    return f"{plain}-{tag}" if plain in repeated else plain
