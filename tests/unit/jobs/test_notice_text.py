"""What people read of a job's end: what, how many, why, where, and what to do."""

from __future__ import annotations

from dataclasses import replace

import pytest

from sluice.jobs.model import Hold, Job, JobStatus, Tally, Upload
from sluice.jobs.notices.machine import Place
from sluice.jobs.notices.text import compose

PLACE = Place("outbox", "eu-west-1")


def ended(tally: Tally, key: str = "folder/orders.jsonl") -> Job:
    upload = Upload("inbox", key, "v1", "etag", 1000)
    clean = not (tally.rejected or tally.errored or tally.incomplete)
    status = JobStatus.FINISHED if clean else JobStatus.FINISHED_WITH_ERRORS
    return Job(upload, status, 1000.0, 1065.0, finished_at=1065.0, tally=tally)


def text_of(tally: Tally, key: str = "folder/orders.jsonl") -> str:
    job = ended(tally, key)
    return compose(job, f"job.{job.status}", PLACE, 1065.0).text


def test_a_mail_says_why_lines_were_rejected() -> None:
    reasons = {"params": 1, "not JSON": 3}
    text = text_of(Tally(10, 6, 0, 4, cost=2.0, waves=1, reasons=reasons, first_rejection="line 2: It is not JSON."))
    assert "Rejected    4 (3 not JSON, 1 params)" in text
    assert (
        "rejected.jsonl says for each its number, the reason and its text. The first is line 2: It is not JSON." in text
    )


def test_a_mail_has_a_line_of_each_different_reason() -> None:
    others = ("line 7: messages.0 has no content.", "line 9: There is no model 'x'.")
    tally = Tally(10, 6, 0, 4, waves=1, cost=1.0, first_rejection="line 2: It is not JSON.", other_rejections=others)
    text = text_of(tally)
    assert "The first is line 2: It is not JSON.\n  Line 7: messages.0 has no content.\n  Line 9: There is no" in text


def test_a_file_of_which_nothing_ran_is_not_said_to_have_finished() -> None:
    text = text_of(Tally(2, 0, 0, 2, reasons={"model": 2}, first_rejection="line 1: There is no model 'x'."))
    assert text.startswith("orders.jsonl has nothing in it that could be sent: all of its lines were rejected.")
    assert "Cost        nothing" in text


@pytest.mark.parametrize(
    ("cost", "says"),
    [
        (0.0, "Cost        not known: the price list does not have the model\n"),
        (0.0004, "Cost        less than $0.01 (an estimate"),
        (1234.5, "Cost        about $1,234.50 (an estimate"),
    ],
)
def test_the_cost_reads_as_an_estimate(cost: float, says: str) -> None:
    assert says in text_of(Tally(3, 3, 0, 0, cost=cost, waves=1))


@pytest.mark.parametrize("tables", [("results.csv",), ("results.xlsx", "results.csv"), ()])
def test_whoever_dropped_a_table_is_told_where_theirs_is(tables: tuple[str, ...]) -> None:
    job = ended(Tally(3, 3, 0, 0, waves=1, tables=tables), "a.csv")
    notice = compose(job, "job.finished", PLACE, 1065.0)
    uris = [f"s3://outbox/{job.job_id}/{name}" for name in tables]
    shown = [line for line in notice.text.splitlines() if line.startswith("Table ")]
    assert shown == [f"Table       {uri}" for uri in uris[:1]]
    files = notice.detail["files"]
    assert [files.get(name.partition(".")[2]) for name in tables] == uris


def test_the_message_for_machines_has_counts_reasons_and_files_apart() -> None:
    tally = Tally(9, 5, 3, 1, errors={"api_error": 3}, reasons={"not JSON": 1}, waves=2)
    job = ended(tally)
    detail = compose(job, "job.finished_with_errors", PLACE, 1065.0).detail
    assert (detail["succeeded"], detail["errored"], detail["rejected"]) == (5, 3, 1)
    assert (detail["errors"], detail["rejected_reasons"]) == ({"api_error": 3}, {"not JSON": 1})
    folder = f"s3://outbox/{job.job_id}"
    assert detail["files"] == {
        "results": f"{folder}/results.jsonl",
        "errors": f"{folder}/errors.jsonl",
        "rejected": f"{folder}/rejected.jsonl",
        "summary": f"{folder}/summary.json",
        "report": f"{folder}/report.html",
    }


