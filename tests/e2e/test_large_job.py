"""Thousands of requests in several shards, while Claude, S3 and the network fail in every way they have."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

import pytest

from simulator.client import Break, Hide, Lose, Match, Refuse, Simulator
from sluice.jobs.model import Upload
from tests.e2e import large_file
from tests.e2e.doors import Doors, Notice
from tests.e2e.large_file import Request, ResultKind

SHARDS = 4
# MaxWaves of the stack: what fails each time is sent so often.
WAVES = 3


@dataclass(frozen=True)
class Finished:
    """The job at its end; ``batches`` are the ids of all that Claude was made to run."""

    doors: Doors
    requests: list[Request]
    job_id: str
    notice: Notice
    summary: dict[str, Any]
    batches: list[str]


def notify_twice_more(doors: Doors, upload: Upload) -> None:
    """Send S3's notification of an upload again, twice in one message (S3: Event message structure)."""
    thing = {"key": upload.key, "size": upload.size, "eTag": upload.etag, "versionId": upload.version}
    record = {"eventName": "ObjectCreated:Put", "s3": {"bucket": {"name": upload.bucket}, "object": thing}}
    queue = doors.stack.deployment.outputs["PlanQueueUrl"]
    doors.sqs.send_message(QueueUrl=queue, MessageBody=json.dumps({"Records": [record, record]}))


def script_calls(simulator: Simulator) -> None:
    """Have the calls fail that make, list and read batches, each kind once."""
    making, reading = Match(operation="batches.create"), Match(operation="batches.results")
    simulator.fail(Lose(how="reset"), making, times=1)
    simulator.fail(Refuse(status=429, headers={"retry-after": "1"}), making, skip=2, times=1)
    simulator.fail(Hide(seconds=1), Match(operation="batches.list"))
    simulator.fail(Hide(seconds=1, since="ended"), reading, times=1)
    simulator.fail(Break(how="close", after_events=600), reading, skip=2, times=1)


@pytest.fixture(scope="module")
def finished(doors: Doors) -> Finished:
    simulator, requests = doors.simulator, large_file.requests()
    large_file.script_fates(simulator)
    script_calls(simulator)
    before = {batch.id for batch in simulator.batches()}
    upload = doors.drop("big/every failure.jsonl", large_file.file_of(requests))
    notify_twice_more(doors, upload)
    notice = doors.end_of(upload.job_id, seconds=110)
    batches = [batch.id for batch in simulator.batches() if batch.id not in before]
    acted = {state.id: state.acted for state in simulator.faults()}
    assert 0 not in acted.values(), acted
    simulator.heal()
    return Finished(doors, requests, upload.job_id, notice, doors.summary(upload.job_id), batches)


@pytest.mark.timeout(180)
def test_the_books_of_a_large_job_balance(finished: Finished) -> None:
    succeeded = sum(request.kind.succeeds for request in finished.requests)
    errored, rejected = len(finished.requests) - succeeded, len(large_file.BAD_LINES)
    summary = finished.summary
    assert summary["status"] == "finished_with_errors"
    assert (summary["succeeded"], summary["errored"], summary["rejected"]) == (succeeded, errored, rejected)
    assert summary["lines"] == succeeded + errored + rejected
    assert summary["totals"] == {
        "equation": f"{summary['lines']} = {succeeded} + {errored} + {rejected}",
        "balanced": True,
        "problems": [],
    }
    assert summary["errors"] == {"invalid_request_error": errored // 2, "api_error": errored // 2}


def test_each_shard_is_paid_for_once_a_wave_though_an_answer_was_lost(finished: Finished) -> None:
    assert len(finished.batches) == SHARDS * WAVES
    assert sorted(finished.summary["batch_ids"]) == sorted(finished.batches)
    assert [wave["batches"] for wave in finished.summary["waves"]] == [SHARDS] * WAVES


def test_what_failed_in_passing_is_sent_again_alone(finished: Finished) -> None:
    hundreds = large_file.REQUESTS // 100
    # Overloaded, expired (two), slowed and hopeless ones; then the slowed and hopeless ones again.
    sent = [large_file.REQUESTS, hundreds * 5, hundreds * 2]
    assert [wave["requests"] for wave in finished.summary["waves"]] == sent


def test_the_results_are_those_of_the_requests_in_the_order_of_the_input(finished: Finished) -> None:
    results = finished.doors.lines(finished.job_id, "results.jsonl")
    answered = [request for request in finished.requests if request.kind.succeeds]
    assert [each["custom_id"] for each in results] == [request.custom_id for request in answered]
    for request, each in zip(answered, results, strict=True):
        assert f"item{request.number:05d}" in each["result"]["message"]["content"][0]["text"]


def test_the_errors_are_requests_with_their_last_error_in_the_order_of_the_input(finished: Finished) -> None:
    errors = finished.doors.lines(finished.job_id, "errors.jsonl")
    failed = [request for request in finished.requests if not request.kind.succeeds]
    assert [each["custom_id"] for each in errors] == [request.custom_id for request in failed]
    for request, each in zip(failed, errors, strict=True):
        assert each["params"] == json.loads(request.line)["params"]
        kind = "invalid_request_error" if request.kind is ResultKind.REFUSED else "api_error"
        assert each["result"]["error"]["error"]["type"] == kind


def test_each_bad_line_is_rejected_with_its_number_its_text_and_a_reason(finished: Finished) -> None:
    rejected = finished.doors.lines(finished.job_id, "rejected.jsonl")
    assert [each["line"] for each in rejected] == large_file.bad_line_numbers()
    for (text, reason), each in zip(large_file.BAD_LINES, rejected, strict=True):
        assert reason in each["reason"]
        assert each["text"][:18] == text.decode(errors="replace")[:18]


def test_the_notice_is_one_and_says_what_how_many_where_and_what_to_do(finished: Finished) -> None:
    [notice] = finished.doors.notices_of(finished.job_id)
    assert notice.event == "job.finished_with_errors"
    assert notice.attributes["folder"] == "big"
    assert notice.subject.startswith("Finished with errors: every failure.jsonl - 5,292 of 5,417 lines answered")
    for part in (
        "Answered    5,292 (97.7 %)",
        "Errors      108 (54 api_error, 54 invalid_request_error)",
        "Rejected    17",
        f"s3://{finished.doors.stack.facts.outbox_bucket}/{finished.job_id}/results.jsonl",
        "errors.jsonl holds the requests themselves",
        finished.job_id,
        "big/every failure.jsonl",
        "in 3 waves",
        "Cost        about $",
    ):
        assert part in notice.text
    assert notice.body["succeeded"] == 5_292
    assert notice.body["key"] == "big/every failure.jsonl"


def test_the_report_is_there_and_needs_nothing_but_itself(finished: Finished) -> None:
    report = finished.doors.outbox(finished.job_id, "report.html").decode()
    assert "every failure.jsonl" in report
    assert "prompt is too long" in report
    for loading in ("<script src", '<link rel="stylesheet"', '<img src="http'):
        assert loading not in report


def test_nothing_ends_in_a_dead_letter_queue(finished: Finished) -> None:
    assert finished.doors.dead_letters() == {}
