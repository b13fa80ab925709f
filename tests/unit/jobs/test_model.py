"""Names and identities."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sluice.jobs.model import JobStatus, ShardRef, Upload, nonce_of
from tests.unit.jobs.samples import an_upload


def test_a_job_is_named_for_its_file_and_known_by_its_version() -> None:
    job_id = an_upload().job_id

    assert re.fullmatch(r"my-prompts-[0-9a-f]{12}", job_id)
    assert an_upload(version="v2").job_id != job_id
    assert an_upload(key="other/My Prompts.v2.jsonl").job_id != job_id
    assert Upload("inbox", "folder/My Prompts.v2.jsonl", "v1", "another etag", 1).job_id == job_id


def test_without_versions_the_etag_tells_uploads_apart() -> None:
    first, second = (Upload("inbox", "a.jsonl", None, etag, 1) for etag in ("one", "two"))

    assert first.job_id != second.job_id


@given(st.text(min_size=1, max_size=200))
def test_any_key_gives_a_name_that_can_be_a_folder(key: str) -> None:
    assert re.fullmatch(r"[a-z0-9][a-z0-9-]{0,31}-[0-9a-f]{12}", an_upload(key=key).job_id)


@pytest.mark.parametrize(("key", "folder"), [("a.csv", ""), ("a/b.csv", "a"), ("a/b/c.csv", "a/b"), ("/a.csv", "")])
def test_the_folder_is_what_comes_before_the_name(key: str, folder: str) -> None:
    assert an_upload(key=key).folder == folder


@given(st.integers(0, 99_999), st.integers(0, 98), st.integers(0, 99_999), st.integers(0, 98))
def test_a_nonce_is_a_custom_id_and_no_other_shards(shard: int, wave: int, other: int, other_wave: int) -> None:
    one, two = ShardRef("job", shard, wave), ShardRef("job", other, other_wave)

    assert re.fullmatch(r"[a-zA-Z0-9_-]{1,64}", nonce_of(one, "inbox"))
    assert (nonce_of(one, "inbox") == nonce_of(two, "inbox")) == (one == two)


def test_a_shard_is_read_back_from_its_message() -> None:
    ref = ShardRef("job", 7, 2)

    assert ShardRef.parse(ref.message()) == ref


@pytest.mark.parametrize("message", [{}, {"job_id": "a", "shard": 1}, {"job_id": "a", "shard": "x", "wave": 0}])
def test_a_message_of_no_shard_is_an_error(message: dict[str, object]) -> None:
    with pytest.raises((KeyError, ValueError)):
        ShardRef.parse(message)


def test_what_is_over_is_final() -> None:
    final = {status for status in JobStatus if status.final}

    assert final == {"finished", "finished_with_errors", "failed", "cancelled", "expired", "deleted"}
