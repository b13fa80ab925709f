from dataclasses import replace
from pathlib import Path

import pytest

from simulator.batches import LIFETIME_SECONDS, RESULTS_SECONDS, Batch, Outcomes, RequestCounts, cancel, check_deletable
from simulator.errors import ApiError
from simulator.faults import Hide

BATCH = Batch(
    id="msgbatch_1",
    number=1,
    count=100,
    size=1_000,
    first_custom_id="a",
    last_custom_id="z",
    custom_ids_sha256="0",
    version="2026-10-21",
    blocks=[],
    faults=(),
    replies=(),
    body_path=Path("body"),
    results_path=Path("results"),
    created_at=1_000.0,
    due_at=1_100.0,
)
DONE = Outcomes(RequestCounts(succeeded=100), 1, 1)


def batch() -> Batch:
    return replace(BATCH)


def test_counts_stay_processing_until_the_end() -> None:
    view = batch().view(1_099, "http://x")
    assert (view.processing_status, view.request_counts, view.results_url) == (
        "in_progress",
        RequestCounts(processing=100),
        None,
    )


def test_an_ended_batch_shows_its_outcome_and_where_it_is() -> None:
    view = replace(BATCH, ended_at=1_100.0, outcomes=DONE).view(1_200, "http://x")
    assert (view.processing_status, view.request_counts.succeeded) == ("ended", 100)
    assert view.results_url == "http://x/v1/messages/batches/msgbatch_1/results"
    assert view.archived_at is None


def test_after_29_days_the_results_are_gone() -> None:
    view = replace(BATCH, ended_at=1_100.0, outcomes=DONE).view(1_000 + RESULTS_SECONDS, "http://x")
    assert view.results_url is None
    assert view.archived_at is not None


def test_a_batch_in_time_finishes_whole() -> None:
    assert batch().ending() == (100, "succeeded")


def test_after_24_hours_the_rest_expires() -> None:
    slow = replace(BATCH, due_at=BATCH.created_at + 2 * LIFETIME_SECONDS)
    assert slow.ends_at == BATCH.created_at + LIFETIME_SECONDS
    assert slow.ending() == (50, "expired")


def test_what_was_finished_before_a_cancellation_stays() -> None:
    canceled = batch()
    cancel(canceled, 1_025.0, cancel_seconds=5.0)
    assert canceled.status() == "canceling"
    assert canceled.ends_at == 1_030.0
    assert canceled.ending() == (25, "canceled")


def test_a_second_cancellation_changes_nothing() -> None:
    canceled = batch()
    cancel(canceled, 1_025.0, cancel_seconds=5.0)
    cancel(canceled, 1_029.0, cancel_seconds=5.0)
    assert canceled.cancel_initiated_at == 1_025.0


def test_a_batch_that_is_about_to_end_is_not_held_up_by_a_cancellation() -> None:
    canceled = batch()
    cancel(canceled, 1_099.0, cancel_seconds=50.0)
    assert canceled.ends_at == 1_100.0
    assert canceled.ending() == (99, "canceled")


def test_an_ended_batch_cannot_be_canceled_and_an_unended_one_not_deleted() -> None:
    with pytest.raises(ApiError, match="already ended"):
        cancel(replace(BATCH, ended_at=1_100.0), 1_200.0, 0)
    with pytest.raises(ApiError, match="cancel it first"):
        check_deletable(batch())
    check_deletable(replace(BATCH, ended_at=1_100.0))


def test_a_young_batch_is_hidden() -> None:
    assert batch().is_hidden(Hide(seconds=10), 1_005)
    assert not batch().is_hidden(Hide(seconds=10), 1_010)
    assert not batch().is_hidden(None, 1_005)


def test_a_batch_is_hidden_after_its_end_only_once_it_has_ended() -> None:
    hide = Hide(seconds=10, since="ended")
    assert not batch().is_hidden(hide, 1_001)
    assert replace(BATCH, ended_at=1_100.0).is_hidden(hide, 1_105)
    assert not replace(BATCH, ended_at=1_100.0).is_hidden(hide, 1_111)
