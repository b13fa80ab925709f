"""A pass over a file: nothing is lost, nothing is doubled, and no limit is broken, whatever the lines are."""

from __future__ import annotations

import gzip
import json
from dataclasses import dataclass
from itertools import count
from typing import Any
from unittest.mock import patch

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sluice.aws.s3 import S3
from sluice.claude.prices import shipped_prices
from sluice.errors import AwsUnavailable
from sluice.jobs.folder_settings import FolderSettings
from sluice.jobs.formats.check import LineRules
from sluice.jobs.formats.registry import identify
from sluice.jobs.formats.request_line import Defaults
from sluice.jobs.job_settings import merge_settings
from sluice.jobs.model import Upload
from sluice.jobs.outbox import Outbox
from sluice.jobs.plan.checkpoint import Checkpoint, decode_checkpoint, encode_checkpoint
from sluice.jobs.plan.scan import FileScan, PlanFiles
from sluice.jobs.plan.shard_writer import ShardLimits
from sluice.jobs.plan.unique_ids import spare_name
from sluice.jobs.requests import batch_body, read_lines
from sluice.settings import JobSettings
from tests.unit.jobs.memory_s3 import MemoryS3, memory_objects

PARAMS = {"model": "claude-haiku-5-5", "max_tokens": 9, "messages": [{"role": "user", "content": "Hé"}]}
LIMITS = ShardLimits(3, 700, retry_max_tokens=2, max_tokens=24)
# Small, so that blocks end between any two lines.
CHUNK_BYTES = 300


@dataclass(frozen=True)
class Case:
    """A line; ``given_id`` is its id, "" for one that has none, None for a line that cannot run."""

    text: bytes
    given_id: str | None
    max_tokens: int = 9


def good(custom_id: str, spaced: bool, ending: bytes, max_tokens: int = 9) -> Case:
    values = {"custom_id": custom_id, "params": {**PARAMS, "max_tokens": max_tokens}}
    separators = None if spaced else (",", ":")
    return Case(json.dumps(values, ensure_ascii=spaced, separators=separators).encode() + ending, custom_id, max_tokens)


IDS = st.sampled_from(["a", "b", "c-1", "line-2", "line-3", "D_d"]) | st.uuids().map(str)
CASES = (
    st.builds(good, IDS, st.booleans(), st.sampled_from([b"", b"", b"\r", b" "]), st.sampled_from([1, 9, 60]))
    | st.builds(lambda: Case(json.dumps({"params": PARAMS}).encode(), ""))
    | IDS.map(lambda name: Case(json.dumps({"custom_id": name, "params": PARAMS, "result": {}}).encode(), name))
    | st.sampled_from([b"", b"{}", b"oops", b"\xff", b"\x00", b'{"custom_id":"x","params":{}}', b"{" * 40]).map(
        lambda text: Case(text, None)
    )
    | st.just(Case(json.dumps({"custom_id": "long", "params": {**PARAMS, "system": "x" * 600}}).encode(), None))
    | st.just(Case(b"y" * 900, None))
)


def expected_of(cases: list[Case]) -> tuple[list[dict[str, Any]], list[int]]:
    """The requests in their order, and the numbers of the lines that are rejected."""
    requests, rejected, used = [], [], set()
    given = [case.given_id for case in cases]
    for number, case in enumerate(cases, 1):
        custom_id = case.given_id
        if custom_id == "":
            custom_id = f"line-{number}" if f"line-{number}" not in given else f"line-{number}-tag"
        if custom_id is None or custom_id in used:
            rejected.append(number)
            continue
        used.add(custom_id)
        requests.append({"custom_id": custom_id, "params": {**PARAMS, "max_tokens": case.max_tokens}})
    return requests, rejected


def survey_file(objects: S3, upload: Upload, stops: list[bool]) -> Checkpoint:
    """Read a file as planning does, in as many invocations as there are stops."""
    effective = merge_settings(JobSettings(table="t"), FolderSettings(), None, shipped_prices())
    attempts, stopping = count(), iter(stops)
    checkpoint = Checkpoint("settings")
    while True:
        known = frozenset(checkpoint.repeated)
        rules = LineRules(
            Defaults(),
            LIMITS.longest_line,
            lambda model, max_tokens: None,
            lambda number, known=known: spare_name(number, "line", "tag", known),  # type: ignore[misc]  # a default
        )
        place = PlanFiles(Outbox(objects, "outbox"), upload.job_id, str(next(attempts)))
        dropped = identify(objects, upload)
        source = dropped.kind.open(dropped.source, effective, rules)
        with FileScan(place, upload, source, rules, LIMITS, None, checkpoint) as scan:
            done = scan.run(lambda: not next(stopping, False))
            end = scan.finish(done)
        if done and end.repeated == checkpoint.repeated:
            return end
        checkpoint = decode_checkpoint(encode_checkpoint(end))


