"""What needs a push, and what is left alone."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from sluice.claude.batches import MessageBatch
from sluice.jobs.messages import OpenJob, QueueMessage, Step, job_message, pending_messages, shard_message
from sluice.jobs.model import LONGEST_WAIT_SECONDS, JobStatus, NoticeState, Shard, ShardStatus
from sluice.jobs.poll.open_work import (
    OpenWork,
    all_notices_sent,
    as_of_last_movement,
    has_overdue_notice,
    is_late,
    is_lost,
    is_stuck,
    is_stuck_despite_resends,
    reconciliations_due,
    unresolved,
)
from sluice.settings import JobSettings
from tests.unit.jobs.samples import NOW, a_job, a_shard

SETTINGS = JobSettings("table", stuck_after_minutes=45, late_after_hours=25, reconcile_after_seconds=120)
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


def test_a_push_is_given_time() -> None:
    resent = running(a_shard(PLANNED), resent_at=NOW + 3000, resends=1)

    assert not is_stuck(resent, NOW + 3001, SETTINGS)
    assert is_stuck(resent, NOW + 3001 + PATIENCE, SETTINGS)


def test_two_pushes_to_no_avail_are_told_of() -> None:
    assert not is_stuck_despite_resends(running(a_shard(PLANNED), resent_at=NOW + 9, resends=1))
    assert is_stuck_despite_resends(running(a_shard(PLANNED), resent_at=NOW + 9, resends=2))
    assert not is_stuck_despite_resends(running(a_shard(PLANNED, moved_at=NOW + 10), resent_at=NOW + 9, resends=2))


def test_a_held_job_is_not_told_of_as_stuck() -> None:
    assert not is_stuck_despite_resends(running(a_shard(ENDED), status=JobStatus.HELD, resent_at=NOW + 9, resends=2))


@pytest.mark.parametrize(
    ("batch_id", "after", "lost"), [("a", PATIENCE + 1, True), ("a", 60, False), ("b", 1e6, False)]
)
def test_a_batch_is_lost_when_claude_has_not_known_it_for_long(batch_id: str, after: float, lost: bool) -> None:
    assert is_lost(a_shard(IN_PROGRESS, batch_id=batch_id), {"a"}, NOW + after, SETTINGS) is lost


def test_the_messages_of_a_job_leave_out_what_is_reconciled_in_its_own_time() -> None:
    job = running(a_shard(PLANNED), a_shard(SUBMITTING, 1), a_shard(ADOPTING, 2), a_shard(ENDED, 3))

    assert [queue_message.step for queue_message in pending_messages(job)] == [Step.SUBMIT, Step.COLLECT]


@pytest.mark.parametrize(("after", "due"), [(100, False), (449, False), (450, True)])
def test_an_intent_is_reconciled_when_the_list_can_be_trusted(after: float, due: bool) -> None:
    work = OpenWork.of([a_job(), a_shard(SUBMITTING, intent_at=NOW, lease_until=NOW + 330)])

    assert bool(list(reconciliations_due(work, {}, (), NOW + after, SETTINGS))) is due


@pytest.mark.parametrize(
    ("status", "gone", "ruled_out", "due"),
    [
        ("in_progress", False, (), False),
        ("ended", False, (), True),
        ("in_progress", True, (), True),
        ("ended", False, ("msgbatch_1",), False),
        ("in_progress", False, ("msgbatch_1", "msgbatch_2"), True),
    ],
)
def test_an_adoption_goes_on_when_a_candidate_has_ended(
    status: str, gone: bool, ruled_out: tuple[str, ...], due: bool
) -> None:
    shard = a_shard(ADOPTING, candidates=("msgbatch_1", "msgbatch_2"), ruled_out=ruled_out)
    seen = {
        "msgbatch_1": MessageBatch("msgbatch_1", status, NOW, 10),
        "msgbatch_2": MessageBatch("msgbatch_2", "in_progress", NOW, 10),
    }
    work = OpenWork.of([a_job(), shard])

    queue_messages = list(reconciliations_due(work, seen, ("msgbatch_1",) if gone else (), NOW, SETTINGS))

    assert bool(queue_messages) is due
    assert set(unresolved(shard)) == {"msgbatch_1", "msgbatch_2"} - set(ruled_out)


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


def test_a_notice_is_forgotten_when_its_maker_must_have_died() -> None:
    job = a_job(notices={"job.late": "pending"}, noticed_at=NOW + 100)

    assert not has_overdue_notice(job, NOW + 130)
    assert has_overdue_notice(job, NOW + 230)
    assert not has_overdue_notice(replace(job, notices={"job.late": NoticeState.SENT}), NOW + 230)


def test_a_job_has_said_all_when_it_is_over_and_told_of() -> None:
    over = a_job(JobStatus.FINISHED, notices={"job.finished": "sent"})

    assert all_notices_sent(over)
    assert not all_notices_sent(replace(over, notices={"job.finished": NoticeState.PENDING}))
    assert not all_notices_sent(replace(over, status=JobStatus.RUNNING))


def test_a_person_is_told_when_anything_of_a_job_moved_last() -> None:
    job = running(a_shard(moved_at=NOW + 50), a_shard(number=1, moved_at=NOW + 20))

    assert as_of_last_movement(job).moved_at == NOW + 50
