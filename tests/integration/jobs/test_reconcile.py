"""A submission whose outcome nobody knows: found again, or made again, and paid for once."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping

import httpx2
import pytest

from simulator.client import Break, Hide, Lose, Match, Refuse
from sluice.errors import AwsUnavailable
from sluice.jobs.model import JobStatus, ShardStatus
from tests.integration.jobs.job_maker import MODEL, make_job, refs, request_line
from tests.integration.jobs.world import World

CREATE, LIST = Match(operation="batches.create"), Match(operation="batches.list")


def lose_the_answer(world: World, *, batch_seconds: float = 7200, made: bool = True) -> str:
    """Submit a shard of two requests whose answer never comes, whether its batch was ``made`` or not."""
    world.simulator.set(batch_seconds=batch_seconds)
    fault = world.simulator.fail(Lose(how="reset") if made else Refuse(status=500), CREATE)
    job = make_job(world)
    world.send("SubmitQueue", refs(job, 1)[0].message())
    world.deliver_all()
    world.simulator.heal(fault)
    assert statuses(world, job.job_id) == [ShardStatus.SUBMITTING]
    return job.job_id


def statuses(world: World, job_id: str) -> list[ShardStatus]:
    return [shard.status for shard in world.shards(job_id)]


def batch_of(world: World, job_id: str) -> str | None:
    (shard,) = world.shards(job_id)
    return shard.batch_id


def make_foreign_batch(world: World, count: int = 2) -> str:
    """Let somebody else's program make a batch on the same account."""
    params = {"model": MODEL, "max_tokens": 10, "messages": [{"role": "user", "content": "Name a lake."}]}
    body = {"requests": [{"custom_id": f"lake-{number}", "params": params} for number in range(count)]}
    headers = {"x-api-key": "sk-ant-simulator", "anthropic-version": "2023-06-01"}
    url = f"{world.simulator.base_url}/v1/messages/batches"
    return str(httpx2.post(url, content=json.dumps(body), headers=headers).raise_for_status().json()["id"])


def look_again(world: World, seconds: float = 200) -> None:
    """Let time pass, and poll, and deliver what comes of it."""
    world.clock.advance(seconds)
    world.poll()
    world.deliver_all()


def test_a_batch_is_adopted_only_when_it_has_ended_and_shown_its_nonce(world: World) -> None:
    job_id = lose_the_answer(world)
    look_again(world)
    assert statuses(world, job_id) == [ShardStatus.ADOPTING]
    assert [shard.candidates for shard in world.shards(job_id)] == [(world.paid_batches()[0].id,)]

    look_again(world, 8000)
    world.run_until_idle()

    assert world.job(job_id).status is JobStatus.FINISHED
    assert len(world.paid_batches()) == 1


def test_what_was_never_made_is_made_then_and_once(world: World) -> None:
    job_id = lose_the_answer(world, made=False)
    assert world.paid_batches() == []

    look_again(world)

    assert batch_of(world, job_id) == world.paid_batches()[0].id
    assert len(world.paid_batches()) == 1


def test_an_error_of_the_server_leaves_the_outcome_open(world: World) -> None:
    world.simulator.set(batch_seconds=0)
    world.simulator.fail(Lose(how="status", status=500), CREATE, times=1)
    job = make_job(world)
    world.send("SubmitQueue", refs(job, 1)[0].message())
    world.run_until_idle()

    assert world.job(job.job_id).status is JobStatus.FINISHED
    assert len(world.paid_batches()) == 1


def test_nothing_is_sent_before_the_list_can_be_trusted(world: World) -> None:
    job_id = lose_the_answer(world, made=False)
    world.simulator.fail(Hide(seconds=60), LIST)

    world.clock.advance(100)
    world.poll()
    world.deliver_all()

    assert statuses(world, job_id) == [ShardStatus.SUBMITTING]
    assert len(world.simulator.requests("batches.create")) == 1


def test_a_batch_that_is_listed_late_is_found(world: World) -> None:
    job_id = lose_the_answer(world, batch_seconds=0)
    world.simulator.fail(Hide(seconds=110), LIST)

    world.run_until_idle()

    assert world.job(job_id).status is JobStatus.FINISHED
    assert len(world.paid_batches()) == 1


def test_other_peoples_batches_of_the_same_size_are_told_apart(world: World) -> None:
    job_id = lose_the_answer(world, batch_seconds=0)
    foreign = [make_foreign_batch(world) for _ in range(2)]

    look_again(world)

    assert batch_of(world, job_id) == world.paid_batches()[0].id
    assert batch_of(world, job_id) not in foreign


def test_other_peoples_batches_alone_are_no_reason_to_wait_for_ever(world: World) -> None:
    job_id = lose_the_answer(world, made=False)
    foreign = make_foreign_batch(world)
    make_foreign_batch(world, count=3)
    look_again(world)
    assert statuses(world, job_id) == [ShardStatus.ADOPTING]

    # Made after the list could be trusted, so it cannot be the shard's.
    make_foreign_batch(world)
    world.simulator.end_batch(foreign)
    look_again(world)

    assert statuses(world, job_id) == [ShardStatus.IN_PROGRESS]
    assert batch_of(world, job_id) == world.paid_batches()[-1].id


