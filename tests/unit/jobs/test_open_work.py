"""What of the open work is due at a poll."""

from __future__ import annotations

from dataclasses import replace

import pytest

from sluice.claude.batches import MessageBatch
from sluice.jobs.model import JobStatus, NoticeState, ShardStatus
from sluice.jobs.next_steps import OpenJob
from sluice.jobs.notices.announce import has_overdue_notice
from sluice.jobs.poll.open_work import (
    OpenWork,
    all_notices_sent,
    as_of_last_movement,
    is_lost,
    reconciliations_due,
    unresolved,
)
from sluice.settings import JobSettings
from tests.unit.jobs.samples import NOW, a_job, a_shard

SETTINGS = JobSettings("table", stuck_after_minutes=45, reconcile_after_seconds=120)
PATIENCE = 45 * 60
SUBMITTING, ADOPTING, IN_PROGRESS = ShardStatus.SUBMITTING, ShardStatus.ADOPTING, ShardStatus.IN_PROGRESS


@pytest.mark.parametrize(
    ("batch_id", "after", "lost"), [("a", PATIENCE + 1, True), ("a", 60, False), ("b", 1e6, False)]
)
def test_a_batch_is_lost_when_claude_has_not_known_it_for_long(batch_id: str, after: float, lost: bool) -> None:
    assert is_lost(a_shard(IN_PROGRESS, batch_id=batch_id), {"a"}, NOW + after, SETTINGS) is lost


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
    job = OpenJob(a_job(), (a_shard(moved_at=NOW + 50), a_shard(number=1, moved_at=NOW + 20)))

    assert as_of_last_movement(job).moved_at == NOW + 50
