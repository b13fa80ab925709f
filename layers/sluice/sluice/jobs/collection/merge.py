"""The waves of a shard merged into the order of the input. Without I/O."""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby
from operator import itemgetter

Placed = tuple[int, bytes]
_place = itemgetter(0)


def merge_waves(waves: Sequence[Iterable[Placed]]) -> Iterator[bytes]:
    """Yield the lines of several waves in the order of their places, which ascend within each.

    Where several have a line for one place, that of the last wave counts: an answer that was asked for again.
    """
    if len(waves) == 1:
        yield from (line for _, line in waves[0])
        return
    for _, lines in groupby(heapq.merge(*waves, key=_place), key=_place):
        *_, (_, line) = lines
        yield line
