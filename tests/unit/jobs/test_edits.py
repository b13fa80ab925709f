"""Edits: what changes in lines as they pass."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from sluice.jobs.edits import Edit, apply_edits, decode_edits, encode_edit


def cut(data: bytes, sizes: list[int]) -> list[bytes]:
    """Cut bytes into chunks of the given sizes, and the rest."""
    chunks, at = [], 0
    for size in sizes:
        chunks.append(data[at : at + size])
        at += size
    return [*(chunk for chunk in chunks if chunk), data[at:]]


@st.composite
def edited(draw: st.DrawFn) -> tuple[bytes, list[Edit], bytes]:
    """Bytes, edits of them, and what they make of them."""
    kept_and_edits = draw(st.lists(st.tuples(st.binary(max_size=8), st.binary(max_size=8), st.text(max_size=5))))
    data, made, edits = b"", b"", []
    for kept, removed, inserted in kept_and_edits:
        data += kept
        edits.append(Edit(len(data), len(removed), inserted))
        data += removed + b"."
        made += kept + inserted.encode() + b"."
    return data, edits, made


@given(edited(), st.lists(st.integers(1, 9)), st.integers(0, 1000))
def test_edits_make_the_same_of_bytes_however_they_are_cut(
    case: tuple[bytes, list[Edit], bytes], sizes: list[int], start: int
) -> None:
    data, edits, made = case
    moved = [Edit(edit.offset + start, edit.removed, edit.inserted) for edit in edits]
    assert b"".join(apply_edits(cut(data, sizes), moved, start)) == made


@given(st.lists(st.tuples(st.integers(0, 2**40), st.integers(0, 2**30), st.text())), st.lists(st.integers(1, 9)))
def test_edits_read_back_as_they_were_written(values: list[tuple[int, int, str]], sizes: list[int]) -> None:
    edits = [Edit(*each) for each in values]
    data = b"".join(map(encode_edit, edits))
    assert list(decode_edits(cut(data, sizes))) == edits


def test_a_dropped_line_may_span_many_chunks() -> None:
    chunks = [b"keep\ndr", b"op", b"pe", b"d\nkeep too\n"]
    assert b"".join(apply_edits(chunks, [Edit(5, 8)], 0)) == b"keep\nkeep too\n"
