"""A batch that has ended is collected: healed, sent again, accounted for, once however often it is told."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import boto3
import pytest

from simulator.client import Break, Hide, Match, Refuse, Reply, Result
from sluice.aws.dynamodb import Update
from sluice.jobs.collect import collect, order
from sluice.jobs.control import cancel_job, release_job
from sluice.jobs.model import JobStatus, ShardStatus
from sluice.jobs.table_items import key_of
from tests.integration.jobs.outputs import ids, lines, requests, river, run, summary
from tests.integration.jobs.world import World

OVERLOADED = Result(outcome="errored", error_type="overloaded_error")
RESULTS = Match(operation="batches.results")
# Linux: a device that is always full (full(4)).
FULL = Path("/dev/full")


def drop(world: World, data: bytes, key: str = "rivers.jsonl") -> str:
    """Drop a file and bring it as far as a batch that runs."""
    upload = world.upload(key, data)
    world.deliver_all()
    return upload.job_id


def test_a_passing_error_heals_in_the_next_wave(world: World) -> None:
    world.simulator.fail(OVERLOADED, Match(prompt=river(4)), times=1)
    job_id = run(world, requests(8))

    assert ids(world, job_id, "results") == [f"r-{number}" for number in range(8)]
    assert [batch.count for batch in world.paid_batches()] == [8, 1]
    assert world.job(job_id).status is JobStatus.FINISHED


def test_a_wave_of_passing_errors_waits_and_one_of_expired_requests_does_not(world: World) -> None:
    world.simulator.fail(OVERLOADED, Match(prompt=river(1)), times=1)
    world.simulator.fail(Result(outcome="expired"), Match(prompt=river(0)), times=1)
    slow, quick = run(world, requests(2), "slow.jsonl"), run(world, requests(1), "quick.jsonl")

    assert [shard.transient_waves for shard in world.shards(slow)] == [0, 1]
    assert world.shards(slow)[1].not_before > 0
    assert world.shards(quick)[0].outcome
    assert [shard.not_before for shard in world.shards(quick)] == [0.0]


def test_what_never_heals_ends_with_its_last_error_after_the_last_wave(world: World) -> None:
    world.simulator.fail(OVERLOADED, Match(prompt=river(2)))
    job_id = run(world, requests(4))

    assert [batch.count for batch in world.paid_batches()] == [4, 1, 1, 1]
    (error,) = lines(world, job_id, "errors")
    assert error["custom_id"] == "r-2"
    assert error["result"]["error"]["error"]["type"] == "overloaded_error"
    assert ids(world, job_id, "results") == ["r-0", "r-1", "r-3"]


def test_every_request_of_a_batch_may_fail(world: World) -> None:
    world.simulator.fail(Result(outcome="errored", error_type="invalid_request_error"))
    job_id = run(world, requests(3))

    assert ids(world, job_id, "errors") == ["r-0", "r-1", "r-2"]
    assert world.read("Outbox", f"{job_id}/results.jsonl") == b""


def test_a_systemic_error_holds_the_job_until_it_is_released(world: World) -> None:
    rule = world.simulator.fail(Result(outcome="errored", error_type="billing_error"), Match(prompt=river(1)))
    job_id = drop(world, requests(3))
    world.clock.advance(120)
    world.poll()
    world.deliver_all()

    assert world.job(job_id).status is JobStatus.HELD
    assert len(world.paid_batches()) == 1
    assert [(notice["event"], notice["kind"]) for notice in world.notices] == [("incident.opened", "billing_error")]

    world.simulator.heal(rule)
    release_job(world.services(), job_id)
    world.run_until_idle()
    assert ids(world, job_id, "results") == ["r-0", "r-1", "r-2"]
    assert len(world.notices) == 2


def test_an_answer_that_max_tokens_cut_off_is_asked_for_again_where_the_settings_say_so(world: World) -> None:
    world.upload("long/sluice.yaml", b"retry_max_tokens: 400\n")
    world.simulator.answer(Reply(text="The Rhine."))
    world.simulator.fail(Result(outcome="max_tokens"), Match(prompt=river(1)), times=1)
    job_id = run(world, requests(3), "long/rivers.jsonl")

    reasons = [line["result"]["message"]["stop_reason"] for line in lines(world, job_id, "results")]
    assert ids(world, job_id, "results") == ["r-0", "r-1", "r-2"]
    assert reasons == ["end_turn"] * 3
    assert [batch.count for batch in world.paid_batches()] == [3, 1]


def test_a_cut_off_answer_stands_where_asking_again_fails(world: World) -> None:
    world.upload("long/sluice.yaml", b"retry_max_tokens: 400\n")
    world.simulator.answer(Reply(text="The Rhine."))
    world.simulator.fail(Result(outcome="max_tokens"), Match(prompt=river(1)), times=1)
    world.simulator.fail(Result(outcome="errored", error_type="invalid_request_error"), Match(prompt=river(1)))
    job_id = run(world, requests(3), "long/rivers.jsonl")

    assert ids(world, job_id, "results") == ["r-0", "r-1", "r-2"]
    assert lines(world, job_id, "results")[1]["result"]["message"]["stop_reason"] == "max_tokens"
    assert summary(world, job_id)["incomplete"] == {"max_tokens": 1}
    assert world.job(job_id).status is JobStatus.FINISHED_WITH_ERRORS


def test_a_cut_off_answer_is_not_asked_for_again_without_such_a_setting(world: World) -> None:
    world.simulator.fail(Result(outcome="max_tokens"), Match(prompt=river(1)))
    job_id = run(world, requests(3))

    assert len(world.paid_batches()) == 1
    assert ids(world, job_id, "results") == ["r-0", "r-1", "r-2"]
    assert world.job(job_id).status is JobStatus.FINISHED_WITH_ERRORS


def test_answers_that_are_none_are_counted_by_their_stop_reason(world: World) -> None:
    world.simulator.fail(Result(outcome="refusal"), Match(prompt=river(0)))
    world.simulator.answer(Reply(text="Let me look.", stop_reason="pause_turn"), Match(prompt=river(1)))
    world.simulator.answer(Reply(text="T", stop_reason="model_context_window_exceeded"), Match(prompt=river(2)))
    world.simulator.fail(Result(outcome="max_tokens"), Match(prompt=river(3)))
    job_id = run(world, requests(6))

    counts = {"refusal": 1, "pause_turn": 1, "model_context_window_exceeded": 1, "max_tokens": 1}
    told = summary(world, job_id)
    assert (told["incomplete"], told["answered"], told["totals"]["equation"]) == (counts, 2, "6 = 6 + 0 + 0")
    assert world.notices[-1]["incomplete"] == counts
    assert world.job(job_id).status is JobStatus.FINISHED_WITH_ERRORS


@pytest.mark.parametrize("how", ["reset", "close", "end", "bad_json", "cut_utf8"])
def test_results_that_break_off_are_read_again(world: World, how: Any) -> None:
    world.simulator.fail(Break(how=how, after_events=3), RESULTS, times=1)
    job_id = run(world, requests(8))

    assert ids(world, job_id, "results") == [f"r-{number}" for number in range(8)]
    assert len(world.paid_batches()) == 1
    assert not world.dead


def test_results_that_are_not_there_yet_are_waited_for(world: World) -> None:
    world.simulator.fail(Hide(seconds=100, since="ended"), RESULTS)
    job_id = run(world, requests(3))

    assert world.job(job_id).status is JobStatus.FINISHED
    assert len(world.simulator.requests("batches.results")) > 1


def test_requests_that_the_results_lack_for_long_are_sent_again(world: World) -> None:
    job_id = drop(world, requests(8))
    (batch,) = world.paid_batches()
    world.simulator.fail(Break(how="end", after_events=5), Match(path=f"/v1/messages/batches/{batch.id}/results"))
    world.run_until_idle()

    assert [batch.count for batch in world.paid_batches()] == [8, 3]
    assert ids(world, job_id, "results") == [f"r-{number}" for number in range(8)]


def test_results_that_are_refused_hold_the_job(world: World) -> None:
    rule = world.simulator.fail(Refuse(status=401), RESULTS)
    job_id = drop(world, requests(3))
    world.clock.advance(120)
    world.poll()
    world.deliver_all()
    assert world.job(job_id).status is JobStatus.HELD

    world.simulator.heal(rule)
    release_job(world.services(), job_id)
    world.run_until_idle()
    assert world.job(job_id).status is JobStatus.FINISHED


def test_results_that_name_a_strange_request_are_refused_loudly(world: World, caplog: pytest.LogCaptureFixture) -> None:
    mine, other = drop(world, requests(3), "mine.jsonl"), drop(world, requests(4), "other.jsonl")
    world.clock.advance(120)
    world.poll()
    (shard,) = world.shards(mine)
    stolen = world.shards(other)[0].batch_id
    world.dynamodb.update(Update(key_of(shard.ref), set={"batch_id": stolen}))
    for queue_message in list(world.queues.messages):
        world.deliver(queue_message)

    assert world.shards(mine)[0].status is ShardStatus.ENDED
    (failed,) = [vars(record) for record in caplog.records if record.levelname == "ERROR"]
    assert failed["error"] == "The results name a request that is not of this shard."
    assert (failed["job_id"], failed["shard"]) == (mine, 0)


@pytest.mark.skipif(not FULL.exists(), reason="there is no full disk on this system")
@pytest.mark.parametrize("files_of", [order, collect], ids=["results", "errors"])
def test_a_full_disk_says_what_to_do_and_loses_nothing(
    world: World, files_of: ModuleType, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    world.simulator.fail(Result(outcome="errored", error_type="invalid_request_error"), Match(prompt=river(1)))
    job_id = drop(world, requests(3))
    world.clock.advance(120)
    with monkeypatch.context() as patch:
        patch.setattr(files_of, "TemporaryFile", lambda **options: FULL.open("r+b", options.get("buffering", -1)))
        world.poll()
        for queue_message in list(world.queues.messages):
            world.deliver(queue_message)
    assert world.shards(job_id)[0].status is ShardStatus.ENDED
    (failed,) = [vars(record) for record in caplog.records if record.levelname == "ERROR"]
    assert "more ephemeral storage" in failed["error"]

    world.run_until_idle()
    assert (ids(world, job_id, "results"), ids(world, job_id, "errors")) == (["r-0", "r-2"], ["r-1"])
    assert len(world.paid_batches()) == 1


def test_a_cancelled_job_keeps_what_had_finished_and_names_the_rest(world: World) -> None:
    world.simulator.fail(Result(outcome="canceled"), Match(prompt=river(2)))
    job_id = drop(world, requests(4))
    cancel_job(world.services(), job_id)
    world.run_until_idle()

    assert world.job(job_id).status is JobStatus.CANCELLED
    assert "r-2" in ids(world, job_id, "errors")
    told = summary(world, job_id)
    assert told["succeeded"] + told["errored"] == 4
    assert [notice["event"] for notice in world.notices] == ["job.cancelled"]


def test_a_job_that_is_cancelled_before_it_was_sent_costs_nothing(world: World) -> None:
    upload = world.upload("rivers.jsonl", requests(3))
    world.deliver(world.due()[0])
    cancel_job(world.services(), upload.job_id)
    world.run_until_idle()

    assert not world.paid_batches()
    assert [line["result"] for line in lines(world, upload.job_id, "errors")] == [{"type": "canceled"}] * 3
    assert lines(world, upload.job_id, "errors")[0]["params"]["max_tokens"] == 250


def test_a_batch_that_is_refused_for_good_turns_its_requests_into_errors(world: World) -> None:
    refusal = Refuse(status=400, error_type="invalid_request_error", message="No such field.")
    world.simulator.fail(refusal, Match(operation="batches.create"), times=1)
    job_id = run(world, requests(3))

    errors = lines(world, job_id, "errors")
    assert [error["custom_id"] for error in errors] == ["r-0", "r-1", "r-2"]
    assert {error["result"]["error"]["error"]["message"] for error in errors} == {"No such field."}


def test_a_redelivered_message_collects_once_and_sends_on_again(world: World) -> None:
    world.simulator.fail(OVERLOADED, Match(prompt=river(1)), times=1)
    job_id = drop(world, requests(3))
    world.clock.advance(120)
    world.poll()
    (queue_message,) = world.queues.messages
    world.deliver(queue_message, keep=True)
    sent = [each for each in world.queues.messages if each is not queue_message]
    queue_message.due = 0.0
    world.deliver(queue_message)

    assert [each.queue for each in sent] == ["SubmitQueue"]
    assert [each.queue for each in world.queues.messages] == ["SubmitQueue", "SubmitQueue"]
    assert [shard.status for shard in world.shards(job_id)] == [ShardStatus.COLLECTED, ShardStatus.PLANNED]
    world.run_until_idle()
    assert len(world.paid_batches()) == 2


def test_a_message_for_a_shard_that_has_not_ended_is_dropped(world: World) -> None:
    job_id = drop(world, requests(3))
    world.send("CollectQueue", world.shards(job_id)[0].ref.message())
    world.send("CollectQueue", replace(world.shards(job_id)[0].ref, shard=9).message())
    world.deliver_all()

    assert world.shards(job_id)[0].status is ShardStatus.IN_PROGRESS


def test_requests_whose_file_was_deleted_still_end_somewhere(world: World) -> None:
    world.simulator.fail(OVERLOADED, Match(prompt=river(1)))
    job_id = drop(world, requests(3))
    job = world.job(job_id)
    upload = job.upload
    boto3.client("s3").delete_object(Bucket=upload.bucket, Key=upload.key, VersionId=upload.version or "null")
    world.run_until_idle()

    assert ids(world, job_id, "results") == ["r-0", "r-2"]
    assert lines(world, job_id, "errors")[0]["params"] is None
    assert summary(world, job_id)["totals"]["balanced"]
