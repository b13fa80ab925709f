"""Blocks: runs of whole lines, cut out of bytes that arrive in chunks cut anywhere."""

from __future__ import annotations

from collections.abc import Iterable, Iterator


def whole_lines(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """Yield the same bytes as runs of whole lines, each with its newline; the last line gets one where it has none.

    A run is about as long as a chunk, and as long as a line where that is longer.
    """
    started: list[bytes] = []
    for chunk in chunks:
        cut = chunk.rfind(b"\n") + 1
        if not cut:
            started.append(chunk)
            continue
        yield b"".join((*started, memoryview(chunk)[:cut])) if started else chunk[:cut]
        started = [chunk[cut:]] if cut < len(chunk) else []
    if rest := b"".join(started):
        yield rest + b"\n"
