"""A shard becomes one batch: the handler, the table in moto, Claude's simulator over HTTP."""

from __future__ import annotations

from local.simulator.client import Lose, Match, Refuse
from sluice.jobs.model import JobStatus, ShardStatus
from tests.integration.jobs.planting import plant_job, refs
from tests.integration.jobs.world import World

CREATE = Match(operation="batches.create")


def submit_all(world: World, count: int = 1, sizes: tuple[int, ...] = (2,)) -> str:
    """Plant a job and send a message for each of its shards, ``count`` times."""
    job = plant_job(world, sizes)
    for ref in refs(job, len(sizes)) * count:
        world.send("SubmitQueue", ref.message())
    world.deliver_all()
    return job.job_id


def statuses(world: World, job_id: str) -> list[ShardStatus]:
    return [shard.status for shard in world.shards(job_id)]


def test_a_shard_becomes_a_batch_of_its_requests_marked_with_its_nonce(world: World) -> None:
    job_id = submit_all(world, sizes=(3, 2))

    first, second = world.shards(job_id)
    made = world.paid_batches()
    assert [(batch.count, batch.first_custom_id) for batch in made] == [(3, first.nonce), (2, second.nonce)]
    assert [first.batch_id, second.batch_id] == [batch.id for batch in made]
    assert statuses(world, job_id) == [ShardStatus.IN_PROGRESS] * 2


def test_a_redelivered_message_is_submitted_once(world: World) -> None:
    submit_all(world, count=3)

    assert len(world.paid_batches()) == 1


def test_a_lost_answer_is_reconciled_and_its_batch_adopted(world: World) -> None:
    world.simulator.fail(Lose(how="reset"), CREATE, times=1)
    job_id = submit_all(world)
    assert statuses(world, job_id) == [ShardStatus.SUBMITTING]

    world.clock.leap(200)
    world.deliver_all()

    assert statuses(world, job_id) == [ShardStatus.IN_PROGRESS]
    assert [shard.batch_id for shard in world.shards(job_id)] == [batch.id for batch in world.paid_batches()]


def test_a_refusal_to_wait_puts_the_message_off_and_counts_for_nothing(world: World) -> None:
    world.simulator.fail(Refuse(status=429, headers={"retry-after": "40"}), CREATE, times=1)
    job_id = submit_all(world)

    (letter,) = world.letters
    assert statuses(world, job_id) == [ShardStatus.PLANNED]
    assert letter.count == 0
    assert 39 <= letter.due - world.clock.now() <= 51
    world.clock.leap(52)
    world.deliver_all()
    assert statuses(world, job_id) == [ShardStatus.IN_PROGRESS]


def test_a_bad_key_holds_the_job_and_tells_once(world: World) -> None:
    world.simulator.fail(Refuse(status=401), CREATE)
    job_id = submit_all(world, sizes=(1, 1))

    assert world.job(job_id).status is JobStatus.HELD
    assert [notice["event"] for notice in world.notices] == ["job.held"]
    assert statuses(world, job_id) == [ShardStatus.PLANNED] * 2
