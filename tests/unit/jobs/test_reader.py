"""Reading an upload in blocks, whatever its lines and wherever its chunks are cut."""

from __future__ import annotations

from hypothesis import example, given
from hypothesis import strategies as st

from sluice.jobs.lines import BadLine, Block
from sluice.jobs.reader import BlockReader

DATA = st.lists(st.sampled_from([b"a", b"bc", b"\n", b"\r\n", b"\xff", b"0123456789"])).map(b"".join)


def cut(data: bytes, sizes: list[int]) -> list[bytes]:
    chunks, at = [], 0
    for size in sizes:
        chunks.append(data[at : at + size])
        at += size
    return [chunk for chunk in (*chunks, data[at:]) if chunk]


def read(data: bytes, sizes: list[int], max_bytes: int) -> list[tuple[int, int, bytes, int]]:
    """Read lines as (number, offset, text, length)."""
    reader = BlockReader(0, 1, max_bytes)
    lines = []
    for item in reader.read(cut(data, sizes)):
        if isinstance(item, BadLine):
            assert item.problem.kind == "too long"
            lines.append((item.number, item.offset or 0, item.text, item.length))
            continue
        offset = item.offset
        for number, line in enumerate(item.data.split(b"\n")[:-1], item.number):
            lines.append((number, offset, line, len(line)))
            offset += len(line) + 1
    assert reader.position[1] == len(lines)
    return lines


@given(DATA, st.lists(st.integers(1, 7)), st.integers(3, 30))
@example(b"0123456789" * 5 + b"\nab", [9] * 9, 5)
def test_every_line_is_read_once_with_its_number_and_place(data: bytes, sizes: list[int], max_bytes: int) -> None:
    expected = data.split(b"\n")
    if not expected[-1]:
        expected.pop()
    offset = 0
    lines = read(data, sizes, max_bytes)
    assert len(lines) == len(expected)
    for number, (found, text) in enumerate(zip(lines, expected, strict=True), 1):
        kept = text if len(text) <= max_bytes else text[: len(found[2])]
        assert found == (number, offset, kept, len(text))
        offset += len(text) + 1


def test_a_line_that_is_far_too_long_is_not_held() -> None:
    reader = BlockReader(0, 1, 1000)
    chunks = [b"x" * 900] * 50 + [b"x\n{}\n"]
    long_line, rest = reader.read(chunks)
    assert isinstance(long_line, BadLine)
    assert (len(long_line.text), long_line.length) == (1800, 45_001)
    assert isinstance(rest, Block)
    assert (rest.offset, rest.number, rest.data) == (45_002, 2, b"{}\n")


@given(st.lists(st.integers(1, 3)))
def test_a_byte_order_mark_is_no_part_of_the_first_line(sizes: list[int]) -> None:
    assert read(b"\xef\xbb\xbfa\nb", sizes, 30) == [(1, 3, b"a", 1), (2, 5, b"b", 1)]
