"""Every message twice, late, and in any order, whatever becomes of a request: each line once, paid once, told once."""

from __future__ import annotations

import json
from collections import Counter
from contextlib import ExitStack

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule

from simulator.client import Match, Result, Simulator, running_simulator
from sluice.jobs.control import cancel_job
from sluice.jobs.model import JobStatus, ShardStatus
from tests.integration.jobs.job_maker import request_line
from tests.integration.jobs.world import World, new_world
from tests.world.queues import QueueMessage

FATES = {
    "answered": None,
    "overloaded": Result(error_type="overloaded_error"),
    "expired": Result(outcome="expired"),
    "invalid": Result(error_type="invalid_request_error"),
    "rejected": None,
}


class Deliveries(RuleBasedStateMachine):
    """Two files in the Inbox, and queues that keep no order and deliver what was delivered before."""

    simulator: Simulator

    def __init__(self) -> None:
        super().__init__()
        self._open = ExitStack()
        self.world: World = self._open.enter_context(new_world(self.simulator, MaxShardRequests="2", MaxBadShare="100"))
        self.files: dict[str, list[str]] = {}
        self.old_letters: list[QueueMessage] = []
        self.cancelled: set[str] = set()

    @initialize(
        files=st.lists(st.lists(st.sampled_from(sorted(FATES)), min_size=1, max_size=5), min_size=1, max_size=2)
    )
    def drop(self, files: list[list[str]]) -> None:
        for kind, result in FATES.items():
            if result:
                self.world.simulator.fail(
                    result, Match(prompt=f"This is {kind}."), times=None if kind == "invalid" else 1
                )
        for number, kinds in enumerate(files):
            lines = [
                b"not a request\n" if kind == "rejected" else request_line(f"r-{place}", f"This is {kind}.")
                for place, kind in enumerate(kinds)
            ]
            self.files[self.world.upload(f"{number}.jsonl", b"".join(lines)).job_id] = kinds

    @precondition(lambda self: self.world.due())
    @rule(data=st.data(), again=st.booleans())
    def deliver(self, data: st.DataObject, again: bool) -> None:
        due = self.world.due()
        queue_message = due[data.draw(st.integers(0, len(due) - 1))]
        self.old_letters.append(queue_message)
        self.world.deliver(queue_message, keep=again)

    @precondition(lambda self: self.old_letters)
    @rule(data=st.data())
    def deliver_an_old_one(self, data: st.DataObject) -> None:
        old = self.old_letters[data.draw(st.integers(0, len(self.old_letters) - 1))]
        self.world.queues.messages.append(copy := QueueMessage(old.queue, old.body, self.world.clock.now()))
        self.world.deliver(copy)

    @rule()
    def poll(self) -> None:
        self.world.poll()

    @rule(minutes=st.sampled_from([1, 20, 120]))
    def wait(self, minutes: int) -> None:
        self.world.clock.advance(minutes * 60)

    @precondition(lambda self: not self.cancelled)
    @rule()
    def cancel(self) -> None:
        job_id = next(iter(self.files), "")
        job = self.world.job_table.find(job_id)
        if job and not job.status.final:
            cancel_job(self.world.services("ServeApi"), job_id)
            self.cancelled.add(job_id)

    def teardown(self) -> None:
        try:
            self.world.run_until_idle()
            for job_id, kinds in self.files.items():
                self.check(job_id, kinds)
            assert self.world.dead == []
        finally:
            self._open.close()

    def check(self, job_id: str, kinds: list[str]) -> None:
        job, shards = self.world.job(job_id), self.world.shards(job_id)
        placed = {name: self.places(job_id, name) for name in ("results", "errors")}
        rejected = [number for number, kind in enumerate(kinds) if kind == "rejected"]
        everywhere = [*placed["results"], *placed["errors"]]
        if job.status is JobStatus.FAILED:
            assert rejected == list(range(len(kinds)))
            return
        assert sorted([*everywhere, *rejected]) == list(range(len(kinds)))
        assert placed["results"] == sorted(placed["results"])
        if job_id not in self.cancelled:
            assert [kinds[place] for place in placed["errors"]] == ["invalid"] * kinds.count("invalid")
        assert {shard.status for shard in shards} <= {ShardStatus.COLLECTED}
        nonces = {shard.nonce for shard in shards}
        paid = Counter(batch.first_custom_id for batch in self.world.paid_batches() if batch.first_custom_id in nonces)
        assert all(count == 1 for count in paid.values())
        assert job_id in self.cancelled or paid.keys() == nonces
        told = [notice["event"] for notice in self.world.notices if notice["job_id"] == job_id]
        assert [event for event in told if event not in ("job.stuck", "job.late")] == [f"job.{job.status}"]

    def places(self, job_id: str, name: str) -> list[int]:
        """The lines of the file that ended in an object, in its order; none where there is no such object."""
        keys = {each.key for each in self.world.services().s3.list(self.world.resources.ids["Outbox"], f"{job_id}/")}
        key = f"{job_id}/{name}.jsonl"
        data = self.world.read("Outbox", key) if key in keys else b""
        return [int(json.loads(line)["custom_id"].removeprefix("r-")) for line in data.splitlines()]


@pytest.mark.timeout(600)
def test_no_order_of_deliveries_loses_repeats_or_doubles_anything() -> None:
    with running_simulator() as simulator:
        Deliveries.simulator = simulator
        case = Deliveries.TestCase
        case.settings = settings(max_examples=12, stateful_step_count=15, suppress_health_check=list(HealthCheck))
        case("runTest").runTest()
