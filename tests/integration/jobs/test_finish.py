"""A whole job, from the upload to its outputs: the handlers, AWS in moto, Claude's simulator over HTTP."""

from __future__ import annotations

import json
from dataclasses import replace
from unittest.mock import patch

import boto3
import pytest

from simulator.client import Match, Reply, Result, Simulator
from sluice.errors import AwsUnavailable
from sluice.jobs.finish.totals import check_totals
from sluice.jobs.model import JobStatus
from tests.integration.jobs.job_maker import MODEL, make_job, request_line
from tests.integration.jobs.outputs import ids, lines, requests, river, run, summary, table
from tests.integration.jobs.world import World, new_world


def test_a_job_finishes_with_its_results_in_the_order_of_the_input(world: World) -> None:
    job_id = run(world, requests(40))

    assert ids(world, job_id, "results") == [f"r-{number}" for number in range(40)]
    assert world.read("Outbox", f"{job_id}/errors.jsonl") == b""
    assert world.read("Outbox", f"{job_id}/rejected.jsonl") == b""
    assert world.job(job_id).status is JobStatus.FINISHED
    assert summary(world, job_id)["totals"] == {"equation": "40 = 40 + 0 + 0", "balanced": True, "problems": []}


def test_shards_are_joined_in_the_order_of_the_input(one_simulator: Simulator) -> None:
    with new_world(one_simulator, MaxShardRequests="7") as world:
        world.simulator.fail(Result(outcome="errored", error_type="overloaded_error"), Match(prompt=river(9)), times=1)
        job_id = run(world, requests(20))

        assert ids(world, job_id, "results") == [f"r-{number}" for number in range(20)]
        assert [wave["batches"] for wave in summary(world, job_id)["waves"]] == [3, 1]


def test_every_line_is_accounted_for_once(world: World) -> None:
    world.simulator.fail(Result(outcome="errored", error_type="invalid_request_error"), Match(prompt=river(3)))
    world.simulator.fail(Result(outcome="expired"), Match(prompt=river(5)), times=1)
    data = requests(10) + b"this is no request\n"
    job_id = run(world, data)

    assert ids(world, job_id, "results") == [f"r-{number}" for number in range(10) if number != 3]
    assert ids(world, job_id, "errors") == ["r-3"]
    assert [line["line"] for line in lines(world, job_id, "rejected")] == [11]
    told = summary(world, job_id)
    assert told["totals"]["equation"] == "11 = 9 + 1 + 1"
    assert told["totals"]["balanced"]
    assert told["errors"] == {"invalid_request_error": 1}
    assert told["status"] == world.job(job_id).status == JobStatus.FINISHED_WITH_ERRORS


def test_the_summary_names_batches_tokens_costs_and_times(world: World) -> None:
    told = summary(world, run(world, requests(4)))

    assert told["batch_ids"] == [batch.id for batch in world.paid_batches()]
    assert told["tokens"]["input"] > 0
    assert told["tokens"] == {name: told["models"][MODEL][name] for name in told["tokens"]}
    assert told["estimated_cost_usd"] > 0
    assert told["prices_date"]
    assert set(told["times"]["step_seconds"]) == {"plan", "run", "finish"}
    assert told["files"]["results"].endswith("/results.jsonl")


def test_the_errors_of_a_job_can_be_dropped_as_they_are(world: World) -> None:
    rule = world.simulator.fail(
        Result(outcome="errored", error_type="invalid_request_error", message="No."), Match(prompt=river(2))
    )
    first = run(world, requests(4))
    (error,) = lines(world, first, "errors")
    assert error["params"]["messages"][0]["content"] == "Name river 2."
    assert error["result"]["error"]["error"] == {"type": "invalid_request_error", "message": "No."}

    world.simulator.heal(rule)
    again = run(world, world.read("Outbox", f"{first}/errors.jsonl"), "again/errors.jsonl")
    assert ids(world, again, "results") == ["r-2"]
    assert world.job(again).status is JobStatus.FINISHED


def test_a_redelivered_finish_changes_nothing(world: World) -> None:
    job_id = run(world, requests(3))
    before = world.read("Outbox", f"{job_id}/summary.json")
    world.send("FinishQueue", {"job_id": job_id})
    world.run_until_idle()

    assert world.read("Outbox", f"{job_id}/summary.json") == before
    assert len(world.notices) == 1


