"""The page and the summary of a job: whole, safe, and true to the books."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from html.parser import HTMLParser

import pytest

from sluice.jobs.collect.decide import Example
from sluice.jobs.collect.usage import LengthHistograms
from sluice.jobs.collect.write import WaveStats
from sluice.jobs.finish.report import write_report
from sluice.jobs.finish.summary import JobSummary, add_up, write_summary
from sluice.jobs.finish.totals import Totals, WaveTotals
from sluice.jobs.model import JobStatus, Tally, Tokens
from sluice.jobs.outbox import Manifest
from tests.unit.jobs.samples import NOW, a_job

VOID = {"meta", "link", "br", "line", "rect"}


class Page(HTMLParser):
    """Checks that tags match, and gathers the text."""

    def __init__(self, page: bytes) -> None:
        super().__init__()
        self.open: list[str] = []
        self.text = ""
        self.references: list[str] = []
        self.feed(page.decode())

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.references += [value or "" for name, value in attrs if name in ("src", "href", "action")]
        if tag != "meta":
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        pass

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open[-1:] != ["style"]:
            self.text += data


def account(**changes: object) -> JobSummary:
    tally = Tally(20, 15, 3, 2, cost=1.5, waves=2, errors={"api_error": 1, "invalid_request_error": 2})
    waves = {0: WaveTotals(1, 18, 14, 2, 2), 1: WaveTotals(1, 2, 1, 1, 0)}
    whole = JobSummary(
        job=a_job(started_at=NOW + 10),
        status=JobStatus.FINISHED_WITH_ERRORS,
        finished_at=NOW + 100,
        totals=Totals(tally, {"claude-haiku-5-5": Tokens(1000, 500, 20, 30, 1.5)}, waves, ()),
        manifest=Manifest((), {"not JSON": 2}, ("The file is not UTF-8.",)),
        prices_date="2026-11-20",
        batch_ids=("batch-1", "batch-2"),
        collected_at=NOW + 90,
        lengths=LengthHistograms({4: 10}, {5: 15}),
        examples={"api_error": [Example("row-1", "It <script>alert(1)</script> failed & fell")]},
        files={"results": "s3://outbox/job/results.jsonl"},
    )
    return replace(whole, **changes)  # type: ignore[arg-type]  # fields by name


def test_the_page_is_well_formed_and_needs_nothing_from_outside() -> None:
    page = Page(write_report(account()))
    assert page.open == []
    assert page.references == []
    assert b"http" not in re.sub(rb'http-equiv="[^"]*"', b"", write_report(account()))


def test_the_page_tells_what_became_of_the_job() -> None:
    text = Page(write_report(account())).text
    for expected in (
        "My Prompts.v2.jsonl",
        "Finished with errors",
        "15 answered",
        "3 errors",
        "2 rejected",
        "$1.50",
        "1 min 40 s",
        "invalid_request_error",
        "The API refuses these as they stand.",
        "not JSON",
        "Wave 2",
        "The file is not UTF-8.",
        "s3://outbox/job/results.jsonl",
    ):
        assert expected in text


def test_what_others_wrote_is_escaped() -> None:
    page = write_report(account())
    assert b"<script" not in page
    assert "It <script>alert(1)</script> failed & fell" in Page(page).text


def test_a_clean_job_has_a_page_without_what_went_wrong() -> None:
    tally = Tally(3, 3, 0, 0, cost=0.1, waves=1)
    totals = Totals(tally, {"m": Tokens(3, 3, cost=0.1)}, {0: WaveTotals(1, 3, 3, 0, 0)}, ())
    text = Page(write_report(account(status=JobStatus.FINISHED, totals=totals, manifest=Manifest(), examples={}))).text
    assert "What to do next" not in text
    assert "Waves" not in text


def test_answers_that_are_not_whole_are_shown_by_kind_with_what_to_do() -> None:
    tally = Tally(9, 9, 0, 0, incomplete={"refusal": 2, "schema_mismatch": 1}, misfits={"it is not JSON": 1})
    page = write_report(account(totals=Totals(tally, {}, {}, ())))
    text = Page(page).text
    for expected in ("6 answered", "2 refused", "2 answers refused by Claude", "1 answer: it is not JSON"):
        assert expected in text
    assert b'class="incomplete"' in page
    summary = json.loads(write_summary(account(totals=Totals(tally, {}, {}, ()))))
    assert (summary["answered"], summary["succeeded"]) == (6, 9)
    assert summary["incomplete"] == {"refusal": 2, "schema_mismatch": 1}
    assert summary["misfits"] == {"it is not JSON": 1}


def test_counts_that_do_not_add_up_are_shown() -> None:
    totals = replace(account().totals, problems=("The file has 21 lines.",))
    assert "The file has 21 lines." in Page(write_report(account(totals=totals))).text


NEVER_RAN = (JobStatus.FAILED, JobStatus.EXPIRED, JobStatus.DELETED)


@pytest.mark.parametrize("status", [status for status in JobStatus if status.final and status not in NEVER_RAN])
def test_a_job_of_which_nothing_ran_has_a_page(status: JobStatus) -> None:
    totals = Totals(Tally(2, 0, 0, 2), {}, {}, ())
    empty = account(status=status, totals=totals, batch_ids=(), lengths=LengthHistograms(), collected_at=None)
    assert Page(write_report(empty)).open == []


def test_the_summary_has_the_totals_and_the_times() -> None:
    told = json.loads(write_summary(account()))
    assert told["totals"] == {"equation": "20 = 15 + 3 + 2", "balanced": True, "problems": []}
    assert told["waves"][1] == {"wave": 1, "batches": 1, "requests": 2, "succeeded": 1, "errored": 1, "retried": 0}
    assert told["tokens"] == {"input": 1000, "output": 500, "cache_write": 20, "cache_read": 30}
    assert told["models"]["claude-haiku-5-5"]["estimated_cost_usd"] == 1.5
    assert told["times"]["step_seconds"] == {"plan": 10.0, "run": 80.0, "finish": 10.0}
    assert told["times"]["received_at"].endswith("Z")


def test_each_sentence_of_the_api_is_there_once_with_how_often_it_came() -> None:
    first = WaveStats(LengthHistograms({1: 1}, {2: 1}), {"api_error": [Example("a", "x", 2), Example("b", "y")]})
    second = WaveStats(LengthHistograms({1: 1}, {2: 1}), {"api_error": [Example("c", "y", 4)]})
    lengths, examples = add_up([first, second])
    assert lengths == LengthHistograms({1: 2}, {2: 2})
    assert examples == {"api_error": [Example("b", "y", 5), Example("a", "x", 2)]}
    summary = json.loads(write_summary(account(examples=examples)))
    assert summary["error_messages"] == {"api_error": {"y": 5, "x": 2}}
    text = Page(write_report(account(examples=examples))).text
    assert "by5ax2" in text


def test_of_very_many_sentences_the_most_frequent_are_kept() -> None:
    many = [Example(str(number), f"said {number}", number) for number in range(1, 60)]
    _, examples = add_up(
        [
            WaveStats(LengthHistograms(), {"api_error": many[:30]}),
            WaveStats(LengthHistograms(), {"api_error": many[30:]}),
        ]
    )
    assert [each.count for each in examples["api_error"]] == list(range(59, 39, -1))
