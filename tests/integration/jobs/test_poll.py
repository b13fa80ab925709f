"""One look at all that is open: what it costs, and what it passes on."""

from __future__ import annotations

import json
from collections import Counter

from simulator.client import Hide, Match, Refuse
from sluice.jobs.control import cancel_job
from sluice.jobs.model import JobStatus, ShardRef, ShardStatus
from sluice.jobs.notices.announce import hold_for_incident
from sluice.jobs.progress import average_batch_seconds
from tests.integration.jobs.job_maker import make_job, refs, submit_job
from tests.integration.jobs.world import World

HOUR = 3600.0


def calls_of_poll(world: World) -> Counter[str]:
    before = len(world.calls.made)
    world.poll()
    return Counter(call.name for call in world.calls.made[before:])


def collected(world: World) -> list[ShardRef]:
    return [ShardRef.parse(json.loads(each.body)) for each in world.queues.messages if each.queue == "CollectQueue"]


def told(world: World) -> list[str]:
    return [notice["event"] for notice in world.notices]


def test_with_nothing_open_a_poll_is_two_queries(world: World) -> None:
    assert calls_of_poll(world) == {"dynamodb.Query": 2}


def test_running_batches_cost_one_call_of_the_list_for_all(world: World) -> None:
    submit_job(world, (1, 1, 1, 1))
    world.poll()

    assert calls_of_poll(world) == {"dynamodb.Query": 2, "dynamodb.GetItem": 1, "claude.GET /v1/messages/batches": 1}


def test_an_ended_batch_is_passed_on_once(world: World) -> None:
    job_id = submit_job(world, (1, 1))
    first, _ = world.shards(job_id)
    world.simulator.end_batch(first.batch_id or "")

    world.poll()
    world.poll()

    assert collected(world) == [first.ref]
    assert [shard.status for shard in world.shards(job_id)] == [ShardStatus.ENDED, ShardStatus.IN_PROGRESS]


def test_two_polls_at_once_pass_each_batch_on_once(world: World) -> None:
    job_id = submit_job(world, (1, 1, 1))
    world.poll()
    world.clock.advance(3 * HOUR)
    beginning = len(world.calls.made)

    def poll_too() -> None:
        world.calls.interrupt = {}
        world.poll()

    world.calls.interrupt = {beginning + 4: poll_too}
    world.poll()

    assert sorted(collected(world), key=lambda ref: ref.shard) == refs(world.job(job_id), 3)


def test_a_poll_that_is_killed_half_way_is_made_up_for(world: World) -> None:
    job_id = submit_job(world, (1, 1))
    world.clock.advance(3 * HOUR)
    ends = len(world.calls.made) + 5
    world.calls.crash((ends, False))

    assert world.poll() is None
    assert {shard.status for shard in world.shards(job_id)} == {ShardStatus.ENDED, ShardStatus.IN_PROGRESS}
    world.run_until_idle()

    assert world.job(job_id).status is JobStatus.FINISHED


def test_a_batch_that_is_not_listed_is_asked_for_by_itself(world: World) -> None:
    job_id = submit_job(world)
    world.simulator.fail(Hide(seconds=1e6), Match(operation="batches.list"))
    world.clock.advance(3 * HOUR)

    world.poll()

    assert collected(world) == refs(world.job(job_id), 1)


def test_a_batch_that_claude_does_not_know_for_long_is_told_of_once(world: World) -> None:
    submit_job(world)
    world.simulator.fail(Hide(seconds=1e6))
    world.poll()
    assert told(world) == []

    for _ in range(3):
        world.clock.advance(HOUR)
        world.poll()

    assert told(world) == ["job.stuck"]


def test_a_lost_message_is_sent_again_and_a_job_that_does_not_move_is_told_of(world: World) -> None:
    job = make_job(world)
    world.poll()
    assert world.queues.messages == []

    for number in range(3):
        world.clock.advance(HOUR * 2**number)
        world.poll()
        world.poll()

    assert [json.loads(each.body) for each in world.queues.messages] == [refs(job, 1)[0].message()] * 3
    assert told(world) == ["job.stuck"]


