"""The states of shards, against DynamoDB's own conditions."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule

from sluice.aws.dynamodb import Table, Update
from sluice.errors import ConditionFailed
from sluice.jobs.model import SHARD_TRANSITIONS, Outcome, Plan, Shard, ShardStatus
from sluice.jobs.shard_table import ShardTable
from sluice.jobs.table import JobTable
from sluice.jobs.table_items import key_of
from tests.unit.jobs.samples import NOW, a_shard, an_upload
from tests.world.aws import moto_table

JOB_ID = an_upload().job_id
REF = a_shard().ref


@pytest.fixture
def jobs(table: Table) -> JobTable:
    return JobTable(table)


@pytest.fixture
def shards(table: Table) -> ShardTable:
    return ShardTable(table)


def running_job(jobs: JobTable, shards: ShardTable) -> None:
    jobs.record_plan(jobs.claim(an_upload(), NOW), Plan("work/plan", 25, 20, 5, 2, 1.5), NOW)
    shards.create([a_shard(number=number) for number in range(2)])
    jobs.start(JOB_ID, 2, NOW + 1)


CALLS: dict[str, Callable[[ShardTable, Shard], object]] = {
    "begin_submission": lambda shards, shard: shards.begin_submission(shard, NOW, 60),
    "give_back": lambda shards, shard: shards.give_back(shard, NOW, NOW),
    "wake": lambda shards, shard: shards.wake(shard, NOW),
    "end_call": lambda shards, shard: shards.end_call(shard, NOW),
    "begin_adoption": lambda shards, shard: shards.begin_adoption(shard, ["msgbatch_1"], NOW),
    "rule_out": lambda shards, shard: shards.rule_out(shard, "msgbatch_1", NOW),
    "record_batch": lambda shards, shard: shards.record_batch(shard, f"msgbatch_{shard.status}", NOW),
    "end": lambda shards, shard: shards.end(shard, NOW),
    "collect": lambda shards, shard: shards.collect(shard, Outcome(1), None, NOW),
}


@pytest.mark.parametrize("name", SHARD_TRANSITIONS)
def test_a_transition_starts_from_the_states_of_its_data_and_no_other(
    table: Table, jobs: JobTable, shards: ShardTable, name: str
) -> None:
    running_job(jobs, shards)
    transition = SHARD_TRANSITIONS[name]
    for status in ShardStatus:
        table.update(Update(key_of(REF), set={"status": status}, remove=("intent_at",)))
        if status in transition.sources:
            CALLS[name](shards, found(shards))
            assert found(shards).status in (transition.targets or (status,))
        else:
            with pytest.raises(ConditionFailed):
                CALLS[name](shards, found(shards))
            assert found(shards).status is status


def found(shards: ShardTable) -> Shard:
    shard = shards.find(REF)
    assert shard is not None
    return shard


def test_shards_that_are_there_are_left_as_they_are(jobs: JobTable, shards: ShardTable) -> None:
    running_job(jobs, shards)
    shards.begin_submission(a_shard(), NOW, 60)

    shards.create([a_shard(), a_shard(number=1)])

    assert [shard.status for shard in shards.of_job(JOB_ID)] == [ShardStatus.SUBMITTING, ShardStatus.PLANNED]


def test_one_of_two_begins_a_submission(jobs: JobTable, shards: ShardTable) -> None:
    running_job(jobs, shards)
    shard = shards.begin_submission(a_shard(), NOW, 60)

    assert (shard.status, shard.intent_at, shard.lease_until) == (ShardStatus.SUBMITTING, NOW, NOW + 60)
    with pytest.raises(ConditionFailed):
        shards.begin_submission(a_shard(), NOW, 60)


LATE: list[Callable[[ShardTable, Shard], object]] = [
    lambda shards, shard: shards.give_back(shard, NOW, NOW),
    lambda shards, shard: shards.record_batch(shard, "msgbatch_late", NOW),
    lambda shards, shard: shards.end_call(shard, NOW),
    lambda shards, shard: shards.begin_adoption(shard, ["msgbatch_late"], NOW),
    lambda shards, shard: shards.rule_out(shard, "msgbatch_late", NOW),
]


@pytest.mark.parametrize("change", LATE)
def test_what_belongs_to_an_earlier_intent_changes_nothing(
    jobs: JobTable, shards: ShardTable, change: Callable[[ShardTable, Shard], object]
) -> None:
    running_job(jobs, shards)
    earlier = shards.begin_submission(a_shard(), NOW, 60)
    current = shards.begin_submission(shards.give_back(earlier, NOW, NOW), NOW + 1, 60)

    with pytest.raises(ConditionFailed):
        change(shards, earlier)

    assert shards.find(current.ref) == current
    assert not shards.owns_batch("msgbatch_late")


def test_a_batch_belongs_to_one_shard(jobs: JobTable, shards: ShardTable) -> None:
    running_job(jobs, shards)
    first, second = (shards.begin_submission(a_shard(number=number), NOW, 60) for number in range(2))
    recorded = shards.record_batch(first, "msgbatch_1", NOW)

    assert shards.owns_batch("msgbatch_1")
    assert shards.find(first.ref) == recorded
    with pytest.raises(ConditionFailed):
        shards.record_batch(second, "msgbatch_1", NOW)


def test_candidates_and_what_is_refuted_are_forgotten_with_the_intent(jobs: JobTable, shards: ShardTable) -> None:
    running_job(jobs, shards)
    shard = shards.begin_adoption(shards.begin_submission(a_shard(), NOW, 60), ["msgbatch_1", "msgbatch_2"], NOW)
    shard = shards.rule_out(shard, "msgbatch_1", NOW)
    assert (shard.status, shard.ruled_out) == (ShardStatus.ADOPTING, ("msgbatch_1",))

    shard = shards.give_back(shard, NOW, NOW + 5)

    assert (shard.candidates, shard.ruled_out, shard.intent_at, shard.not_before) == ((), (), None, NOW + 5)


def test_the_last_shard_collected_leaves_none_open(jobs: JobTable, shards: ShardTable) -> None:
    running_job(jobs, shards)
    wave = a_shard(wave=1)
    for number, following in ((0, wave), (1, None)):
        shard = shards.begin_submission(a_shard(number=number), NOW, 60)
        ended = shards.end(shards.record_batch(shard, f"msgbatch_{number}", NOW), NOW)
        job = shards.collect(ended, Outcome(5, 1, 4), following, NOW)
        with pytest.raises(ConditionFailed):
            shards.collect(ended, Outcome(5, 1, 4), following, NOW)
    assert job.open_shards == 1

    job = shards.collect(wave, Outcome(4), None, NOW)

    assert job.open_shards == 0
    assert [item for item in jobs.open() if isinstance(item, Shard)] == []


class ActorsWithOldNews(RuleBasedStateMachine):
    """Functions that act on what they read some time ago, in any order: no shard is lost, and none has two batches."""

    def __init__(self) -> None:
        super().__init__()
        self._open = ExitStack()
        table = self._open.enter_context(moto_table())
        self.jobs, self.shards = JobTable(table), ShardTable(table)
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
        running_job(self.jobs, self.shards)
        self.look()

    @rule()
    def look(self) -> None:
        self.seen += self.shards.of_job(JOB_ID)

    @rule(data=st.data(), action=st.sampled_from(["begin", "back", "adopt", "refute", "record", "end", "collect"]))
    def act(self, data: st.DataObject, action: str) -> None:
        shard = data.draw(st.sampled_from(self.seen[-12:]))
        self.now += 1
        before = self.shards.find(shard.ref)
        assert before is not None
        try:
            self._change(shard, action)
        except ConditionFailed:
            assert self.shards.find(shard.ref) == before
            return
        if action not in ("begin", "end", "collect"):
            assert before.intent_at == shard.intent_at

    def _change(self, shard: Shard, action: str) -> None:
        batch_id = f"msgbatch_{len(self.recorded)}"
        match action:
            case "begin":
                self.shards.begin_submission(shard, self.now, 60)
            case "back":
                self.shards.give_back(shard, self.now, self.now)
            case "adopt":
                self.shards.begin_adoption(shard, [batch_id], self.now)
            case "refute":
                self.shards.rule_out(shard, batch_id, self.now)
            case "record":
                self.shards.record_batch(shard, batch_id, self.now)
                key = f"{shard.ref.shard}-{shard.ref.wave}"
                assert key not in self.recorded
                self.recorded[key] = batch_id
            case "end":
                self.shards.end(shard, self.now)
            case _:
                following = a_shard(number=shard.ref.shard, wave=shard.ref.wave + 1) if shard.ref.wave < 2 else None
                self.shards.collect(shard, Outcome(1), following, self.now)

    def check_that_open_shards_are_counted(self) -> None:
        job = self.jobs.find(JOB_ID)
        if job is None:
            return
        left = [shard for shard in self.shards.of_job(JOB_ID) if shard.status is not ShardStatus.COLLECTED]
        assert job.open_shards == len(left)
        assert [item for item in self.jobs.open() if isinstance(item, Shard)] == left


TestActorsWithOldNews = ActorsWithOldNews.TestCase
TestActorsWithOldNews.settings = settings(
    max_examples=8, stateful_step_count=20, suppress_health_check=list(HealthCheck)
)
