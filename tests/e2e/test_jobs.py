"""What people drop in the Inbox, and what becomes of it: tables, prompts, packed files; jobs that wait, end, repeat."""

from __future__ import annotations

import csv
import gzip
import io
import json

import pytest

from simulator.client import BatchTime, Match, Refuse, Reply, Result, Simulator

# The simulator sees another custom_id for the first request of a batch, so none that a fault matches stands first.
from tests.e2e.doors import Doors, jsonl, request_line, wait_until

pytestmark = pytest.mark.usefixtures("simulator")

REVIEWS = (
    "\ufeffOrder;Review;Stars\r\n"
    'A-1;"Great, would buy\r\nagain; really";5\r\n'
    "A-2;Arrived broken;1\r\n"
    "A-3;;3\r\n"
    "A-4;=1+1;4\r\n"
)
# The one empty review is within this share, and the prompt of its row is not empty.
REVIEW_SETTINGS = b"""
model: claude-haiku-5-5
max_tokens: 100
system: You sort reviews.
prompt: "Sort this review of {stars} stars: {Review}"
schema:
  type: object
  properties:
    mood: {type: string}
    score: {type: integer}
  required: [mood, score]
  additionalProperties: false
"""


def rows_of(text: bytes) -> list[list[str]]:
    return list(csv.reader(io.StringIO(text.decode("utf-8-sig"), newline=""), delimiter=";"))


def test_a_table_of_a_spreadsheet_comes_back_with_a_column_for_each_property(doors: Doors) -> None:
    doors.drop("reviews/sluice.yaml", REVIEW_SETTINGS)
    job_id = doors.drop("reviews/june/reviews.csv", REVIEWS.encode()).job_id
    notice = doors.end_of(job_id)
    assert notice.event == "job.finished", notice.text
    assert f"{job_id}/results.csv" in notice.text
    names, *rows = rows_of(doors.outbox(job_id, "results.csv"))
    assert names == ["Order", "Review", "Stars", "mood", "score", "status", "error", "input_tokens", "output_tokens"]
    assert [row[0] for row in rows] == ["A-1", "A-2", "A-3", "A-4"]
    assert rows[0][1] == "Great, would buy\r\nagain; really"
    assert {row[5] for row in rows} == {"succeeded"}
    assert all(row[3] and row[4].isdigit() and int(row[7]) and int(row[8]) for row in rows)


def test_a_text_file_is_a_prompt_a_line(doors: Doors) -> None:
    job_id = doors.drop("prompts.txt", "Why is the sky blue?\nWas ist größer?\n\nWho wrote this?\n".encode()).job_id
    notice = doors.end_of(job_id)
    assert notice.subject == "Finished with errors: prompts.txt - 3 of 4 lines answered, 1 rejected"
    answers = [each["result"]["message"]["content"][0]["text"] for each in doors.lines(job_id, "results.jsonl")]
    assert ["sky" in answers[0], "größer" in answers[1], "wrote" in answers[2]] == [True, True, True]
    [rejected] = doors.lines(job_id, "rejected.jsonl")
    assert (rejected["line"], rejected["reason"]) == (3, "The line is empty.")


def test_a_packed_file_with_an_awkward_name_and_lines_without_ids_runs(doors: Doors) -> None:
    lines = jsonl(request_line(None, "First?"), request_line("mine", "Second?"), request_line(None, "Third?"))
    job_id = doors.drop("größe + 100% & mehr/täglich?.jsonl.gz", gzip.compress(lines)).job_id
    notice = doors.end_of(job_id)
    assert notice.event == "job.finished", notice.text
    assert notice.body["key"] == "größe + 100% & mehr/täglich?.jsonl.gz"
    assert [each["custom_id"] for each in doors.lines(job_id, "results.jsonl")] == ["line-1", "mine", "line-3"]