def requests_of(objects: S3, found: Checkpoint) -> list[dict[str, Any]]:
    requests = []
    for number, shard in enumerate(found.shards):
        body = b"".join(batch_body(read_lines(Outbox(objects, "outbox"), shard.source), shard.nonce))
        ids = objects.get("outbox", shard.ids_key).decode().split("\n")[:-1]
        decoded = json.loads(body)["requests"]
        assert shard.ref.shard == number
        assert len(body) == shard.length <= LIMITS.max_bytes
        assert len(decoded) == len(ids) == shard.count <= LIMITS.max_requests
        tokens = sum(max(each["params"]["max_tokens"], LIMITS.retry_max_tokens) for each in decoded)
        assert tokens <= LIMITS.max_tokens or len(decoded) == 1
        assert decoded[0]["custom_id"] == shard.nonce
        decoded[0]["custom_id"] = ids[0]
        assert [each["custom_id"] for each in decoded] == ids
        requests += decoded
    return requests


def rejected_of(objects: S3, found: Checkpoint) -> list[dict[str, Any]]:
    lines = b"".join(objects.get("outbox", key) for key in found.rejected_keys)
    return [json.loads(line) for line in lines.splitlines()]


def put(s3: MemoryS3, key: str, data: bytes) -> Upload:
    s3.objects["inbox", key] = data
    return Upload("inbox", key, None, "etag", len(data))


@pytest.fixture(autouse=True)
def small_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sluice.jobs.formats.source._CHUNK_BYTES", CHUNK_BYTES)
    monkeypatch.setattr("sluice.jobs.formats.gzip._CHUNK_BYTES", CHUNK_BYTES)


@given(st.lists(CASES, max_size=12), st.lists(st.booleans(), max_size=6), st.booleans(), st.booleans())
def test_every_line_ends_in_one_shard_or_is_rejected(
    cases: list[Case], stops: list[bool], packed: bool, ended: bool
) -> None:
    objects, s3 = memory_objects()
    data = b"\n".join(case.text for case in cases) + (b"\n" if ended and cases else b"")
    if cases and not ended and not cases[-1].text:
        cases = cases[:-1]
    upload = put(s3, "a/x.jsonl.gz" if packed else "a/x.jsonl", gzip.compress(data) if packed else data)
    found = survey_file(objects, upload, stops)
    requests, rejected = expected_of(cases)
    assert requests_of(objects, found) == requests
    assert [each["line"] for each in rejected_of(objects, found)] == rejected
    assert (found.counts.lines, found.counts.requests, found.counts.rejected) == (
        len(cases),
        len(requests),
        len(rejected),
    )
    assert not s3.uploads


def test_a_pass_that_is_cut_leaves_nothing_open(monkeypatch: pytest.MonkeyPatch) -> None:
    objects, s3 = memory_objects()
    monkeypatch.setattr("sluice.aws.s3.PART_BYTES", 10)
    lines = [good(f"r-{number}", True, b"").text for number in range(8)]
    upload = put(s3, "x.jsonl.gz", gzip.compress(b"\noops\n".join(lines)))

    def fail() -> bool:
        raise AwsUnavailable("later")

    with pytest.raises(AwsUnavailable):
        survey_file_once(objects, upload, fail)
    assert not s3.uploads


def survey_file_once(objects: S3, upload: Upload, may_go_on: Any) -> None:
    effective = merge_settings(JobSettings(table="t"), FolderSettings(), None, shipped_prices())
    rules = LineRules(Defaults(), LIMITS.longest_line, lambda model, max_tokens: None)
    dropped = identify(objects, upload)
    source = dropped.kind.open(dropped.source, effective, rules)
    place = PlanFiles(Outbox(objects, "outbox"), upload.job_id, "0")
    with FileScan(place, upload, source, rules, LIMITS, None, Checkpoint("settings")) as scan:
        scan.run(may_go_on)


def test_text_that_is_cut_says_how_long_it_was_and_where_it_lies() -> None:
    objects, s3 = memory_objects()
    upload = put(s3, "x.jsonl", b"oops\n" + b"y" * 50_000 + b"\n")
    found = survey_file(objects, upload, [])
    short, long_line = rejected_of(objects, found)
    assert short == {"line": 1, "reason": short["reason"], "text": "oops"}
    assert set(long_line["text"]) == {"y"}
    assert long_line["cut"] == {"bytes": 50_000, "offset": 5}


def test_a_long_answer_among_short_ones_makes_no_shard_smaller_than_it_has_to_be() -> None:
    objects, s3 = memory_objects()
    lines = [good(f"r-{number}", spaced=False, ending=b"", max_tokens=16 if number == 0 else 2) for number in range(3)]
    upload = put(s3, "x.jsonl", b"".join(line.text + b"\n" for line in lines))
    with patch("sluice.jobs.formats.source._CHUNK_BYTES", 10_000):
        found = survey_file(objects, upload, [])
    assert [shard.count for shard in found.shards] == [3]
