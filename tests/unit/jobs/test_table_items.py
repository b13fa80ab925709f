"""What is written is what is read."""

from __future__ import annotations

from dataclasses import asdict, replace
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from sluice.aws.dynamodb_json import from_item, to_item
from sluice.jobs.model import Hold, JobStatus, Outcome, Plan, ShardStatus, Tally, Tokens
from sluice.jobs.table_items import is_shard, job_from_item, job_item, shard_from_item, shard_item
from tests.unit.jobs.samples import NOW, a_job, a_shard

tokens = st.builds(Tokens, st.integers(0, 10**9), st.integers(0, 10**9), cost=st.floats(0, 1e6, allow_nan=False))
outcomes = st.builds(
    Outcome,
    st.integers(0, 100_000),
    st.integers(0, 100_000),
    st.integers(0, 100_000),
    st.dictionaries(st.text(min_size=1, max_size=20), tokens, max_size=3),
    st.dictionaries(st.text(min_size=1, max_size=20), st.integers(1, 100_000), max_size=3),
)
moments = st.none() | st.floats(0, 4e9, allow_nan=False)
ids = st.lists(st.text(min_size=1, max_size=30), max_size=3).map(tuple)


@given(st.sampled_from(ShardStatus), st.none() | outcomes, moments, moments, ids, ids)
def test_a_shard_is_read_as_it_was_written(
    status: ShardStatus,
    outcome: Outcome | None,
    intent_at: float | None,
    lease_until: float | None,
    candidates: tuple[str, ...],
    ruled_out: tuple[str, ...],
) -> None:
    shard = replace(
        a_shard(status, outcome=outcome, candidates=candidates, ruled_out=ruled_out),
        intent_at=intent_at,
        lease_until=lease_until,
    )

    item = from_item(to_item(shard_item(shard)))

    assert shard_from_item(item) == shard
    assert is_shard(item)


def test_a_shard_without_a_version_or_edits_is_read_as_it_was_written() -> None:
    shard = a_shard(betas="files-api", ordinals_key="work/ordinals", transient_waves=2)
    shard = replace(shard, source=replace(shard.source, version=None))

    assert shard_from_item(from_item(to_item(shard_item(shard)))) == shard


def test_a_new_job_is_read_as_it_was_written() -> None:
    job = a_job(JobStatus.RECEIVED, settings_key="work/settings")

    item = from_item(to_item(job_item(job)))

    assert job_from_item(item) == job
    assert not is_shard(item)


def test_jobs_come_before_shards_in_what_is_open() -> None:
    assert str(job_item(a_job())["open_at"]) < str(shard_item(a_shard())["open_at"])


def test_a_time_keeps_its_fraction() -> None:
    shard = a_shard(intent_at=NOW + 0.123456)

    assert shard_from_item(from_item(to_item(shard_item(shard)))).intent_at == NOW + 0.123456


def test_what_a_newer_version_adds_to_an_item_is_passed_over() -> None:
    outcome = Outcome(1, 2, 3, {"claude-haiku-5-5": Tokens(5, 6)}, {"api_error": 2})
    shard = a_shard(ShardStatus.COLLECTED, outcome=outcome)
    assert shard_from_item(_with_more(from_item(to_item(shard_item(shard))))) == shard

    item = job_item(a_job(JobStatus.RECEIVED)) | {
        "status": "held",
        "plan": {**asdict(Plan("work/plan", 25, 20, 5, 2, 1.5)), "models": ["m"], "notes": []},
        "hold": asdict(Hold.for_incident("billing_error", "no credit")),
        "tally": asdict(Tally(20, 18, 2, 0, errors={"api_error": 2})),
    }
    item = from_item(to_item(item))
    assert job_from_item(_with_more(item)) == job_from_item(item)


def _with_more(value: Any) -> Any:
    """Add something unknown to each object that describes one thing; maps by model or by type of error are none."""
    if not isinstance(value, dict):
        return value
    counts = ("errors", "notices", "incomplete", "misfits", "reasons", "said")
    described = {name: value[name] if name in counts else _with_more(value[name]) for name in value}
    by_model = bool(value) and all(name.startswith("claude-") for name in value)
    return described if by_model else described | {"of_tomorrow": "x"}
