"""Folder settings, and how they lie over those of the stack."""

from __future__ import annotations

import json

import msgspec
import pytest

from sluice.claude.prices import shipped_prices
from sluice.errors import InputError
from sluice.jobs.folder_settings import FolderSettings, Limits, parse_folder_settings
from sluice.jobs.job_settings import (
    check_settings_object,
    merge_settings,
    read_settings,
    resolve_settings,
    write_settings,
)
from sluice.jobs.model import Job, JobStatus, Upload
from sluice.jobs.outbox import Outbox
from sluice.settings import JobSettings
from tests.unit.jobs.memory_s3 import memory_objects

KEY = "reviews/sluice.yaml"
STACK = JobSettings(table="t", default_model="claude-sonnet-5-5", max_job_cost=100.0, max_waves=4, max_bad_share=20.0)


def test_all_settings_are_read() -> None:
    text = b"""
model: claude-haiku-5-5
max_tokens: 500
system: You sort reviews.
prompt: "Review: {review}"
id_column: order
answer_column: verdict
schema: {type: object, properties: {mood: {type: string}}}
betas: [one, two]
retry_max_tokens: 2000
limits: {max_cost: 25, max_bad_share: 10, max_waves: 3}
"""
    assert parse_folder_settings(text, KEY).settings == FolderSettings(
        model="claude-haiku-5-5",
        max_tokens=500,
        system="You sort reviews.",
        prompt="Review: {review}",
        id_column="order",
        answer_column="verdict",
        schema={"type": "object", "properties": {"mood": {"type": "string"}}},
        betas=("one", "two"),
        retry_max_tokens=2000,
        limits=Limits(25.0, 10.0, 3),
    )


def test_an_empty_file_sets_nothing() -> None:
    assert parse_folder_settings(b"", KEY).settings == FolderSettings()


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (b"model: [", "is not YAML: .* in line 1, column 9"),
        (b"\x00", "is not YAML"),
        (b"- a", "has to be a list of names and values, not a list"),
        (b"modle: x", "there is no setting `modle`, perhaps model is meant; there are: model, max_tokens"),
        (b"model:claude-haiku-5-5", "there is no setting in it; .* perhaps: model: .claude-haiku-5-5."),
        (b"limits: {cost: 1}", "limits: there is no setting `cost`, perhaps max_cost is meant; there are: max_cost"),
        (b"model: ''", "model: "),
        (b"max_tokens: 0", "max_tokens: has to be a whole number >= 1"),
        (b"limits: {max_bad_share: 101}", "limits.max_bad_share: "),
        (b"betas: x", "betas: "),
        (b"schema: {type: string}", "schema: has to be a JSON Schema"),
        (b"schema: {type: object, properties: {}}", "schema: has to be a JSON Schema"),
        (b"schema: {type: object, properties: {1: {}}}", "schema.properties: the name 1 has to be in quotes"),
        (b"schema: &a {type: object, properties: {a: *a}}", r"line 1, column 43: an alias \(\*a\) is not taken"),
        (b"schema: {type: object, properties: {a: text}}", r"schema.properties.a: has to be a JSON Schema, such as"),
        (
            b"schema: {type: object, properties: {a: {}}, additionalProperties: true}",
            'schema: "additionalPrope.* false',
        ),
        (b"model: |\n  claude-haiku-5-5\n", "model: has to be a text that is a name"),
        (b"model: ../messages/batches", "model: has to be a text that is a name"),
        ("betas: [für-mich]".encode(), r"betas\[0\]: has to be a text that is a name"),
        (b"betas: ['a,b']", r"betas\[0\]: has to be a text that is a name"),
        (b"limits: {max_cost: .inf}", "limits.max_cost: has to be a number of US dollars"),
        (b"limits: {max_cost: .nan}", "limits.max_cost: "),
        (b"retry_max_tokens: 99999999999999999999999", "retry_max_tokens: has to be a whole number <= 10000000"),
        (b"limits: {max_waves: 99999999999999999999999}", "limits.max_waves: has to be a whole number <= "),
        (b'prompt: "\\ud800 {q}"', r"prompt: has half a character"),
        (b'schema: {type: object, properties: {"\\ud800": {}}}', "schema: has half a character"),
        (b"max_tokens: !!timestamp soon", "is not YAML"),
        (b"a: !!python/object:os.system {}", "is not YAML"),
    ],
)
def test_settings_that_do_not_parse_say_what_and_where(text: bytes, says: str) -> None:
    with pytest.raises(InputError, match=f"^{KEY}.*{says}"):
        parse_folder_settings(text, KEY)


@pytest.mark.parametrize(
    ("limits", "cost", "share", "waves"),
    [
        (Limits(), 100.0, 20.0, 4),
        (Limits(25.0, 50.0, 2), 25.0, 50.0, 2),
        (Limits(500.0, 0.0, 9), 100.0, 0.0, 4),
    ],
)
def test_a_folder_lowers_the_limits_of_the_stack(limits: Limits, cost: float, share: float, waves: int) -> None:
    effective = merge_settings(STACK, FolderSettings(limits=limits), None, shipped_prices())
    assert (effective.max_cost, effective.max_bad_share, effective.max_waves) == (cost, share, waves)


def test_a_folder_can_set_a_limit_of_cost_where_the_stack_has_none() -> None:
    stack = JobSettings(table="t", max_job_cost=0)
    assert merge_settings(stack, FolderSettings(), None, shipped_prices()).max_cost == 0.0
    assert merge_settings(stack, FolderSettings(limits=Limits(3.0)), None, shipped_prices()).max_cost == 3.0


