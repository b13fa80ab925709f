"""The page of all keys says what the code builds, and the code builds all that it says."""

from __future__ import annotations

import re

import pytest

from sluice import table_keys
from sluice.aws.dynamodb import Key

KEYS = [
    table_keys.ESTIMATE_KEY,
    table_keys.PAUSE_KEY,
    table_keys.PEPPER_KEY,
    table_keys.job_key("a-1"),
    table_keys.shard_key("a-1", 12, 3),
    table_keys.listed_job_key(1_800_000_000.0, "a-1"),
    table_keys.owners_job_key("iam:ada", 1_800_000_000.0, "a-1"),
    table_keys.job_idempotency_key("0f"),
    table_keys.batch_key("msgbatch_1"),
    table_keys.task_key("task_1"),
    table_keys.task_request_key("task_1"),
    table_keys.task_answer_key("task_1"),
    table_keys.callers_task_key("iam:ada", "task_1"),
    table_keys.idempotency_key("0f"),
    table_keys.endpoint_key("example.com:443", "iam:ada"),
    table_keys.stream_key("s"),
    table_keys.stream_request_key("s", 1),
    table_keys.stream_events_key("s", 7),
    table_keys.stream_piece_key("s", 7, "1-a", 2),
    table_keys.client_key("k"),
    table_keys.usage_key("k", "2026-11"),
    table_keys.rate_key("k", 29_000_000),
    table_keys.incident_key("billing_error"),
    table_keys.INCIDENTS_VERSION_KEY,
]
ROWS = [row.split()[:2] for row in re.findall(r"^    \S+#.*$", table_keys.__doc__ or "", re.MULTILINE)]


def matches(row: list[str], key: Key) -> bool:
    patterns = [re.sub("<[^>]*>", "[^#]+", each) for each in row]
    return all(re.fullmatch(*pair) for pair in zip(patterns, (key.pk, key.sk), strict=True))


@pytest.mark.parametrize("key", KEYS, ids=str)
def test_each_key_stands_on_the_page_once(key: Key) -> None:
    assert len([row for row in ROWS if matches(row, key)]) == 1


def test_the_page_has_no_other_keys() -> None:
    assert [row for row in ROWS if not any(matches(row, key) for key in KEYS)] == []
