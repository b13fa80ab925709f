"""The states of jobs and shards, against DynamoDB's own conditions."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule

from sluice.errors import ConditionFailed
from sluice.jobs.model import Hold, Job, JobStatus, Outcome, Plan, Shard, ShardStatus, Tally
from sluice.jobs.table import JobTable
from tests.stack import moto_table
from tests.unit.jobs.samples import NOW, a_job, a_shard, an_upload

PLAN = Plan("work/plan", 25, 20, 5, 2, 1.5, models=("claude-haiku-5-5",))
TALLY = Tally(25, 18, 2, 5)
JOB_ID = an_upload().job_id
HOLD = Hold("cost", "It is dear.")


@pytest.fixture
def table() -> Iterator[JobTable]:
    with moto_table() as table:
        yield JobTable(table)


def running_job(table: JobTable, shards: int = 2) -> Job:
    table.claim(an_upload(), NOW)
    table.record_plan(JOB_ID, PLAN, NOW)
    table.create_shards([a_shard(number=number) for number in range(shards)])
    return table.start(JOB_ID, shards, NOW + 1)


def test_an_upload_is_claimed_once_however_often_it_is_notified_of(table: JobTable) -> None:
    first = table.claim(an_upload(), NOW)
    table.record_plan(JOB_ID, PLAN, NOW)

    assert first.status is JobStatus.RECEIVED
    assert table.claim(an_upload(), NOW + 9).status is JobStatus.PLANNED
    assert len(list(table.open())) == 1


def test_of_two_plans_one_is_recorded(table: JobTable) -> None:
    table.claim(an_upload(), NOW)
    assert table.record_plan(JOB_ID, PLAN, NOW, settings_key="work/settings").plan == PLAN

    with pytest.raises(ConditionFailed):
        table.record_plan(JOB_ID, PLAN, NOW)


def test_a_plan_can_be_held_with_its_notice_and_released(table: JobTable) -> None:
    table.claim(an_upload(), NOW)
    job = table.record_plan(JOB_ID, PLAN, NOW, HOLD, notice="job.held")
    assert (job.status, job.hold, job.notices) == (JobStatus.HELD, HOLD, {"job.held": "pending"})

    released = table.release(job, NOW + 1)

    assert (released.status, released.hold) == (JobStatus.PLANNED, None)
    with pytest.raises(ConditionFailed):
        table.release(job, NOW + 2)
    with pytest.raises(ConditionFailed):
        table.release(released, NOW + 2)


@pytest.mark.parametrize("status", ["running", "planned"])
def test_a_hold_that_comes_too_late_changes_nothing(table: JobTable, status: str) -> None:
    running_job(table)
    seen = a_job(JobStatus(status))
    if status == "running":
        assert table.hold(seen, HOLD, NOW, "job.held").notices == {"job.held": "pending"}
    with pytest.raises(ConditionFailed):
        table.hold(seen, HOLD, NOW)


def test_a_job_that_is_over_cannot_be_held_or_cancelled(table: JobTable) -> None:
    running_job(table, shards=0)
    over = table.finish(JOB_ID, JobStatus.FINISHED, TALLY, "job.finished", NOW)

    assert (over.tally, over.notices) == (TALLY, {"job.finished": "pending"})
    with pytest.raises(ConditionFailed):
        table.hold(over, HOLD, NOW)
    with pytest.raises(ConditionFailed):
        table.request_cancel(JOB_ID, NOW)


def test_a_held_job_can_be_cancelled_and_waits_for_its_release(table: JobTable) -> None:
    table.hold(running_job(table), HOLD, NOW)

    job = table.request_cancel(JOB_ID, NOW)

    assert (job.status, job.cancel_requested) == (JobStatus.HELD, True)
    assert table.release(job, NOW).status is JobStatus.RUNNING


def test_a_release_that_was_meant_for_an_earlier_hold_changes_nothing(table: JobTable) -> None:
    table.claim(an_upload(), NOW)
    first = table.record_plan(JOB_ID, PLAN, NOW, HOLD)
    table.release(first, NOW + 1)
    table.hold(table.start(JOB_ID, 2, NOW + 2), HOLD, NOW + 3)

    with pytest.raises(ConditionFailed):
        table.release(first, NOW + 4)
    with pytest.raises(ConditionFailed):
        table.give_up(first, "It is over.", "job.failed", NOW + 4)
    job = table.job(JOB_ID)
    assert job is not None
    assert (job.status, job.status_before_hold, job.open_shards) == (JobStatus.HELD, JobStatus.RUNNING, 2)


def test_a_job_with_an_open_shard_cannot_finish(table: JobTable) -> None:
    running_job(table)

    with pytest.raises(ConditionFailed):
        table.finish(JOB_ID, JobStatus.FINISHED, TALLY, "job.finished", NOW)


def test_a_file_that_cannot_run_fails_once(table: JobTable) -> None:
    table.claim(an_upload(), NOW)
    assert table.fail(JOB_ID, "It is empty.", "job.failed", NOW).failure == "It is empty."

    with pytest.raises(ConditionFailed):
        table.fail(JOB_ID, "It is empty.", "job.failed", NOW)


def test_a_notice_is_added_once_and_the_last_one_of_a_finished_job_closes_it(table: JobTable) -> None:
    running_job(table, shards=0)
    assert table.add_notice(JOB_ID, "job.late", NOW)
    assert not table.add_notice(JOB_ID, "job.late", NOW)
    running = table.job(JOB_ID)
    assert running is not None
    table.notice_sent(running, "job.late")
    assert len(list(table.open())) == 1

    table.notice_sent(table.finish(JOB_ID, JobStatus.FINISHED, TALLY, "job.finished", NOW), "job.finished")

    assert list(table.open()) == []
    job = table.job(JOB_ID)
    assert job is not None
    assert job.notices["job.finished"] == "sent"


def test_a_finished_job_is_not_closed_while_a_notice_is_pending(table: JobTable) -> None:
    running_job(table, shards=0)
    job = table.finish(JOB_ID, JobStatus.FINISHED, TALLY, "job.finished", NOW)
    table.add_notice(JOB_ID, "job.late", NOW)
    both = table.job(JOB_ID)
    assert both is not None
    table.notice_sent(both, "job.late")
    assert len(list(table.open())) == 1

    table.close(job)

    assert list(table.open()) == []


def test_a_running_job_cannot_be_closed(table: JobTable) -> None:
    with pytest.raises(ConditionFailed):
        table.close(running_job(table))


def test_nudges_count_until_the_job_moves(table: JobTable) -> None:
    job = running_job(table)
    job = table.record_resend(job, NOW + 10)
    with pytest.raises(ConditionFailed):
        table.record_resend(a_job(), NOW + 11)
    job = table.record_resend(job, NOW + 20)
    assert job.resends == 2

    job = table.release(table.hold(job, HOLD, NOW + 30), NOW + 31)

    assert table.record_resend(job, NOW + 40).resends == 1


def test_shards_that_are_there_are_left_as_they_are(table: JobTable) -> None:
    running_job(table)
    table.begin_submission(a_shard(), NOW, 60)

    table.create_shards([a_shard(), a_shard(number=1)])

    assert [shard.status for shard in table.shards(JOB_ID)] == [ShardStatus.SUBMITTING, ShardStatus.PLANNED]


def test_one_of_two_begins_a_submission(table: JobTable) -> None:
    running_job(table)
    shard = table.begin_submission(a_shard(), NOW, 60)

    assert (shard.status, shard.intent_at, shard.lease_until) == (ShardStatus.SUBMITTING, NOW, NOW + 60)
    with pytest.raises(ConditionFailed):
        table.begin_submission(a_shard(), NOW, 60)


LATE: list[Callable[[JobTable, Shard], object]] = [
    lambda table, shard: table.give_back(shard, NOW, NOW),
    lambda table, shard: table.record_batch(shard, "msgbatch_late", NOW),
    lambda table, shard: table.end_call(shard, NOW),
    lambda table, shard: table.begin_adoption(shard, ["msgbatch_late"], NOW),
    lambda table, shard: table.rule_out(shard, "msgbatch_late", NOW),
]


@pytest.mark.parametrize("change", LATE)
def test_what_belongs_to_an_earlier_intent_changes_nothing(
    table: JobTable, change: Callable[[JobTable, Shard], object]
) -> None:
    running_job(table)
    earlier = table.begin_submission(a_shard(), NOW, 60)
    current = table.begin_submission(table.give_back(earlier, NOW, NOW), NOW + 1, 60)

    with pytest.raises(ConditionFailed):
        change(table, earlier)

    assert table.shard(current.ref) == current
    assert not table.owns_batch("msgbatch_late")


def test_a_batch_belongs_to_one_shard(table: JobTable) -> None:
    running_job(table)
    first, second = (table.begin_submission(a_shard(number=number), NOW, 60) for number in range(2))
    recorded = table.record_batch(first, "msgbatch_1", NOW)

    assert table.owns_batch("msgbatch_1")
    assert table.shard(first.ref) == recorded
    with pytest.raises(ConditionFailed):
        table.record_batch(second, "msgbatch_1", NOW)


def test_candidates_and_what_is_refuted_are_forgotten_with_the_intent(table: JobTable) -> None:
    running_job(table)
    shard = table.begin_adoption(table.begin_submission(a_shard(), NOW, 60), ["msgbatch_1", "msgbatch_2"], NOW)
    shard = table.rule_out(shard, "msgbatch_1", NOW)
    assert (shard.status, shard.ruled_out) == (ShardStatus.ADOPTING, ("msgbatch_1",))

    shard = table.give_back(shard, NOW, NOW + 5)

    assert (shard.candidates, shard.ruled_out, shard.intent_at, shard.not_before) == ((), (), None, NOW + 5)


def test_the_last_shard_collected_leaves_none_open(table: JobTable) -> None:
    running_job(table)
    wave = a_shard(wave=1)
    for number, following in ((0, wave), (1, None)):
        shard = table.begin_submission(a_shard(number=number), NOW, 60)
        ended = table.end(table.record_batch(shard, f"msgbatch_{number}", NOW), NOW)
        job = table.collect(ended, Outcome(5, 1, 4), following, NOW)
        with pytest.raises(ConditionFailed):
            table.collect(ended, Outcome(5, 1, 4), following, NOW)
    assert job.open_shards == 1

    job = table.collect(wave, Outcome(4), None, NOW)

    assert job.open_shards == 0
    assert [item for item in table.open() if isinstance(item, Shard)] == []


class ActorsWithOldNews(RuleBasedStateMachine):
    """Functions that act on what they read some time ago, in any order: no shard is lost, and none has two batches."""

    def __init__(self) -> None:
        super().__init__()
        self._open = ExitStack()
        self.table = JobTable(self._open.enter_context(moto_table()))
        self.seen: list[Shard] = []
        self.recorded: dict[str, str] = {}
        self.now = NOW

    def teardown(self) -> None:
        try:
            self.check_that_open_shards_are_counted()
        finally:
            self._open.close()

    @initialize()
    def start(self) -> None:
        running_job(self.table)
        self.look()

    @rule()
    def look(self) -> None:
        self.seen += self.table.shards(JOB_ID)

    @rule(data=st.data(), action=st.sampled_from(["begin", "back", "adopt", "refute", "record", "end", "collect"]))
    def act(self, data: st.DataObject, action: str) -> None:
        shard = data.draw(st.sampled_from(self.seen[-12:]))
        self.now += 1
        before = self.table.shard(shard.ref)
        assert before is not None
        try:
            self._change(shard, action)
        except ConditionFailed:
            assert self.table.shard(shard.ref) == before
            return
        if action not in ("begin", "end", "collect"):
            assert before.intent_at == shard.intent_at

    def _change(self, shard: Shard, action: str) -> None:
        batch_id = f"msgbatch_{len(self.recorded)}"
        match action:
            case "begin":
                self.table.begin_submission(shard, self.now, 60)
            case "back":
                self.table.give_back(shard, self.now, self.now)
            case "adopt":
                self.table.begin_adoption(shard, [batch_id], self.now)
            case "refute":
                self.table.rule_out(shard, batch_id, self.now)
            case "record":
                self.table.record_batch(shard, batch_id, self.now)
                key = f"{shard.ref.shard}-{shard.ref.wave}"
                assert key not in self.recorded
                self.recorded[key] = batch_id
            case "end":
                self.table.end(shard, self.now)
            case _:
                following = a_shard(number=shard.ref.shard, wave=shard.ref.wave + 1) if shard.ref.wave < 2 else None
                self.table.collect(shard, Outcome(1), following, self.now)

    def check_that_open_shards_are_counted(self) -> None:
        job = self.table.job(JOB_ID)
        if job is None:
            return
        left = [shard for shard in self.table.shards(JOB_ID) if shard.status is not ShardStatus.COLLECTED]
        assert job.open_shards == len(left)
        assert [item for item in self.table.open() if isinstance(item, Shard)] == left


TestActorsWithOldNews = ActorsWithOldNews.TestCase
TestActorsWithOldNews.settings = settings(
    max_examples=8, stateful_step_count=20, suppress_health_check=list(HealthCheck)
)