def test_batches_that_other_shards_own_are_left_out(world: World) -> None:
    job = make_job(world, (2, 2))
    world.simulator.set(batch_seconds=7200)
    world.simulator.fail(Lose(how="reset"), CREATE, times=1)
    for ref in refs(job, 2):
        world.send("SubmitQueue", ref.message())
    world.deliver_all()

    look_again(world)

    lost, owned = world.shards(job.job_id)
    assert lost.candidates == (world.paid_batches()[0].id,)
    assert owned.batch_id not in lost.candidates


@pytest.mark.parametrize("how", ["reset", "close", "end"])
def test_results_that_are_cut_refute_nothing(world: World, how: str) -> None:
    job_id = lose_the_answer(world, batch_seconds=0)
    cut = Break(how=how, after_bytes=10)  # type: ignore[arg-type]  # a parameter of the test
    fault = world.simulator.fail(cut, Match(operation="batches.results"))
    look_again(world)
    assert statuses(world, job_id) == [ShardStatus.ADOPTING]
    assert [shard.ruled_out for shard in world.shards(job_id)] == [()]

    world.simulator.heal(fault)
    look_again(world)

    assert batch_of(world, job_id) == world.paid_batches()[0].id


@pytest.mark.parametrize("operation", ["batches.retrieve", "batches.results"])
def test_a_batch_that_is_not_found_for_a_moment_is_waited_for(world: World, operation: str) -> None:
    job_id = lose_the_answer(world, batch_seconds=0)
    fault = world.simulator.fail(Refuse(status=404), Match(operation=operation))  # type: ignore[arg-type]  # as above
    look_again(world)
    assert statuses(world, job_id) == [ShardStatus.ADOPTING]

    world.simulator.heal(fault)
    look_again(world)

    assert batch_of(world, job_id) == world.paid_batches()[0].id


def test_a_candidate_that_its_owner_deleted_is_waited_for_no_longer(world: World) -> None:
    job_id = lose_the_answer(world, made=False)
    foreign = make_foreign_batch(world)
    look_again(world)
    world.simulator.end_batch(foreign)
    headers = {"x-api-key": "sk-ant-simulator", "anthropic-version": "2023-06-01"}
    httpx2.delete(f"{world.simulator.base_url}/v1/messages/batches/{foreign}", headers=headers).raise_for_status()

    look_again(world, 60)
    assert statuses(world, job_id) == [ShardStatus.ADOPTING]
    look_again(world, 4000)

    assert statuses(world, job_id) == [ShardStatus.IN_PROGRESS]


def test_two_that_reconcile_at_once_do_no_harm(world: World) -> None:
    """The second comes in between any two calls of the first."""
    job_id = lose_the_answer(world, batch_seconds=0)
    make_foreign_batch(world)
    world.clock.advance(200)
    event = {"Records": [record(world, job_id)]}
    beginning = len(world.calls.made)

    def reconcile_too() -> None:
        world.invoke("submit_shard", event)

    world.calls.interrupt = {beginning + number: reconcile_too for number in (3, 9, 14, 20)}
    world.invoke("submit_shard", event)

    assert batch_of(world, job_id) == world.paid_batches()[0].id
    assert len(world.paid_batches()) == 2


@pytest.mark.parametrize("number", range(2, 9))
def test_two_that_find_nothing_make_one_batch(world: World, number: int) -> None:
    job_id = lose_the_answer(world, made=False)
    world.clock.advance(200)
    event = {"Records": [record(world, job_id)]}
    world.calls.interrupt = {len(world.calls.made) + number: invoke_with(world, event)}

    world.invoke("submit_shard", event)

    assert [batch.id for batch in world.paid_batches()] == [batch_of(world, job_id)]


def invoke_with(world: World, event: Mapping[str, object]) -> Callable[[], None]:
    def invoke() -> None:
        world.invoke("submit_shard", event)

    return invoke


def record(world: World, job_id: str) -> dict[str, object]:
    (shard,) = world.shards(job_id)
    return {"messageId": "m", "body": json.dumps(shard.ref.message()), "eventSource": "aws:sqs", "attributes": {}}


def test_a_body_that_breaks_off_is_known_to_have_made_nothing(world: World) -> None:
    """What was not sent whole cannot have been carried out, so there is nothing to reconcile."""
    job = make_job(world)

    def break_off(*_: object) -> Iterator[bytes]:
        yield request_line("r-0")
        raise AwsUnavailable("S3 could not be read.")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("sluice.jobs.submit.submit.read_lines", break_off)
        world.send("SubmitQueue", refs(job, 1)[0].message())
        world.deliver_all()

    assert statuses(world, job.job_id) == [ShardStatus.PLANNED]
    world.run_until_idle()
    assert len(world.paid_batches()) == 1
