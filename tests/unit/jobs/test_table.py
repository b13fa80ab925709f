"""The states of jobs, against DynamoDB's own conditions."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from sluice.aws.dynamodb import Table, Update
from sluice.errors import ConditionFailed
from sluice.jobs.model import JOB_TRANSITIONS, Hold, HoldKind, Job, JobStatus, Plan, Tally
from sluice.jobs.table import JobTable
from sluice.table_keys import job_key
from tests.unit.jobs.samples import NOW, a_job, an_upload

PLAN = Plan("work/plan", 25, 20, 5, 2, 1.5, models=("claude-haiku-5-5",))
TALLY = Tally(25, 18, 2, 5)
JOB_ID = an_upload().job_id
HOLD = Hold(HoldKind.COST, "It is dear.")


@pytest.fixture
def jobs(table: Table) -> JobTable:
    return JobTable(table)


def running_job(jobs: JobTable, shards: int = 2) -> Job:
    jobs.record_plan(jobs.claim(an_upload(), NOW), PLAN, NOW)
    return jobs.start(JOB_ID, shards, NOW + 1)


CALLS: dict[str, Callable[[JobTable, Job], object]] = {
    "arrive": lambda jobs, job: jobs.arrive(job, an_upload(), NOW),
    "expire": lambda jobs, job: jobs.expire(JOB_ID, NOW),
    "withdraw": lambda jobs, job: jobs.withdraw(JOB_ID, NOW),
    "note_planning": lambda jobs, job: jobs.note_planning(job, "work/checkpoint", NOW),
    "record_plan": lambda jobs, job: jobs.record_plan(job, PLAN, NOW),
    "start": lambda jobs, job: jobs.start(JOB_ID, 0, NOW),
    "hold": lambda jobs, job: jobs.hold(job, HOLD, NOW),
    "release": lambda jobs, job: jobs.release(job, NOW),
    "request_cancel": lambda jobs, job: jobs.request_cancel(JOB_ID, NOW),
    "finish": lambda jobs, job: jobs.finish(JOB_ID, JobStatus.FINISHED, TALLY, "job.finished", NOW),
    "fail": lambda jobs, job: jobs.fail(job, "It is empty.", "job.failed", NOW),
    "give_up": lambda jobs, job: jobs.give_up(job, "It is over.", "job.failed", NOW),
    "request_delete": lambda jobs, job: jobs.request_delete(job, NOW),
    "mark_deleted": lambda jobs, job: jobs.mark_deleted(job, NOW),
    "close": lambda jobs, job: jobs.close(job),
}


@pytest.mark.parametrize("name", JOB_TRANSITIONS)
def test_a_transition_starts_from_the_states_of_its_data_and_no_other(table: Table, jobs: JobTable, name: str) -> None:
    transition = JOB_TRANSITIONS[name]
    jobs.claim(an_upload(), NOW)
    for status in JobStatus:
        # All that a transition looks at beside the state, so that it is the state which decides.
        fields = {"status": status, "open_shards": 0, "held_at": NOW, "status_before_hold": JobStatus.RUNNING}
        table.update(Update(job_key(JOB_ID), set=fields))
        if status in transition.sources:
            CALLS[name](jobs, found(jobs))
            assert found(jobs).status in (transition.targets or (status,))
        else:
            with pytest.raises(ConditionFailed):
                CALLS[name](jobs, found(jobs))
            assert found(jobs).status is status


def found(jobs: JobTable) -> Job:
    job = jobs.find(JOB_ID)
    assert job is not None
    return job


def test_an_upload_is_claimed_once_however_often_it_is_notified_of(jobs: JobTable) -> None:
    first = jobs.claim(an_upload(), NOW)
    jobs.record_plan(first, PLAN, NOW)

    assert first.status is JobStatus.RECEIVED
    assert jobs.claim(an_upload(), NOW + 9).status is JobStatus.PLANNED
    assert len(list(jobs.open())) == 1


def test_of_two_plans_one_is_recorded(jobs: JobTable) -> None:
    job = jobs.claim(an_upload(), NOW)
    assert jobs.record_plan(job, PLAN, NOW, settings_key="work/settings").plan == PLAN

    with pytest.raises(ConditionFailed):
        jobs.record_plan(job, PLAN, NOW)


def test_a_plan_can_be_held_with_its_notice_and_released(jobs: JobTable) -> None:
    job = jobs.record_plan(jobs.claim(an_upload(), NOW), PLAN, NOW, HOLD)
    assert (job.status, job.hold, job.notices) == (JobStatus.HELD, HOLD, {"job.held#cost@1": "pending"})

    released = jobs.release(job, NOW + 1)

    assert (released.status, released.hold) == (JobStatus.PLANNED, None)
    with pytest.raises(ConditionFailed):
        jobs.release(job, NOW + 2)
    with pytest.raises(ConditionFailed):
        jobs.release(released, NOW + 2)


@pytest.mark.parametrize("status", ["running", "planned"])
def test_a_hold_that_comes_too_late_changes_nothing(jobs: JobTable, status: str) -> None:
    running_job(jobs)
    seen = a_job(JobStatus(status))
    if status == "running":
        assert jobs.hold(seen, HOLD, NOW).notices == {"job.held#cost@1": "pending"}
    with pytest.raises(ConditionFailed):
        jobs.hold(seen, HOLD, NOW)


def test_a_job_that_is_over_cannot_be_held_or_cancelled(jobs: JobTable) -> None:
    running_job(jobs, shards=0)
    over = jobs.finish(JOB_ID, JobStatus.FINISHED, TALLY, "job.finished", NOW)

    assert (over.tally, over.notices) == (TALLY, {"job.finished": "pending"})
    with pytest.raises(ConditionFailed):
        jobs.hold(over, HOLD, NOW)
    with pytest.raises(ConditionFailed):
        jobs.request_cancel(JOB_ID, NOW)


def test_a_held_job_can_be_cancelled_and_waits_for_its_release(jobs: JobTable) -> None:
    jobs.hold(running_job(jobs), HOLD, NOW)

    job = jobs.request_cancel(JOB_ID, NOW)

    assert (job.status, job.cancel_requested) == (JobStatus.HELD, True)
    assert jobs.release(job, NOW).status is JobStatus.RUNNING


def test_a_release_that_was_meant_for_an_earlier_hold_changes_nothing(jobs: JobTable) -> None:
    first = jobs.record_plan(jobs.claim(an_upload(), NOW), PLAN, NOW, HOLD)
    jobs.release(first, NOW + 1)
    second = jobs.hold(jobs.start(JOB_ID, 2, NOW + 2), HOLD, NOW)
    assert set(second.notices) == {"job.held#cost@1", "job.held#cost@2"}

    with pytest.raises(ConditionFailed):
        jobs.release(first, NOW + 4)
    with pytest.raises(ConditionFailed):
        jobs.give_up(first, "It is over.", "job.failed", NOW + 4)
    job = jobs.find(JOB_ID)
    assert job is not None
    assert (job.status, job.status_before_hold, job.open_shards) == (JobStatus.HELD, JobStatus.RUNNING, 2)


STALE: dict[str, Callable[[JobTable, Job], object]] = {
    "note_planning": lambda jobs, job: jobs.note_planning(job, "work/checkpoint", NOW),
    "record_plan": lambda jobs, job: jobs.record_plan(job, PLAN, NOW),
    "hold": lambda jobs, job: jobs.hold(job, HOLD, NOW),
    "fail": lambda jobs, job: jobs.fail(job, "It is empty.", "job.failed", NOW),
}


@pytest.mark.parametrize("act", STALE.values(), ids=STALE)
def test_what_was_seen_before_a_hold_and_its_release_changes_nothing(
    jobs: JobTable, act: Callable[[JobTable, Job], object]
) -> None:
    seen = jobs.claim(an_upload(), NOW)
    released = jobs.release(jobs.hold(seen, HOLD, NOW), NOW)

    with pytest.raises(ConditionFailed):
        act(jobs, seen)
    assert not jobs.add_notice(seen, "job.late", NOW)
    assert found(jobs) == released
    act(jobs, released)


def test_the_hold_of_an_incident_has_its_number_and_no_notice(jobs: JobTable) -> None:
    held = jobs.hold(running_job(jobs), Hold.for_incident("billing_error", "No credit."), NOW, 7)

    assert (held.incident_number, held.notices) == (7, {})
    assert jobs.release(held, NOW).incident_number == 0


def test_a_job_with_an_open_shard_cannot_finish(jobs: JobTable) -> None:
    running_job(jobs)

    with pytest.raises(ConditionFailed):
        jobs.finish(JOB_ID, JobStatus.FINISHED, TALLY, "job.finished", NOW)


def test_a_file_that_cannot_run_fails_once(jobs: JobTable) -> None:
    jobs.claim(an_upload(), NOW)
    assert jobs.fail(found(jobs), "It is empty.", "job.failed", NOW).failure == "It is empty."

    with pytest.raises(ConditionFailed):
        jobs.fail(found(jobs), "It is empty.", "job.failed", NOW)


def test_a_notice_is_added_once_and_the_last_one_of_a_finished_job_closes_it(jobs: JobTable) -> None:
    seen = running_job(jobs, shards=0)
    assert jobs.add_notice(seen, "job.late", NOW)
    assert not jobs.add_notice(seen, "job.late", NOW)
    running = jobs.find(JOB_ID)
    assert running is not None
    jobs.notice_sent(running, "job.late")
    assert len(list(jobs.open())) == 1

    jobs.notice_sent(jobs.finish(JOB_ID, JobStatus.FINISHED, TALLY, "job.finished", NOW), "job.finished")

    assert list(jobs.open()) == []
    job = jobs.find(JOB_ID)
    assert job is not None
    assert job.notices["job.finished"] == "sent"


def test_a_job_that_finished_after_it_was_looked_at_is_not_called_late(jobs: JobTable) -> None:
    seen = running_job(jobs, shards=0)
    finished = jobs.finish(JOB_ID, JobStatus.FINISHED, TALLY, "job.finished", NOW)

    assert not jobs.add_notice(seen, "job.late", NOW)
    assert not jobs.add_notice(finished, "job.late", NOW)
    assert found(jobs).notices == {"job.finished": "pending"}


def test_a_job_that_was_held_after_it_was_looked_at_is_not_called_late(jobs: JobTable) -> None:
    seen = running_job(jobs)
    jobs.hold(seen, HOLD, NOW)

    assert not jobs.add_notice(seen, "job.late", NOW)
    assert found(jobs).notices == {"job.held#cost@1": "pending"}


def test_a_finished_job_is_not_closed_while_a_notice_is_pending(table: Table, jobs: JobTable) -> None:
    running_job(jobs, shards=0)
    job = jobs.finish(JOB_ID, JobStatus.FINISHED, TALLY, "job.finished", NOW)
    table.update(Update(job_key(JOB_ID), entries={("notices", "job.late"): "pending"}))
    both = jobs.find(JOB_ID)
    assert both is not None
    jobs.notice_sent(both, "job.late")
    assert len(list(jobs.open())) == 1

    jobs.close(job)

    assert list(jobs.open()) == []


def test_a_running_job_cannot_be_closed(jobs: JobTable) -> None:
    with pytest.raises(ConditionFailed):
        jobs.close(running_job(jobs))


def test_nudges_count_until_the_job_moves(jobs: JobTable) -> None:
    job = running_job(jobs)
    job = jobs.record_resend(job, NOW + 10)
    with pytest.raises(ConditionFailed):
        jobs.record_resend(a_job(), NOW + 11)
    job = jobs.record_resend(job, NOW + 20)
    assert job.resends == 2

    job = jobs.release(jobs.hold(job, HOLD, NOW + 30), NOW + 31)

    assert jobs.record_resend(job, NOW + 40).resends == 1


def test_reading_goes_on_from_its_checkpoint_unless_the_settings_have_to_be_corrected(jobs: JobTable) -> None:
    job = jobs.claim(an_upload(), NOW)
    jobs.note_planning(job, "work/checkpoint", NOW)
    stuck = jobs.hold(found(jobs), Hold(HoldKind.STUCK, "It fails."), NOW)
    assert jobs.release(stuck, NOW).checkpoint_key == "work/checkpoint"

    held = jobs.hold(found(jobs), Hold(HoldKind.SETTINGS, "They are wrong."), NOW)
    assert jobs.release(held, NOW).checkpoint_key is None