@pytest.mark.parametrize("way", ["object", "api"])
def test_a_job_above_its_limit_is_held_until_a_person_releases_it(doors: Doors, simulator: Simulator, way: str) -> None:
    doors.drop(f"dear-{way}/sluice.yaml", b"limits: {max_cost: 0.00001}\n")
    before = len(simulator.batches())
    job_id = doors.drop(f"dear-{way}/many.jsonl", jsonl(*(request_line(f"n{n}") for n in range(20)))).job_id
    held = doors.hold_of(job_id)
    assert held.subject.startswith("Held: many.jsonl - it may cost more than the limit")
    assert f"aws s3api put-object --bucket {doors.stack.facts.inbox_bucket} --key {job_id}.release" in held.text
    assert doors.job(job_id)["hold"]["kind"] == "cost"
    assert len(simulator.batches()) == before
    if way == "object":
        doors.drop(f"{job_id}.release", b"")
    else:
        assert doors.api.post(f"/v1/jobs/{job_id}/release").status_code == 200
    assert doors.end_of(job_id).event == "job.finished"
    assert [each.event for each in doors.notices_of(job_id)] == ["job.held", "job.finished"]
    assert len(simulator.batches()) == before + 1


def test_a_release_of_what_is_not_held_is_refused(doors: Doors) -> None:
    job_id = doors.drop("plain.jsonl", jsonl(request_line("one"))).job_id
    doors.end_of(job_id)
    refused = doors.api.post(f"/v1/jobs/{job_id}/release")
    assert refused.status_code == 409
    assert refused.json()["error"]["message"] == f"Job {job_id} is not held: it is finished."
    unknown = doors.api.post("/v1/jobs/nothing-here/release")
    assert (unknown.status_code, unknown.json()["error"]["type"]) == (404, "not_found_error")


def test_a_cancelled_job_keeps_what_had_finished(doors: Doors, simulator: Simulator) -> None:
    simulator.fail(BatchTime(seconds=600), Match(operation="batches.create"), times=1)
    job_id = doors.drop("too-much.jsonl", jsonl(*(request_line(f"n{n}") for n in range(100)))).job_id
    shards = wait_until(lambda: doors.job(job_id).get("progress", {}).get("shards", {}).get("in_progress"), "a batch")
    assert shards == 1
    answer = doors.api.post(f"/v1/jobs/{job_id}/cancel")
    assert (answer.status_code, answer.json()["cancel_requested"]) == (202, True)
    notice, summary = doors.end_of(job_id), doors.summary(job_id)
    assert notice.event == "job.cancelled", notice.text
    assert notice.subject.startswith("Cancelled: too-much.jsonl - ")
    assert summary["totals"]["balanced"]
    assert summary["succeeded"] + summary["errored"] == 100
    assert summary["errors"] == {"canceled": summary["errored"]}
    assert len(doors.lines(job_id, "results.jsonl")) == summary["succeeded"]
    assert doors.api.post(f"/v1/jobs/{job_id}/cancel").status_code == 409


def test_a_refused_key_holds_all_jobs_with_one_notice_and_a_release_lets_them_finish(
    doors: Doors, simulator: Simulator
) -> None:
    refusal = Refuse(status=401, error_type="authentication_error", message="invalid x-api-key")
    simulator.fail(refusal, Match(operation="batches.create"))
    jobs = [doors.drop(f"held/{n}.jsonl", jsonl(request_line("one"))).job_id for n in range(3)]
    for job_id in jobs:
        assert doors.until_status(job_id, "held")["hold"]["kind"] == "incident:authentication_error"
    told = doors.notice(lambda each: each.body.get("kind") == "authentication_error", "the key")
    assert told.event == "incident.opened"
    assert told.subject == "Stopped: Claude refuses the API key (authentication_error)"
    assert "invalid x-api-key" in told.text
    assert "POST /v1/incidents/authentication_error/release" in told.text
    # Whichever of them have met it by the time that it is told.
    first = told.body["jobs"][0]
    assert {each["job_id"] for each in told.body["jobs"]} <= set(jobs)
    assert f"--key {first['job_id']}.release" in told.text
    simulator.heal()
    assert doors.api.post(f"/v1/jobs/{jobs[1]}/release").status_code == 200
    for job_id in jobs:
        assert doors.end_of(job_id).event == "job.finished"
    assert len([each for each in doors.notices if each.body.get("kind") == "authentication_error"]) == 1
    assert [each for each in doors.notices if each.event == "job.held" and each.body["job_id"] in jobs] == []


