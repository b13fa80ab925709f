"""Text and tables whose bytes are not what they should be, and rows of any length."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from sluice.claude.prices import shipped_prices
from sluice.errors import UnreadableInput
from sluice.jobs.folder_settings import FolderSettings
from sluice.jobs.formats.base import Position, take_together
from sluice.jobs.formats.check import BadLine, GoodLine, LineRules
from sluice.jobs.formats.csv import CsvFile, CsvInput
from sluice.jobs.formats.request_line import Defaults
from sluice.jobs.formats.txt import TxtInput
from sluice.jobs.job_settings import merge_settings
from sluice.settings import JobSettings
from tests.unit.jobs.test_formats import prompts, read

MARK = b"\xfe\xff"


@pytest.mark.parametrize(
    "data",
    [
        "prompt\nhi\nho\nx".encode("utf-16")[:-1],
        "prompt\nhi\nho\n".encode("utf-16") + b"a",
        MARK + "prompt\nhi\nho\nx".encode("utf-16-be")[:-1],
        "prompt\nhi\nho\n".encode("utf-16") + b"\x00\xd8a\x00\n\x00",
        MARK + "prompt\nhi\nho\n".encode("utf-16-be") + b"\xdc\x00\x00a\x00\n",
        MARK + "prompt\nhi\nho\n".encode("utf-16-be") + b"\xd8\x00",
    ],
)
@pytest.mark.parametrize("kind", [CsvInput, TxtInput])
def test_broken_utf_16_puts_its_row_aside(kind: type[CsvInput] | type[TxtInput], data: bytes) -> None:
    found = read(kind, data)
    assert [type(each) for each in found[-2:]] == [GoodLine, BadLine]
    assert list(prompts(found[:-1]).values())[-2:] == ["hi", "ho"]
    assert "not of the file's encoding" in found[-1].problem.reason  # type: ignore[union-attr]  # a BadLine, as seen


def test_a_name_of_a_column_in_broken_utf_16_is_no_more_than_a_name() -> None:
    table = CsvFile([MARK + "a,".encode("utf-16-be") + b"\xd8\x00" + "\n1,2\n".encode("utf-16-be")])
    assert [row.cells for row in table.rows()] == [("1", "2")]


def test_what_is_not_of_the_encoding_can_be_shown() -> None:
    found = read(CsvInput, "prompt\nx".encode("utf-16")[:-1])
    assert [each.text for each in found] == [b"\xff"]


def test_lines_are_taken_together_up_to_a_number() -> None:
    assert list(take_together(range(5), 2, lambda line: 1)) == [[0, 1], [2, 3], [4]]
    assert list(take_together([], 2, len)) == []


def test_long_lines_are_taken_together_up_to_a_length(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sluice.jobs.formats.base._MAX_CHARACTERS", 10)
    lines = ["x" * 4, "x" * 6, "y", "z" * 50, "a", "b"]
    assert list(take_together(lines, 500, len)) == [lines[:3], lines[3:4], lines[4:]]


@pytest.mark.parametrize("kind", [CsvInput, TxtInput])
def test_of_long_rows_only_some_are_held_at_once(kind: type[CsvInput] | type[TxtInput]) -> None:
    read_rows = 0

    def chunks() -> Iterator[bytes]:
        nonlocal read_rows
        yield b"prompt\n"
        for _ in range(100):
            read_rows += 1
            yield b"%s\n" % (b"x" * 300_000)

    effective = merge_settings(JobSettings("t", default_model="m"), FolderSettings(), None, shipped_prices())
    batches = kind(chunks, effective, LineRules(Defaults(), 10**6, lambda model, max_tokens: None)).batches(Position())
    assert sum(isinstance(item, GoodLine) for item in next(batches).items) < 6
    assert read_rows < 8
    assert sum(isinstance(item, GoodLine) for batch in batches for item in batch.items) > 94
    assert read_rows == 100


@pytest.mark.parametrize("quote", [b'"open\n', b'a "quoted" word\n"open\n'])
def test_a_quote_that_opens_in_the_middle_is_pointed_at(quote: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    def chunks() -> Iterator[bytes]:
        yield b"prompt\n" + b"hello\n" * 10 + quote + b"hello\n" * 10

    begun = 11 + quote.count(b"\n")
    with pytest.raises(UnreadableInput, match=f"A quote in the row at line {begun} is never closed. Close it"):
        list(CsvFile(chunks()).rows())
    monkeypatch.setattr("sluice.jobs.formats.csv.MAX_LINE_CHARACTERS", 20)
    with pytest.raises(UnreadableInput, match=f"The row at line {begun} cannot be read: .* Is a quote open there"):
        list(CsvFile(chunks()).rows())
