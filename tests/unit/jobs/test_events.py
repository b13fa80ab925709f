"""What the plan queue brings."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from sluice.jobs.model import Upload
from sluice.jobs.plan.events import Command, Continuation, Leftover, PlanEvent, SettingsChanged, parse_message

EVENTS = Path(__file__).resolve().parents[3] / "events"


def record(key: str, event: str = "ObjectCreated:Put", **described: Any) -> dict[str, Any]:
    found = {"key": key, "size": 9, "eTag": "e1", **described}
    return {"eventName": event, "s3": {"bucket": {"name": "inbox"}, "object": found}}


def parse(*records: dict[str, Any]) -> list[PlanEvent]:
    return parse_message({"Records": records})


def test_several_uploads_may_come_in_one_message() -> None:
    assert parse(record("a.jsonl", versionId="v1"), record("b.csv")) == [
        Upload("inbox", "a.jsonl", "v1", "e1", 9),
        Upload("inbox", "b.csv", None, "e1", 9),
    ]


@pytest.mark.parametrize(
    ("encoded", "key"), [("my+file.csv", "my file.csv"), ("a%2Bb/%C3%BC.csv", "a+b/ü.csv"), ("50%25.txt", "50%.txt")]
)
def test_keys_are_decoded(encoded: str, key: str) -> None:
    (upload,) = parse(record(encoded))
    assert isinstance(upload, Upload)
    assert upload.key == key


def test_a_folder_of_the_console_is_passed_over() -> None:
    assert parse(record("folder/")) == []


@pytest.mark.parametrize(
    "key",
    [
        "a/.DS_Store",
        ".hidden",
        "._reviews.csv",
        "a/~$reviews.xlsx",
        ".~lock.reviews.ods#",
        "Thumbs.db",
        "a/desktop.ini",
        "reviews.csv.crdownload",
        "reviews.csv.part",
        "reviews.csv.filepart",
        "reviews.csv.PARTIAL",
        "reviews.csv~",
        "x.tmp",
        ".reviews.csv.swp",
        "__MACOSX/reviews.csv",
        "project/.git/config",
        "$RECYCLE.BIN/x.csv",
    ],
)
def test_what_programs_leave_is_no_job(key: str) -> None:
    assert parse(record(key)) == [Leftover(key)]


@pytest.mark.parametrize("key", ["a.part.csv", "party", "downloads/x.csv", "~/x.csv", "tmp/x.jsonl", ".data/x.csv"])
def test_a_file_that_only_looks_a_little_like_a_leftover_is_a_job(key: str) -> None:
    assert isinstance(parse(record(key))[0], Upload)


def test_a_command_that_an_editor_saved_as_text_is_one() -> None:
    assert parse(record("a/x-0123456789ab.release.txt"), record("x-0123456789ab.cancel.txt")) == [
        Command("release", "x-0123456789ab", "a/x-0123456789ab.release.txt"),
        Command("cancel", "x-0123456789ab", "x-0123456789ab.cancel.txt"),
    ]
    assert isinstance(parse(record("notes.release.txt"))[0], Upload)


@pytest.mark.parametrize("key", ["sluice.yaml", "a/b/sluice.yaml", "prices.json"])
def test_settings_are_no_jobs(key: str) -> None:
    assert parse(record(key)) == [SettingsChanged("inbox", key)]


def test_a_file_called_prices_in_a_folder_is_none_of_ours() -> None:
    assert isinstance(parse(record("a/prices.json"))[0], Upload)


@pytest.mark.parametrize("folder", ["", "any/where/"])
def test_commands_name_a_job_and_lie_anywhere(folder: str) -> None:
    assert parse(record(f"{folder}x-0a1b.release"), record(f"{folder}x-0a1b.cancel")) == [
        Command("release", "x-0a1b", f"{folder}x-0a1b.release"),
        Command("cancel", "x-0a1b", f"{folder}x-0a1b.cancel"),
    ]


def test_the_test_event_of_s3_is_passed_over() -> None:
    assert parse_message({"Service": "Amazon S3", "Event": "s3:TestEvent", "Bucket": "inbox"}) == []


def test_what_is_no_creation_is_passed_over() -> None:
    assert parse(record("a.jsonl", "ObjectRemoved:Delete")) == []


@pytest.mark.parametrize("checkpoint", [None, "work/x/checkpoint-0.json"])
def test_our_own_message_takes_a_job_on(checkpoint: str | None) -> None:
    assert parse_message({"job_id": "x-0a1b", "checkpoint": checkpoint}) == [Continuation("x-0a1b", checkpoint)]


@pytest.mark.parametrize("message", [{}, {"Records": [{}]}, {"Records": 3}, {"Records": [3]}])
def test_any_other_message_is_refused(message: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="neither a notification"):
        parse_message(message)


@pytest.mark.parametrize(
    ("name", "kinds"),
    [
        ("upload", [Upload]),
        ("several_uploads", [Upload, Upload]),
        ("test_event", []),
        ("release_command", [Command]),
        ("folder_settings", [SettingsChanged]),
        ("continuation", [Continuation]),
    ],
)
def test_the_sample_events_are_read(name: str, kinds: list[type[PlanEvent]]) -> None:
    event = json.loads((EVENTS / f"plan_job_{name}.json").read_text())
    spool = [arrival for each in event["Records"] for arrival in parse_message(json.loads(each["body"]))]
    assert [type(arrival) for arrival in spool] == kinds