def test_answers_that_are_not_whole_are_counted_by_kind_with_what_to_do() -> None:
    incomplete = {"max_tokens": 3, "refusal": 2, "pause_turn": 1, "schema_mismatch": 1}
    tally = Tally(10, 10, 0, 0, waves=1, cost=1.0, incomplete=incomplete, misfits={'it lacks "mood"': 1})
    job = ended(tally)
    notice = compose(job, f"job.{job.status}", PLACE, 1065.0)
    assert notice.subject.startswith(
        "Finished with errors: orders.jsonl - 3 of 10 lines answered, 3 cut off, 2 refused"
    )
    assert "every line was answered" not in notice.text
    assert "Answered    3 (30.0 %)" in notice.text
    assert "Not whole   7 (3 cut off by max_tokens, 2 refused by Claude, 1 left unfinished" in notice.text
    assert "- cut_off: Raise max_tokens, or set retry_max_tokens" in notice.text
    assert '  1 answer: it lacks "mood"' in notice.text
    assert notice.attributes["incomplete"] == "cut_off,refused,schema_mismatch,unfinished"
    assert notice.detail["incomplete"] == incomplete
    assert (notice.detail["answered"], notice.detail["succeeded"]) == (3, 10)


def test_each_different_sentence_of_the_api_is_told() -> None:
    said = {"invalid_request_error": {"top_k: Extra inputs.": 3, "messages: empty.": 1}}
    tally = Tally(9, 5, 4, 0, errors={"invalid_request_error": 4}, said=said, waves=1)
    notice = compose(ended(tally), "job.finished_with_errors", PLACE, 1065.0)
    assert (
        "  Claude says (3 requests): top_k: Extra inputs.\n  Claude says (1 request): messages: empty." in notice.text
    )
    assert notice.detail["error_messages"] == said


@pytest.mark.parametrize(
    ("name", "mail"),
    [
        ("orders.csv", "orders.csv"),
        ("Bestellungen für März.csv", "Bestellungen fur Marz.csv"),
        ("Müßiggang – Straße.csv", "Mussiggang - Strasse.csv"),
        ("отчёт-2026.csv", "...-2026.csv"),
        ("レビュー.csv", "job-{} (.csv file)"),
        ("评论", "job-{}"),
        ("ＡＢＣ１.jsonl", "ABC1.jsonl"),
    ],
)
def test_the_subject_of_a_mail_says_what_ascii_can_say_and_machines_get_the_name(name: str, mail: str) -> None:
    job = ended(Tally(3, 3, 0, 0, waves=1), f"folder/{name}")
    notice = compose(job, "job.finished", PLACE, 1065.0)
    expected = mail.format(job.job_id.rpartition("-")[2])
    assert notice.mail_subject == f"Finished: {expected} - 3 of 3 lines answered"
    assert notice.mail_subject.isascii()
    assert notice.subject == f"Finished: {name} - 3 of 3 lines answered"
    assert notice.text.startswith(f"{name} has finished")


def test_the_name_of_a_file_adds_no_line_to_a_mail() -> None:
    text = text_of(Tally(1, 1, 0, 0), "folder/a.txt\n\nTo release it open https://evil.example\u2028.jsonl")

    assert not any(line.startswith("To release it open") for line in text.splitlines())
    assert "a.txt\\u000a\\u000aTo release it open https://evil.example\\u2028.jsonl" in text


def test_links_are_those_of_the_console_of_the_partition() -> None:
    job = ended(Tally(3, 3, 0, 0, waves=1))
    text = compose(job, "job.finished", PLACE, 1065.0).text
    host = "https://eu-west-1.console.aws.amazon.com/s3"
    assert f"{host}/object/outbox?region=eu-west-1&prefix={job.job_id}/report.html\n" in text
    assert f"{host}/buckets/outbox?region=eu-west-1&prefix={job.job_id}/\n" in text
    china = compose(job, "job.finished", Place("outbox", "cn-north-1", "aws-cn"), 1065.0).text
    assert "https://cn-north-1.console.amazonaws.cn/s3/" in china
    assert "https:" not in compose(job, "job.finished", Place("outbox"), 1065.0).text


def test_how_to_cancel_is_said_where_a_job_can_be_cancelled() -> None:
    job = Job(Upload("inbox", "a.jsonl", "v1", "e", 9), JobStatus.HELD, 1.0, 2.0, hold=Hold("cost", "It is dear."))
    running = replace(job, status=JobStatus.RUNNING, hold=None)
    for each, event in ((job, "job.held"), (running, "job.late"), (running, "job.stuck")):
        text = compose(each, event, PLACE, 3.0).text
        assert f"aws s3api put-object --bucket inbox --key {job.job_id}.cancel" in text
        assert "{" not in text
    done = compose(ended(Tally(3, 3, 0, 0)), "job.finished", PLACE, 1065.0).text
    assert ".cancel" not in done


def test_whole_answers_have_no_attribute_to_filter_on() -> None:
    job = ended(Tally(3, 3, 0, 0, waves=1))
    notice = compose(job, "job.finished", PLACE, 1065.0)
    assert "incomplete" not in notice.attributes
    assert "Not whole" not in notice.text
