"""How far a job is, and how long it may take."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from sluice.aws.dynamodb import Table
from sluice.jobs.model import JobStatus, Outcome, Plan, Shard, ShardStatus
from sluice.jobs.progress import average_batch_seconds, progress_of, record_durations
from tests.unit.jobs.samples import NOW, a_job, a_shard
from tests.world.aws import moto_table

PLAN = Plan("work/plan", 40, 40, 0, 3, 1.0)


@pytest.fixture
def table() -> Iterator[Table]:
    with moto_table() as table:
        yield table


def test_shards_count_in_their_latest_wave_and_requests_once() -> None:
    shards = [
        a_shard(ShardStatus.COLLECTED, 0, 0, outcome=Outcome(5, 1, 4)),
        a_shard(ShardStatus.IN_PROGRESS, 0, 1, submitted_at=NOW),
        a_shard(ShardStatus.COLLECTED, 1, outcome=Outcome(9, 1)),
        a_shard(ShardStatus.PLANNED, 2),
    ]

    progress = progress_of(a_job(plan=PLAN), shards, None, NOW + 60)

    assert {name: count for name, count in progress.shards.items() if count} == {
        "in_progress": 1,
        "collected": 1,
        "planned": 1,
    }
    assert (progress.requests, progress.requests_ended, progress.succeeded, progress.errored) == (40, 16, 14, 2)
    assert (progress.waves, progress.elapsed, progress.seconds_left) == (2, 60, None)


@pytest.mark.parametrize(
    ("shard", "left"),
    [
        (a_shard(ShardStatus.IN_PROGRESS, submitted_at=NOW - 100), 500),
        (a_shard(ShardStatus.IN_PROGRESS, submitted_at=NOW - 1000), 500),
        (a_shard(ShardStatus.PLANNED), 600),
        (a_shard(ShardStatus.PLANNED, not_before=NOW + 90), 690),
        (a_shard(ShardStatus.ENDED, submitted_at=NOW - 100), 0),
    ],
    ids=["on its way", "over the average", "waiting", "put off", "ended"],
)
def test_the_time_left_is_that_of_the_slowest_shard(shard: Shard, left: float) -> None:
    done = a_shard(ShardStatus.COLLECTED, 1, submitted_at=NOW - 50, outcome=Outcome(1))

    assert progress_of(a_job(), [shard, done], 600.0, NOW).seconds_left == left


def test_a_job_that_is_over_has_no_time_left() -> None:
    progress = progress_of(a_job(JobStatus.FINISHED, finished_at=NOW + 30), [], 600.0, NOW + 999)

    assert (progress.seconds_left, progress.elapsed) == (None, 30)


def test_a_job_that_is_read_has_no_estimate_yet() -> None:
    assert progress_of(a_job(JobStatus.RECEIVED), [], 600.0, NOW).seconds_left is None


def test_the_average_follows_what_batches_take_lately(table: Table) -> None:
    assert average_batch_seconds(table) is None
    record_durations(table, [])
    assert average_batch_seconds(table) is None

    record_durations(table, [600.0])
    assert average_batch_seconds(table) == 600
    record_durations(table, [1200.0] * 50)

    average = average_batch_seconds(table)
    assert average is not None
    assert 1190 < average < 1200