def test_a_message_of_a_job_that_moves_is_not_sent_again(world: World) -> None:
    job = make_job(world, (1, 1))
    world.clock.advance(HOUR)
    world.simulator.set(batch_seconds=7200)
    world.send("SubmitQueue", refs(job, 1)[0].message())
    world.deliver_all()

    world.poll()

    assert world.queues.messages == []


def test_a_received_job_whose_message_was_lost_is_planned(world: World) -> None:
    upload = world.upload("lost.jsonl", b"{}\n", notify=False)
    job = world.job_table.claim(upload, world.clock.now())
    world.clock.advance(HOUR)

    world.poll()

    (queue_message,) = world.queues.messages
    assert (queue_message.queue, json.loads(queue_message.body)) == (
        "PlanQueue",
        {"job_id": job.job_id, "checkpoint": None},
    )


def test_a_late_job_is_told_of_once(world: World) -> None:
    world.simulator.fail(Refuse(status=529), Match(operation="batches.list"))
    submit_job(world)

    for _ in range(4):
        world.clock.advance(9 * HOUR)
        world.poll()

    assert told(world) == ["job.late"]
    assert world.notices[0]["key"] == "rivers.jsonl"


def test_the_list_failing_in_passing_stops_nothing_else(world: World) -> None:
    submit_job(world)
    make_job(world, key="lakes.jsonl")
    world.simulator.fail(Refuse(status=529), Match(operation="batches.list"))
    world.clock.advance(3 * HOUR)

    report = world.poll()

    assert report is not None
    assert (report["failure"], report["resent"]) == ("overloaded_error", 1)


def test_a_key_refused_while_polling_holds_all_jobs_and_tells_once(world: World) -> None:
    jobs = [submit_job(world, key="rivers.jsonl"), submit_job(world, key="lakes.jsonl")]
    fault = world.simulator.fail(Refuse(status=401), Match(operation="batches.list"))

    world.poll()
    world.poll()

    assert [world.job(job_id).status for job_id in jobs] == [JobStatus.HELD] * 2
    assert told(world) == ["incident.opened"]
    world.simulator.heal(fault)
    world.clock.advance(3 * HOUR)
    world.poll()
    assert len(collected(world)) == 2


def test_a_key_refused_while_batches_are_cancelled_holds_all_jobs_and_is_reported(world: World) -> None:
    world.simulator.set(batch_seconds=7200)
    cancelled, other = submit_job(world, key="rivers.jsonl"), submit_job(world, key="lakes.jsonl")
    world.simulator.fail(Refuse(status=401), Match(operation="batches.cancel"))
    cancel_job(world.services("ServeApi"), cancelled)

    report = world.poll()

    assert report is not None
    assert (report["failure"], report["cancelled"]) == ("authentication_error", 0)
    assert world.job(other).status is JobStatus.HELD
    assert told(world) == ["incident.opened"]


def test_batches_of_a_held_job_are_followed_and_collected(world: World) -> None:
    job_id = submit_job(world)
    hold_for_incident(world.services(), world.job(job_id), "billing_error", "There is no credit left.", seen=0)
    world.clock.advance(3 * HOUR)

    world.poll()
    world.deliver_all()

    assert [shard.status for shard in world.shards(job_id)] == [ShardStatus.COLLECTED]
    assert world.job(job_id).status is JobStatus.HELD


def test_the_time_that_batches_take_is_learnt(world: World) -> None:
    submit_job(world)
    assert average_batch_seconds(world.dynamodb) is None
    world.clock.advance(3 * HOUR)

    world.poll()

    learnt = average_batch_seconds(world.dynamodb)
    assert learnt is not None
    assert 3 * HOUR <= learnt < 3 * HOUR + 60


def test_the_poller_tells_of_an_incident_that_a_door_has_opened_and_could_not_tell_of(world: World) -> None:
    world.services().incidents.open_incident("authentication_error", "invalid x-api-key", seen=0)
    world.poll()
    world.poll()

    assert [notice["event"] for notice in world.notices] == ["incident.opened"]
