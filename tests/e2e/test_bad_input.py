"""Files that cannot run, or should not: each is answered by a message that says what is wrong and what to do."""

from __future__ import annotations

import gzip
from dataclasses import dataclass

import pytest

from tests.e2e.doors import Doors, Notice, jsonl, request_line

GOOD = jsonl(request_line("one"), request_line("two"))
RETIRED = jsonl(*(request_line(f"n{n}", model="claude-sonnet-4-20250514") for n in range(4)))


@dataclass(frozen=True)
class BadFile:
    """``says`` are parts of the notice. ``settings`` is the sluice.yaml beside the file, if any."""

    name: str
    body: bytes
    event: str
    says: tuple[str, ...]
    settings: bytes | None = None

    @property
    def key(self) -> str:
        return f"bad/{self.name.replace('.', '-')}/{self.name}"


BAD_FILES = (
    BadFile("empty.jsonl", b"", "job.failed", ("The file is empty.", "drop it again")),
    BadFile("blank.jsonl", b"\n\n \n", "job.failed", ("The file is empty.",)),
    BadFile("letter.jsonl", b"Dear all,\nplease answer.\n", "job.failed", ("No line of the file is JSON", "custom_id")),
    BadFile(
        "whole.jsonl",
        b'[\n  {"custom_id": "one"}\n]\n',
        "job.finished_with_errors",
        (
            "nothing in it that could be sent",
            "1 not JSON, 1 params",
            'The first is line 1: The line is wrong: expected "object"',
        ),
    ),
    BadFile("wide.jsonl", GOOD.decode().encode("utf-16"), "job.failed", ("UTF-16", "UTF-8")),
    BadFile("report.pdf", b"%PDF-1.7 ...", "job.failed", ("This kind of file cannot be read", ".jsonl, .ndjson, .csv")),
    BadFile("no-ending", GOOD, "job.failed", ("This kind of file cannot be read",)),
    BadFile("torn.jsonl.gz", gzip.compress(GOOD)[:12] + b"\xff" * 40, "job.failed", ("cannot be unpacked", "damaged")),
    BadFile("cut.jsonl.gz", gzip.compress(GOOD)[:-9], "job.failed", ("ends in the middle",)),
    BadFile("empty.csv", b"", "job.failed", ("The file is empty.",)),
    BadFile("quote.csv", b'prompt\n"never closed\n', "job.failed", ("A quote in the row at line 2 is never closed",)),
    BadFile(
        "half.jsonl",
        GOOD + b"{\n" * 2,
        "job.held",
        ("2 of 4 lines (50.0 %) cannot run, more than 20 %", "wrong file", "not JSON (2)", "To let it go on"),
    ),
    BadFile(
        "columns.csv",
        b"name,text\nA,B\n",
        "job.held",
        ('names the column "review", which is not there', "name, text", "sluice.yaml"),
        b'prompt: "Sort {review}"\n',
    ),
    BadFile("plain.csv", b"name,text\nA,B\n", "job.held", ('no "prompt" for this table', "name, text")),
    BadFile("yaml.jsonl", GOOD, "job.held", ("sluice.yaml: it is not YAML", "line 2"), b"model: x\n  - y: [\n"),
    BadFile(
        "misspelt.jsonl",
        GOOD,
        "job.held",
        ("there is no setting `modle`", "max_tokens"),
        b"modle: claude-haiku-5-5\n",
    ),
    BadFile("brace.txt", b"one\n", "job.held", ('lone "{"',), b'prompt: "Sort { {line}"\n'),
    BadFile("old.txt", b"one\n", "job.held", ("was retired on 2026-06-15",), b"model: claude-sonnet-4-20250514\n"),
    BadFile(
        "retired.jsonl",
        RETIRED,
        "job.finished_with_errors",
        ("0 of 4 lines answered, 4 rejected", "The model claude-sonnet-4-20250514 was retired on 2026-06-15"),
    ),
    BadFile(
        "huge-line.jsonl",
        request_line("huge", "word " * 250_000),
        "job.finished_with_errors",
        ("0 of 1 line answered, 1 rejected", "rejected.jsonl"),
    ),
)


@pytest.fixture(scope="module")
def dropped(doors: Doors) -> dict[str, str]:
    """All of the files, in the Inbox at once; the ids of their jobs by their names."""
    for file in BAD_FILES:
        if file.settings is not None:
            doors.drop(f"{file.key.rpartition('/')[0]}/sluice.yaml", file.settings)
    return {file.name: doors.drop(file.key, file.body).job_id for file in BAD_FILES}


@pytest.mark.parametrize("file", BAD_FILES, ids=lambda file: file.name)
def test_a_bad_file_is_answered_clearly(doors: Doors, dropped: dict[str, str], file: BadFile) -> None:
    job_id = dropped[file.name]

    def is_about_it(notice: Notice) -> bool:
        return notice.body.get("job_id") == job_id

    notice = doors.notice(is_about_it, file.name)
    whole = f"{notice.subject}\n{notice.text}"
    assert notice.event == file.event, whole
    assert [part for part in file.says if part not in whole] == [], whole
    assert job_id in notice.text
    assert f"s3://{doors.stack.facts.inbox_bucket}/{file.key}" in notice.text


def test_bad_files_are_told_of_once_and_cost_nothing(doors: Doors, dropped: dict[str, str]) -> None:
    told = [notice for name in dropped for notice in doors.notices_of(dropped[name])]
    assert len(told) == len(dropped)
    assert doors.dead_letters() == {}


def test_a_file_with_a_byte_order_mark_runs(doors: Doors) -> None:
    job_id = doors.drop("marked.jsonl", b"\xef\xbb\xbf" + GOOD).job_id
    assert doors.end_of(job_id).event == "job.finished"
    assert [each["custom_id"] for each in doors.lines(job_id, "results.jsonl")] == ["one", "two"]


def test_what_a_file_manager_leaves_behind_is_no_job(doors: Doors) -> None:
    ids = {doors.drop(key, b"x").job_id for key in ("left/.DS_Store", "left/folder/", "left/sluice.yaml")}
    after = doors.drop("left/real.jsonl", GOOD).job_id
    doors.hold_of(after)
    assert [each for each in ids if "error" not in doors.job(each)] == []