def test_a_refused_request_holds_the_job_and_is_sent_again_after_the_release(
    doors: Doors, simulator: Simulator
) -> None:
    simulator.fail(Result(error_type="billing_error", message="credit balance too low"), Match(custom_id="poor-.*"))
    lines = jsonl(*(request_line(f"{'poor' if n % 10 == 5 else 'rich'}-{n}") for n in range(50)))
    job_id = doors.drop("credit.jsonl", lines).job_id
    told = doors.notice(lambda each: each.body.get("kind") == "billing_error", "the credit")
    assert "credit balance too low" in told.text
    simulator.heal()
    doors.until_status(job_id, "held")
    assert doors.api.post(f"/v1/jobs/{job_id}/release").status_code == 200
    assert doors.end_of(job_id).event == "job.finished"
    assert [wave["requests"] for wave in doors.summary(job_id)["waves"]] == [50, 5]


def test_the_errors_of_a_job_can_be_dropped_again_as_they_are(doors: Doors, simulator: Simulator) -> None:
    simulator.fail(Result(error_type="invalid_request_error", message="no"), Match(custom_id="bad-.*"))
    lines = [request_line(f"{'bad' if n % 3 == 1 else 'good'}-{n}", f"What of item{n}?") for n in range(9)]
    job_id = doors.drop("orders.jsonl", jsonl(*lines)).job_id
    assert doors.end_of(job_id).body["errored"] == 3
    simulator.heal()
    again = doors.drop("orders-again.jsonl", doors.outbox(job_id, "errors.jsonl")).job_id
    assert doors.end_of(again).event == "job.finished"
    results = doors.lines(again, "results.jsonl")
    assert [each["custom_id"] for each in results] == ["bad-1", "bad-4", "bad-7"]
    assert "item4" in results[1]["result"]["message"]["content"][0]["text"]


def test_answers_that_were_cut_off_are_asked_for_again_where_the_folder_says_so(
    doors: Doors, simulator: Simulator
) -> None:
    simulator.fail(Result(outcome="max_tokens"), Match(custom_id="short"), times=1)
    simulator.answer(Reply(text="The whole of it."), Match(prompt="Tell all"))
    doors.drop("long/sluice.yaml", b"retry_max_tokens: 2000\n")
    lines = jsonl(request_line("other", "Tell all."), request_line("short", "Tell all."))
    job_id = doors.drop("long/stories.jsonl", lines).job_id
    assert doors.end_of(job_id).event == "job.finished"
    assert [wave["requests"] for wave in doors.summary(job_id)["waves"]] == [2, 1]
    results = doors.lines(job_id, "results.jsonl")
    assert [each["result"]["message"]["stop_reason"] for each in results] == ["end_turn", "end_turn"]


def test_the_event_bus_hears_of_a_job(doors: Doors) -> None:
    events, sqs = doors.stack.client("events"), doors.sqs
    url = sqs.create_queue(QueueName="heard-events")["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    events.put_rule(Name="heard", EventPattern=json.dumps({"source": ["sluice"]}))
    events.put_targets(Rule="heard", Targets=[{"Id": "queue", "Arn": arn}])
    job_id = doors.drop("told.jsonl", jsonl(request_line("one"))).job_id
    doors.end_of(job_id)

    def heard() -> list[str]:
        messages = sqs.receive_message(QueueUrl=url, WaitTimeSeconds=1, MaxNumberOfMessages=10).get("Messages", [])
        found = [json.loads(message["Body"]) for message in messages]
        return [each["detail-type"] for each in found if each["detail"]["job_id"] == job_id]

    assert wait_until(heard, "the event of the job") == ["Sluice Job Finished"]


def test_no_job_of_these_left_a_dead_letter(doors: Doors) -> None:
    assert doors.dead_letters() == {}
