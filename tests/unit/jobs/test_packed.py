"""Files that are packed: read as they pass, and never taken for whole where they are not."""

from __future__ import annotations

import gzip

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sluice.errors import UnreadableInput
from sluice.jobs.formats.gzip import skip_bytes, unpack


@given(st.lists(st.binary(max_size=50), max_size=4), st.integers(1, 20), st.booleans())
def test_packed_files_unpack_to_what_was_packed(parts: list[bytes], size: int, padded: bool) -> None:
    packed = b"".join(map(gzip.compress, parts)) + (b"\0" * 30 if padded and parts else b"")
    chunks = [packed[at : at + size] for at in range(0, len(packed), size)]
    assert b"".join(unpack(chunks)) == b"".join(parts)


@pytest.mark.parametrize("data", [b"not packed", gzip.compress(b"x" * 99, mtime=0)[:-9], b"\x1f\x8b"])
def test_a_damaged_packed_file_is_not_taken_for_a_short_one(data: bytes) -> None:
    with pytest.raises(UnreadableInput):
        list(unpack([data]))


def test_a_packed_file_never_becomes_one_large_piece() -> None:
    pieces = [len(piece) for piece in unpack([gzip.compress(b"x" * 5_000_000)])]
    assert sum(pieces) == 5_000_000
    assert max(pieces) <= 1 << 18


@given(st.lists(st.binary(max_size=5)), st.integers(0, 20))
def test_bytes_can_be_skipped(chunks: list[bytes], count: int) -> None:
    assert b"".join(skip_bytes(chunks, count)) == b"".join(chunks)[count:]
