"""A shard becomes one batch: the handler, the table in moto, Claude's simulator over HTTP."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import boto3
import pytest

from simulator.client import Lose, Match, Refuse, Simulator
from sluice.jobs.control import cancel_job
from sluice.jobs.model import JobStatus, ShardRef, ShardStatus
from tests.integration.jobs.job_maker import make_job, refs
from tests.integration.jobs.world import World, new_world

CREATE, CANCEL = Match(operation="batches.create"), Match(operation="batches.cancel")
EVENTS = Path(__file__).resolve().parents[3] / "events"


def submit_all(world: World, count: int = 1, sizes: Sequence[int] = (2,)) -> str:
    """Plant a job and send a message for each of its shards, ``count`` times."""
    job = make_job(world, sizes)
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


def test_two_messages_at_once_are_submitted_once(world: World) -> None:
    job = make_job(world)
    message = {"Records": [sample_record(job.job_id)]}

    def submit_too() -> None:
        world.invoke("submit_shard", message)

    for number in range(8):
        world.calls.interrupt[number] = submit_too
    world.invoke("submit_shard", message)

    assert len(world.paid_batches()) == 1


def sample_record(job_id: str) -> dict[str, object]:
    """A record of the sample event, for a job that is there."""
    event = json.loads((EVENTS / "submit_shard_planned.json").read_text())
    record: dict[str, object] = event["Records"][0]
    return {**record, "body": json.dumps({**json.loads(str(record["body"])), "job_id": job_id})}


@pytest.mark.parametrize("path", sorted(EVENTS.glob("submit_shard_*.json")), ids=lambda path: path.stem)
def test_a_message_of_a_job_that_is_gone_is_dropped(world: World, path: Path) -> None:
    assert world.invoke("submit_shard", json.loads(path.read_text())) == {"batchItemFailures": []}


def test_a_message_that_is_no_shard_is_left_to_the_dead_letter_queue(world: World) -> None:
    world.send("SubmitQueue", {"job_id": "rivers"})
    for _ in range(21):
        world.deliver(world.queues.messages[0])

    assert [queue_message.body for queue_message in world.dead] == ['{"job_id": "rivers"}']


def test_a_refusal_to_wait_puts_the_message_off_and_counts_for_nothing(world: World) -> None:
    world.simulator.fail(Refuse(status=429, headers={"retry-after": "40"}), CREATE, times=1)
    job_id = submit_all(world)

    (queue_message,) = world.queues.messages
    assert statuses(world, job_id) == [ShardStatus.PLANNED]
    assert queue_message.count == 0
    assert 39 <= queue_message.due - world.clock.now() <= 51
    world.clock.advance(52)
    world.deliver_all()
    assert statuses(world, job_id) == [ShardStatus.IN_PROGRESS]


def test_while_claudes_queue_is_full_one_shard_asks_and_the_others_wait(world: World) -> None:
    world.simulator.fail(Refuse(status=429, headers={"retry-after": "600"}), CREATE, times=1)
    job_id = submit_all(world, sizes=(1, 1, 1, 1))

    assert len(world.simulator.requests("batches.create")) == 1
    assert len(world.queues.messages) == 4
    world.run_until_idle()
    assert world.job(job_id).status is JobStatus.FINISHED


def test_a_wait_longer_than_a_message_can_be_delayed_is_kept(world: World) -> None:
    world.simulator.fail(Refuse(status=429, headers={"retry-after": "3600"}), CREATE, times=1)
    submit_all(world)

    sent = len(world.queues.sent)
    for _ in range(3):
        world.clock.advance(1000)
        world.deliver_all()
        world.poll()

    assert len(world.queues.sent) == sent
    assert len(world.simulator.requests("batches.create")) == 1
    world.run_until_idle()
    assert len(world.simulator.requests("batches.create")) == 2
    assert [each.queue for each in world.queues.sent[sent:]] == ["SubmitQueue", "CollectQueue", "FinishQueue"]
    assert world.dead == []


def test_a_job_that_is_cancelled_does_not_wait_for_what_claude_asked(world: World) -> None:
    world.simulator.fail(Refuse(status=429, headers={"retry-after": "3600"}), CREATE, times=1)
    job_id = submit_all(world)
    cancel_job(world.services("ServeApi"), job_id)
    world.deliver_all()
    world.poll()
    world.deliver_all()

    assert world.job(job_id).status is JobStatus.CANCELLED


def test_a_message_that_comes_far_too_early_is_not_the_only_one(world: World) -> None:
    world.simulator.fail(Refuse(status=429, headers={"retry-after": "3600"}), CREATE, times=1)
    job_id = submit_all(world)
    world.send("SubmitQueue", ShardRef(job_id, 0, 0).message())
    world.deliver_all()
    world.run_until_idle()

    assert len(world.simulator.requests("batches.create")) == 2
    assert world.job(job_id).status is JobStatus.FINISHED


def test_a_wait_of_years_is_not_believed(world: World) -> None:
    refusal = Refuse(status=429, headers={"retry-after": "100000000"})
    world.simulator.fail(refusal, CREATE, times=1)
    job_id = submit_all(world)

    for _ in range(6):
        world.clock.advance(900)
        world.poll()
        world.deliver_all()

    assert statuses(world, job_id) == [ShardStatus.COLLECTED]


def test_a_server_that_cannot_be_reached_is_tried_again_later(one_simulator: Simulator) -> None:
    with new_world(one_simulator, ClaudeBaseUrl="http://127.0.0.1:9") as world:
        job_id = submit_all(world)

        assert statuses(world, job_id) == [ShardStatus.PLANNED]
        assert [queue_message.count for queue_message in world.queues.messages] == [0]


def test_a_bad_key_holds_the_job_and_tells_once(world: World) -> None:
    world.simulator.fail(Refuse(status=401), CREATE)
    job_id = submit_all(world, sizes=(1, 1))

    assert world.job(job_id).status is JobStatus.HELD
    assert [notice["event"] for notice in world.notices] == ["incident.opened"]
    assert statuses(world, job_id) == [ShardStatus.PLANNED] * 2


def test_a_spend_limit_holds_the_job_although_it_comes_as_a_429(world: World) -> None:
    details = {"error_code": "enforced_spend_limit_reached"}
    world.simulator.fail(Refuse(status=429, details=details, headers={"retry-after": "10"}), CREATE)
    job_id = submit_all(world)

    assert world.job(job_id).status is JobStatus.HELD
    assert world.queues.messages == []


def test_a_batch_that_claude_refuses_for_good_becomes_errors(world: World) -> None:
    world.simulator.fail(Refuse(status=400, message="requests: that cannot be"), CREATE)
    job_id = submit_all(world, sizes=(2,))
    world.run_until_idle()

    assert world.job(job_id).status is JobStatus.FINISHED_WITH_ERRORS
    errors = [json.loads(line) for line in world.read("Outbox", f"{job_id}/errors.jsonl").splitlines()]
    assert [line["custom_id"] for line in errors] == ["r-0", "r-1"]
    assert errors[0]["result"]["error"]["error"]["type"] == "invalid_request_error"
    assert world.paid_batches() == []


def test_a_file_that_was_deleted_before_it_was_sent_becomes_errors(world: World) -> None:
    job = make_job(world)
    upload = job.upload
    boto3.client("s3").delete_object(Bucket=upload.bucket, Key=upload.key, VersionId=upload.version or "null")
    world.send("SubmitQueue", refs(job, 1)[0].message())
    world.run_until_idle()

    assert world.job(job.job_id).status is JobStatus.FINISHED_WITH_ERRORS
    assert world.paid_batches() == []


def submit_too_late(world: World) -> str:
    """Let a lease run out, the shard be given back and submitted by somebody else, and only then the call come
    through."""
    world.simulator.set(batch_seconds=7200)
    job = make_job(world)
    message = {"Records": [sample_record(job.job_id)]}

    def overtake() -> None:
        world.clock.advance(1000)
        world.invoke("submit_shard", message)

    before_the_call = 7
    world.calls.interrupt[before_the_call] = overtake
    world.invoke("submit_shard", message)

    assert world.calls.made[before_the_call].name == "claude.POST /v1/messages/batches"
    return job.job_id


def test_a_submitter_that_comes_too_late_ends_the_batch_that_it_made(world: World) -> None:
    job_id = submit_too_late(world)

    first, second = world.paid_batches()
    assert [shard.batch_id for shard in world.shards(job_id)] == [first.id]
    assert second.cancel_initiated_at is not None


@pytest.mark.parametrize("status", [529, 404, 401])
def test_a_batch_that_nobody_owns_is_cancelled_later_where_that_failed(world: World, status: int) -> None:
    world.simulator.fail(Refuse(status=status), CANCEL, times=2)
    job_id = submit_too_late(world)
    assert world.paid_batches()[1].cancel_initiated_at is None

    for _ in range(2):
        world.clock.advance(60)
        world.deliver_all()

    assert world.paid_batches()[1].cancel_initiated_at is not None
    assert world.paid_batches()[0].cancel_initiated_at is None
    assert world.queues.messages == []
    assert world.job(job_id).status is JobStatus.RUNNING


def test_a_batch_that_nobody_owns_and_that_cannot_be_cancelled_is_given_up_in_sight(world: World) -> None:
    world.simulator.fail(Refuse(status=529), CANCEL)
    submit_too_late(world)

    for _ in range(40):
        world.clock.advance(7200)
        world.deliver_all()

    assert len(world.dead) == 1


def test_a_lost_answer_is_reconciled_and_its_batch_adopted(world: World) -> None:
    world.simulator.fail(Lose(how="reset"), CREATE, times=1)
    job_id = submit_all(world)
    assert statuses(world, job_id) == [ShardStatus.SUBMITTING]

    world.clock.advance(200)
    world.deliver_all()

    assert statuses(world, job_id) == [ShardStatus.IN_PROGRESS]
    assert [shard.batch_id for shard in world.shards(job_id)] == [batch.id for batch in world.paid_batches()]