def test_a_message_for_an_unknown_or_unfinished_job_is_dropped(world: World) -> None:
    job = make_job(world)
    world.send("FinishQueue", {"job_id": job.job_id})
    world.send("FinishQueue", {"job_id": "nobody-000000000000"})
    world.deliver_all()

    assert not world.queues.messages
    assert world.job(job.job_id).status is JobStatus.RUNNING


def test_a_lost_part_is_not_passed_over(world: World) -> None:
    with patch("sluice.jobs.outbox.part_key", lambda ref, name: f"work/elsewhere/{ref.shard}.{name}"):
        upload = world.upload("rivers.jsonl", requests(2))
        with pytest.raises(AssertionError):
            world.run_until_idle(advances=12)

    assert world.job(upload.job_id).status is JobStatus.RUNNING


def test_counts_that_do_not_add_up_raise_an_alarm(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    upload = world.upload("rivers.jsonl", requests(3))
    with patch(
        "sluice.jobs.finish.finish.check_totals", lambda plan, shards: check_totals(replace(plan, lines=4), shards)
    ):
        world.run_until_idle()

    assert world.job(upload.job_id).status is JobStatus.FINISHED_WITH_ERRORS
    assert not summary(world, upload.job_id)["totals"]["balanced"]
    assert world.notices[0]["balanced"] is False
    metrics = [json.loads(line) for line in capsys.readouterr().out.splitlines() if "TotalsMismatch" in line]
    assert [metric["TotalsMismatch"] for metric in metrics] == [[1.0]]
    assert metrics[0]["_aws"]["CloudWatchMetrics"][0]["Namespace"] == "Sluice"


def test_counts_that_do_not_add_up_raise_an_alarm_although_no_notice_can_be_sent(
    world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    upload = world.upload("rivers.jsonl", requests(3))
    with (
        patch(
            "sluice.jobs.finish.finish.check_totals", lambda plan, shards: check_totals(replace(plan, lines=4), shards)
        ),
        patch("sluice.notify.channels.SnsChannel.send", side_effect=AwsUnavailable("SNS did not take a notice.")),
        pytest.raises(AssertionError),
    ):
        world.run_until_idle(advances=4)
    assert world.job(upload.job_id).status is JobStatus.FINISHED_WITH_ERRORS
    assert "TotalsMismatch" in capsys.readouterr().out
    world.run_until_idle()

    assert [notice["balanced"] for notice in world.notices] == [False]


SETTINGS = f"model: {MODEL}\nprompt: 'Translate {{text}} into English.'\n".encode()


def test_a_table_comes_back_with_its_own_columns_and_the_answers(world: World) -> None:
    world.upload("shop/sluice.yaml", SETTINGS)
    world.simulator.answer(Reply(text="good morning"), Match(prompt="Guten Morgen"))
    world.simulator.answer(Reply(text="=1+1"), Match(prompt="Formel"))
    world.simulator.fail(
        Result(outcome="errored", error_type="invalid_request_error", message="No."), Match(prompt="Nein")
    )
    data = '\ufefftext;note\r\nGuten Morgen;"a;b"\r\nNein;x\r\n   ;empty\r\nFormel;ü\r\n'.encode()
    job_id = run(world, data, "shop/words.csv")

    rows = table(world, job_id, ";")
    assert [row["text"] for row in rows] == ["Guten Morgen", "Nein", "   ", "Formel"]
    assert [row["note"] for row in rows] == ["a;b", "x", "empty", "ü"]
    assert [row["answer"] for row in rows][::3] == ["good morning", "'=1+1"]
    assert rows[1]["status"] == "errored"
    assert rows[1]["error"] == "invalid_request_error: No."
    assert int(rows[0]["output_tokens"]) > 0


def test_a_table_whose_file_was_deleted_meanwhile_finishes_without_its_csv_and_says_so(world: World) -> None:
    world.upload("shop/sluice.yaml", SETTINGS)
    upload = world.upload("shop/words.csv", b"text\neins\nzwei\n")
    world.deliver_all()
    boto3.client("s3").delete_object(Bucket=upload.bucket, Key=upload.key, VersionId=upload.version or "null")
    world.run_until_idle()

    told, says = summary(world, upload.job_id), "There is no results.csv"
    assert world.job(upload.job_id).status is JobStatus.FINISHED
    assert len(lines(world, upload.job_id, "results")) == 2
    assert told["notes"][0].startswith(says)
    assert "csv" not in told["files"]
    assert "csv" not in world.notices[0]["files"]
    assert says in world.notices[0]["text"]
    assert says in world.read("Outbox", f"{upload.job_id}/report.html").decode()


def test_each_property_of_a_schema_gets_a_column(world: World) -> None:
    schema = b"schema: {type: object, properties: {mood: {type: string}, status: {type: integer}}}\n"
    world.upload("shop/sluice.yaml", SETTINGS + schema)
    world.simulator.answer(Reply(text='{"mood": "glad", "status": 7}'), Match(prompt="eins"))
    world.simulator.answer(Reply(text="no JSON"), Match(prompt="zwei"))
    job_id = run(world, b"text\neins\nzwei\n", "shop/words.csv")

    one, two = table(world, job_id)
    assert (one["mood"], one["status"], one["status_2"]) == ("glad", "7", "succeeded")
    assert (two["mood"], two["status_2"]) == ("", "schema_mismatch")
    assert two["error"] == "The answer does not fit the schema: it is not JSON. It is in results.jsonl as it came."


def test_a_file_in_which_every_line_is_bad_is_not_run(world: World) -> None:
    upload = world.upload("bad.jsonl", b"nothing\nof use\n")
    world.deliver_all()

    assert world.job(upload.job_id).status in (JobStatus.FAILED, JobStatus.HELD)
    assert not world.paid_batches()


def test_rows_whose_answers_are_none_have_a_status_and_count_as_not_answered(world: World) -> None:
    schema = b"{type: object, properties: {mood: {type: string}}}"
    world.upload("moods/sluice.yaml", b'max_tokens: 600\nprompt: "Mood: {review}"\nschema: ' + schema)
    world.simulator.answer(Reply(words=5_000), Match(prompt="CUT"))
    world.simulator.answer(Reply(text="No.", stop_reason="refusal"), Match(prompt="REFUSE"))
    world.simulator.answer(Reply(text='{"other": 1}'), Match(prompt="MISFIT"))
    job_id = run(world, b"review\nquick CUT\nREFUSE\nMISFIT\nslow\n", "moods/reviews.csv")

    rows = table(world, job_id)
    assert [row["status"] for row in rows] == ["cut_off", "refused", "schema_mismatch", "succeeded"]
    assert "raise max_tokens (600) or set retry_max_tokens" in rows[0]["error"]
    assert 'it lacks "mood"' in rows[2]["error"]
    told = summary(world, job_id)
    assert told["incomplete"] == {"max_tokens": 1, "refusal": 1, "schema_mismatch": 1}
    assert told["misfits"] == {'it lacks "mood"': 1}
    assert (told["answered"], told["totals"]["balanced"]) == (1, True)
    assert world.job(job_id).status is JobStatus.FINISHED_WITH_ERRORS
    assert world.notices[-1]["misfits"] == {'it lacks "mood"': 1}


def test_each_different_error_is_told_once_in_the_words_of_the_api(world: World) -> None:
    for number, said in ((1, "One."), (2, "Two."), (3, "Two."), (4, "Four."), (5, "Five."), (6, "Six.")):
        world.simulator.fail(
            Result(outcome="errored", error_type="invalid_request_error", message=said), Match(prompt=river(number))
        )
    job_id = run(world, requests(8))

    sentences = {"Two.": 2, "One.": 1, "Four.": 1, "Five.": 1, "Six.": 1}
    assert summary(world, job_id)["error_messages"] == {"invalid_request_error": sentences}
    assert world.notices[-1]["error_messages"] == {"invalid_request_error": sentences}
    report = world.read("Outbox", f"{job_id}/report.html").decode()
    assert all(report.count(f"<td>{sentence}</td>") == 1 for sentence in sentences)


def test_each_different_reason_of_rejected_lines_is_told_with_a_line_of_it(world: World) -> None:
    good = requests(8)
    wrong = [
        b"this is no request\n",
        request_line("a").replace(b'"role": "user"', b'"role": "tool"'),
        request_line("b").replace(b'"role": "user"', b'"role": "tool"'),
        request_line("c").replace(b'"max_tokens"', b'"seed": 1, "max_tokens"'),
    ]
    job_id = run(world, b"".join([good, *wrong]))

    tally = world.job(job_id).tally
    assert tally is not None
    told = [tally.first_rejection, *tally.other_rejections]
    assert [each.partition(":")[0] for each in told] == ["line 9", "line 10", "line 12"]
    assert all(each[len("line 9") :] in world.notices[-1]["text"] for each in told)
    assert "none of Claude&#x27;s" in world.read("Outbox", f"{job_id}/report.html").decode()
