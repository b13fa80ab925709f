"""Reading an upload in blocks, whatever its lines and wherever its chunks are cut."""

from __future__ import annotations

from hypothesis import example, given
from hypothesis import strategies as st

from sluice.jobs.formats.jsonl import BlockReader, LinesRead, LongLine

DATA = st.lists(st.sampled_from([b"a", b"bc", b"\n", b"\r\n", b"\xff", b"0123456789"])).map(b"".join)


def cut(data: bytes, sizes: list[int]) -> list[bytes]:
    chunks, at = [], 0
    for size in sizes:
        chunks.append(data[at : at + size])
        at += size
    return [chunk for chunk in (*chunks, data[at:]) if chunk]


def read(data: bytes, sizes: list[int], max_bytes: int) -> list[tuple[int, bytes, int]]:
    """Read lines as (offset, text, length)."""
    lines = []
    for item in BlockReader(0, max_bytes).read(cut(data, sizes)):
        if isinstance(item, LongLine):
            assert item.length > max_bytes
            lines.append((item.offset, item.text, item.length))
            continue
        offset = item.offset
        for line in item.data.split(b"\n")[:-1]:
            lines.append((offset, line, len(line)))
            offset += len(line) + 1
    return lines


@given(DATA, st.lists(st.integers(1, 7)), st.integers(3, 30))
@example(b"0123456789" * 5 + b"\nab", [9] * 9, 5)
def test_every_line_is_read_once_at_its_place(data: bytes, sizes: list[int], max_bytes: int) -> None:
    expected = data.split(b"\n")
    if not expected[-1]:
        expected.pop()
    offset = 0
    lines = read(data, sizes, max_bytes)
    assert len(lines) == len(expected)
    for found, text in zip(lines, expected, strict=True):
        kept = text if len(text) <= max_bytes else text[: len(found[1])]
        assert found == (offset, kept, len(text))
        offset += len(text) + 1


def test_a_line_that_is_far_too_long_is_not_held() -> None:
    reader = BlockReader(0, 1000)
    chunks = [b"x" * 900] * 50 + [b"x\n{}\n"]
    long_line, rest = reader.read(chunks)
    assert isinstance(long_line, LongLine)
    assert (len(long_line.text), long_line.length) == (1800, 45_001)
    assert rest == LinesRead(45_002, b"{}\n")


@given(st.lists(st.integers(1, 3)))
def test_a_byte_order_mark_is_no_part_of_the_first_line(sizes: list[int]) -> None:
    assert read(b"\xef\xbb\xbfa\nb", sizes, 30) == [(3, b"a", 1), (5, b"b", 1)]
