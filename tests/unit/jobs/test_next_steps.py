"""Which messages take a job on, and when it is stuck or late."""

from __future__ import annotations

from typing import Any

import pytest

from sluice.jobs.messages import QueueMessage, Step
from sluice.jobs.model import LONGEST_WAIT_SECONDS, JobStatus, Shard, ShardStatus
from sluice.jobs.next_steps import (
    OpenJob,
    is_late,
    is_stuck,
    is_stuck_despite_resends,
    job_message,
    pending_messages,
    reconcilable_at,
    resends_in_vain,
    shard_message,
)
from sluice.settings import JobSettings
from tests.unit.jobs.samples import NOW, a_job, a_shard

SETTINGS = JobSettings("table", stuck_after_minutes=45, late_after_hours=25)
PATIENCE = 45 * 60
PLANNED, SUBMITTING, ADOPTING = ShardStatus.PLANNED, ShardStatus.SUBMITTING, ShardStatus.ADOPTING
IN_PROGRESS, ENDED = ShardStatus.IN_PROGRESS, ShardStatus.ENDED


@pytest.mark.parametrize(
    ("status", "job", "step"),
    [
        (PLANNED, {}, Step.SUBMIT),
        (PLANNED, {"cancel_requested": True}, Step.COLLECT),
        (PLANNED, {"status": JobStatus.HELD}, None),
        (PLANNED, {"status": JobStatus.PLANNED}, None),
        (SUBMITTING, {}, Step.SUBMIT),
        (ADOPTING, {"status": JobStatus.HELD}, Step.SUBMIT),
        (IN_PROGRESS, {}, None),
        (ENDED, {"status": JobStatus.HELD}, Step.COLLECT),
        (ShardStatus.COLLECTED, {}, None),
    ],
)
def test_a_shard_is_taken_on_by_the_message_of_its_state(
    status: ShardStatus, job: dict[str, Any], step: Step | None
) -> None:
    shard = a_shard(status)

    assert shard_message(a_job(**job), shard) == (QueueMessage(step, shard.ref.message()) if step else None)


@pytest.mark.parametrize(
    ("status", "open_shards", "step"),
    [
        (JobStatus.RECEIVED, 0, Step.PLAN),
        (JobStatus.PLANNED, 0, Step.PLAN),
        (JobStatus.RUNNING, 0, Step.FINISH),
        (JobStatus.RUNNING, 1, None),
        (JobStatus.HELD, 0, None),
        (JobStatus.FINISHED, 0, None),
    ],
)
def test_a_job_is_taken_on_by_the_message_of_its_state(status: JobStatus, open_shards: int, step: Step | None) -> None:
    queue_message = job_message(a_job(status, open_shards=open_shards))

    assert (queue_message.step if queue_message else None) == step


def test_reading_goes_on_from_the_last_checkpoint() -> None:
    queue_message = job_message(a_job(JobStatus.RECEIVED, checkpoint_key="work/checkpoint"))

    assert queue_message is not None
    assert queue_message.message["checkpoint"] == "work/checkpoint"


def running(*shards: Shard, **job: Any) -> OpenJob:
    return OpenJob(a_job(open_shards=len(shards), **job), shards)


def test_a_job_is_stuck_when_nothing_of_it_has_moved_for_long() -> None:
    job = running(a_shard(PLANNED), a_shard(IN_PROGRESS, 1))

    assert not is_stuck(job, NOW + PATIENCE - 1, SETTINGS)
    assert is_stuck(job, NOW + PATIENCE + 1, SETTINGS)


@pytest.mark.parametrize(
    "shards",
    [
        (a_shard(IN_PROGRESS),),
        (a_shard(SUBMITTING, intent_at=NOW),),
        (a_shard(PLANNED), a_shard(ENDED, 1, moved_at=NOW + 3000)),
        (a_shard(PLANNED, not_before=NOW + 5000),),
    ],
    ids=["waits for claude", "is reconciled", "another shard moves", "is put off"],
)
def test_a_job_that_waits_for_something_is_not_stuck(shards: tuple[Shard, ...]) -> None:
    assert not is_stuck(running(*shards), NOW + PATIENCE + 1, SETTINGS)


def test_a_job_that_is_put_off_for_ever_is_stuck() -> None:
    job = running(a_shard(PLANNED, not_before=NOW + 1e9))

    assert is_stuck(job, NOW + LONGEST_WAIT_SECONDS + PATIENCE + 1, SETTINGS)


def test_messages_that_were_sent_again_are_given_twice_the_time_each_time() -> None:
    for resends in (1, 2, 3):
        resent = running(a_shard(PLANNED), resent_at=NOW + 3000, resends=resends)
        assert not is_stuck(resent, NOW + 2999 + PATIENCE * 2**resends, SETTINGS)
        assert is_stuck(resent, NOW + 3001 + PATIENCE * 2**resends, SETTINGS)


def test_resends_of_before_a_job_moved_count_no_more() -> None:
    moved = running(a_shard(PLANNED, moved_at=NOW + 10), resent_at=NOW + 9, resends=5)

    assert is_stuck(moved, NOW + 11 + PATIENCE, SETTINGS)
    assert resends_in_vain(moved) == 0


def test_a_job_that_two_resends_did_not_move_is_stuck_despite_them() -> None:
    assert not is_stuck_despite_resends(running(a_shard(PLANNED), resent_at=NOW + 9, resends=1))
    assert is_stuck_despite_resends(running(a_shard(PLANNED), resent_at=NOW + 9, resends=2))
    assert not is_stuck_despite_resends(running(a_shard(PLANNED, moved_at=NOW + 10), resent_at=NOW + 9, resends=2))


def test_a_held_job_is_not_stuck_despite_resends() -> None:
    assert not is_stuck_despite_resends(running(a_shard(ENDED), status=JobStatus.HELD, resent_at=NOW + 9, resends=2))


def test_the_messages_of_a_job_leave_out_what_is_reconciled_in_its_own_time() -> None:
    job = running(a_shard(PLANNED), a_shard(SUBMITTING, 1), a_shard(ADOPTING, 2), a_shard(ENDED, 3))

    assert [queue_message.step for queue_message in pending_messages(job)] == [Step.SUBMIT, Step.COLLECT]


@pytest.mark.parametrize(
    ("status", "hours", "late"),
    [
        (JobStatus.RUNNING, 24.9, False),
        (JobStatus.RUNNING, 25.1, True),
        (JobStatus.RECEIVED, 25.1, True),
        (JobStatus.HELD, 99, False),
        (JobStatus.FINISHED, 99, False),
    ],
)
def test_a_job_is_late_unless_a_person_lets_it_wait(status: JobStatus, hours: float, late: bool) -> None:
    assert is_late(a_job(status), NOW + hours * 3600, SETTINGS) is late


def test_the_list_is_trusted_some_time_after_the_call_was_over_for_sure() -> None:
    assert reconcilable_at(a_shard(lease_until=NOW + 330), 120) == NOW + 450