def upload(key: str) -> Upload:
    return Upload("inbox", key, None, "etag", 1)


@pytest.mark.parametrize(
    ("key", "expected"),
    [
        ("a/b/c/x.csv", "a/b/sluice.yaml"),
        ("a/b/x.csv", "a/b/sluice.yaml"),
        ("a/x.csv", "sluice.yaml"),
        ("x.csv", "sluice.yaml"),
    ],
)
def test_the_nearest_settings_count(key: str, expected: str) -> None:
    objects, s3 = memory_objects()
    s3.objects["inbox", "a/b/sluice.yaml"] = b"model: near"
    s3.objects["inbox", "sluice.yaml"] = b"model: far"
    effective = resolve_settings(objects, STACK, upload(key))
    assert effective.folder_key == expected
    assert effective.model == ("near" if expected.startswith("a/") else "far")


def test_without_settings_the_stacks_own_count() -> None:
    effective = resolve_settings(memory_objects()[0], STACK, upload("a/x.jsonl"))
    assert (effective.folder_key, effective.model, effective.betas) == (None, "claude-sonnet-5-5", None)


def test_settings_far_too_long_to_be_settings_are_not_read() -> None:
    objects, s3 = memory_objects()
    s3.objects["inbox", "sluice.yaml"] = b"#" * 300_000
    with pytest.raises(InputError, match=r"sluice.yaml is longer than"):
        resolve_settings(objects, STACK, upload("x.csv"))


def test_a_price_list_in_the_inbox_lies_over_the_shipped_one() -> None:
    objects, s3 = memory_objects()
    s3.objects["inbox", "prices.json"] = json.dumps({"models": {"m": {"input": 1, "output": 2}}}).encode()
    prices = resolve_settings(objects, STACK, upload("x.csv")).prices
    assert prices.estimate_cost("m", output_tokens=1_000_000) == 2.0
    assert prices.find("claude-opus-5") is not None


@pytest.mark.parametrize("key", ["prices.json", "a/sluice.yaml"])
def test_a_mistake_in_settings_can_be_seen_before_a_file_is_dropped(key: str) -> None:
    objects, s3 = memory_objects()
    s3.objects["inbox", key] = b"{"
    with pytest.raises(InputError, match=f"^{key}"):
        check_settings_object(objects, "inbox", key)


def test_pinned_settings_read_back_as_they_were_written() -> None:
    objects, _ = memory_objects()
    folder = FolderSettings(betas=("one", "two"), schema={"type": "object", "properties": {"a": {}}})
    effective = merge_settings(STACK, folder, KEY, shipped_prices())
    key = write_settings(Outbox(objects, "outbox"), upload("x.csv"), effective, "0")
    job = Job(upload("x.csv"), JobStatus.RECEIVED, 0.0, 0.0, settings_key=key)
    assert read_settings(Outbox(objects, "outbox"), job) == effective
    assert effective.betas == "one,two"


def test_pinned_settings_hold_what_was_said_and_read_back_with_more_in_them() -> None:
    objects, s3 = memory_objects()
    effective = merge_settings(STACK, FolderSettings(max_tokens=5), KEY, shipped_prices())
    key = write_settings(Outbox(objects, "outbox"), upload("x.csv"), effective, "0")
    kept = json.loads(s3.objects["outbox", key])
    assert kept["folder"] == {"max_tokens": 5}
    s3.objects["outbox", key] = json.dumps(kept | {"of_tomorrow": 1}).encode()
    job = Job(upload("x.csv"), JobStatus.RECEIVED, 0.0, 0.0, settings_key=key)
    assert read_settings(Outbox(objects, "outbox"), job) == effective


@pytest.mark.parametrize(
    "folder", [FolderSettings(prompt="\ud800"), FolderSettings(limits=Limits(float("inf")))], ids=["text", "number"]
)
def test_what_would_not_read_back_is_never_pinned(folder: FolderSettings) -> None:
    objects, s3 = memory_objects()
    effective = merge_settings(JobSettings(table="t", max_job_cost=0), folder, KEY, shipped_prices())
    with pytest.raises(InputError, match=f"^{KEY} or prices.json: there is a value that cannot be kept"):
        write_settings(Outbox(objects, "outbox"), upload("x.csv"), effective, "0")
    assert not s3.objects


def test_a_few_lines_that_would_be_gigabytes_are_refused_before_they_are_written_out() -> None:
    levels = [f"  p{number}: &p{number} [{', '.join([f'*p{number - 1}'] * 10)}]" for number in range(1, 12)]
    text = "\n".join(["schema:", "  p0: &p0 [a, a, a]", *levels])
    with pytest.raises(InputError, match=r"line 3, column \d+: an alias \(\*p0\)"):
        parse_folder_settings(text.encode(), KEY)


def test_a_job_that_was_never_planned_has_no_settings() -> None:
    with pytest.raises(ValueError, match="no settings yet"):
        read_settings(Outbox(memory_objects()[0], "outbox"), Job(upload("x.csv"), JobStatus.RECEIVED, 0.0, 0.0))


def test_pinned_settings_are_json() -> None:
    effective = merge_settings(STACK, FolderSettings(), None, shipped_prices())
    assert json.loads(msgspec.json.encode(effective))["max_shard_requests"] == 100_000
