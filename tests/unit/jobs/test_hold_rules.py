"""What becomes of a job before anything is spent."""

from __future__ import annotations

import pytest

from sluice.claude.prices import shipped_prices
from sluice.jobs.folder_settings import FolderSettings, Limits
from sluice.jobs.formats.base import Position
from sluice.jobs.formats.check import Asked, BadLine
from sluice.jobs.formats.request_line import LineProblem
from sluice.jobs.job_settings import merge_settings
from sluice.jobs.plan.checkpoint import Checkpoint, Counts, decode_checkpoint, encode_checkpoint
from sluice.jobs.plan.estimate import Demand, Estimate, estimate_job
from sluice.jobs.plan.hold_rules import failure_of, hold_of
from sluice.settings import JobSettings

MODEL = "claude-haiku-5-5"
CHEAP = Estimate(100, 1.0, 4.0, ())


def counts(good: int = 0, **bad: int) -> Counts:
    """``bad`` counts lines by what is wrong with them."""
    found = Counts()
    if good:
        found.accept({MODEL: Asked(good, 10 * good, 10, 10)}, 100 * good)
    for kind, number in bad.items():
        for _ in range(number):
            found.reject(BadLine(1, 0, 1, b"", LineProblem(kind.replace("_", " "), "")))
    return found


def hold(found: Counts, estimate: Estimate = CHEAP, **limits: float) -> tuple[str, str] | None:
    folder = FolderSettings(limits=Limits(**limits))  # type: ignore[arg-type]  # as the names say
    held = hold_of(
        found, estimate, merge_settings(JobSettings(table="t", max_job_cost=0), folder, None, shipped_prices())
    )
    return (held.kind, held.reason) if held else None


def test_counts_balance() -> None:
    found = counts(7, params=2, empty=3)
    assert (found.lines, found.requests, found.rejected, found.bad, found.filled) == (12, 7, 5, 2, 9)


@pytest.mark.parametrize("found", [counts(), counts(empty=3)])
def test_an_empty_file_fails(found: Counts) -> None:
    assert failure_of(found) == "The file is empty."


def test_a_file_that_is_no_jsonl_at_all_fails() -> None:
    failure = failure_of(counts(not_JSON=3, empty=1))
    assert failure is not None
    assert "No line of the file is JSON" in failure


@pytest.mark.parametrize("found", [counts(1, not_JSON=3), counts(params=3, not_JSON=1)])
def test_a_file_of_which_something_can_be_told_does_not_fail(found: Counts) -> None:
    assert failure_of(found) is None


def test_few_bad_lines_hold_nothing() -> None:
    assert hold(counts(80, params=20)) is None


def test_many_bad_lines_hold_the_job() -> None:
    held = hold(counts(79, params=20, custom_id=1))
    assert held is not None
    assert held[0] == "bad_lines"
    assert "21 of 100 lines (21.0 %) cannot run, more than 20 %" in held[1]
    assert "params (20), custom id (1)" in held[1]


def test_empty_lines_do_not_count_as_bad() -> None:
    assert hold(counts(10, empty=90)) is None


def test_a_file_without_a_request_is_not_held() -> None:
    assert hold(counts(params=10)) is None


def test_a_cost_above_the_limit_holds_the_job() -> None:
    assert hold(counts(1), max_cost=4.0) is None
    held = hold(counts(1), max_cost=3.99)
    assert held is not None
    assert held[0] == "cost"
    assert "up to 4.00 USD, and about 1.00 USD are expected (estimates); the limit is 3.99 USD" in held[1]


def test_a_model_without_a_price_is_held_where_there_is_a_limit() -> None:
    unknown = Estimate(1, 0.0, 0.0, ("claude-of-tomorrow",))
    assert hold(counts(1), unknown) is None
    held = hold(counts(1), unknown, max_cost=1.0)
    assert held is not None
    assert "No price is known for claude-of-tomorrow" in held[1]


def test_all_reasons_are_given_at_once() -> None:
    held = hold(counts(1, params=1), max_cost=1.0)
    assert held is not None
    assert held[0] == "bad_lines"
    assert "4.00 USD" in held[1]


def test_an_estimate_has_an_expected_and_a_worst_cost() -> None:
    demand = Demand()
    demand.add({MODEL: Asked(100, 100_000, 1000, 1000), "claude-opus-5": Asked(100, 10_000, 100, 100)}, 80_000)
    estimate = estimate_job(demand, shipped_prices())
    haiku, opus = 0.5 * 100 * 1000 * 0.5e-6, 0.5 * 100 * 100 * 25e-6
    inputs = 0.5 * (10_000 * 0.1e-6 + 10_000 * 5e-6)
    assert estimate.input_tokens == 20_000
    # At worst, each byte is a token.
    assert estimate.worst_cost == pytest.approx(4 * inputs + haiku + opus)
    assert estimate.expected_cost == pytest.approx(inputs + (haiku + opus) / 4)
    assert estimate.unpriced == ()


def test_a_checkpoint_reads_back_as_it_was_written() -> None:
    checkpoint = Checkpoint("settings", Position(7, 3), rejected_keys=("a",), counts=counts(3, params=1), used=("x",))
    assert decode_checkpoint(encode_checkpoint(checkpoint)) == checkpoint
