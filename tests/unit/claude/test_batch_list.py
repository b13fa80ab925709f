"""Reading a list that moves, is late, and holds other people's batches."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sluice.claude.batch_list import CLOCK_SKEW_SECONDS, FEW, batches_since, look_for
from sluice.claude.batches import BatchPage, MessageBatch
from sluice.errors import AccountError, ClaudeError, PermanentError, TransientError

NOW = 1_795_000_000.0


def a_batch(number: int, made_at: float | None = None, status: str = "in_progress") -> MessageBatch:
    return MessageBatch(f"msgbatch_{number}", status, NOW + number if made_at is None else made_at, 10)


class Claude:
    """Batches, oldest first. ``between`` is called after each page, as others make and delete batches meanwhile."""

    def __init__(
        self, batches: list[MessageBatch], between: Callable[[Claude], None] = lambda _: None, limit: int = 10
    ) -> None:
        self.batches = batches
        self.hidden: set[str] = set()
        self.lists = self.retrieves = 0
        self.failure: ClaudeError | None = None
        self._between = between
        self._limit = limit

    def list_batches(self, after_id: str | None = None) -> BatchPage:
        self.lists += 1
        if self.failure:
            raise self.failure
        listed = [batch for batch in reversed(self.batches) if batch.id not in self.hidden]
        ids = [batch.id for batch in listed]
        if after_id is not None and after_id not in ids:
            raise PermanentError("after_id: there is no such batch", http_status=400)
        start = ids.index(after_id) + 1 if after_id else 0
        page = listed[start : start + self._limit]
        more = start + self._limit < len(listed)
        self._between(self)
        return BatchPage(tuple(page), more, page[-1].id if page else None)

    def retrieve_batch(self, batch_id: str) -> MessageBatch:
        self.retrieves += 1
        for batch in self.batches:
            if batch.id == batch_id:
                return batch
        raise AccountError("not found", error_type="not_found_error", http_status=404)


def claude_with(count: int, **options: Any) -> Any:
    return Claude([a_batch(number) for number in range(count)], **options)


def ids(numbers: range | list[int]) -> set[str]:
    return {f"msgbatch_{number}" for number in numbers}


def test_all_are_found_in_a_call_for_each_page() -> None:
    count = 95
    claude = claude_with(count)

    sighting = look_for(claude, ids(range(count)), NOW)

    assert sighting.batches.keys() == ids(range(count))
    assert (claude.lists, claude.retrieves) == (10, 0)


def test_nothing_is_asked_where_nothing_is_looked_for() -> None:
    claude = claude_with(5)

    assert look_for(claude, [], 0.0).batches == {}
    assert claude.lists == 0


@given(st.integers(1, 60), st.integers(0, 2**32))
def test_a_list_that_grows_while_it_is_read_hides_nothing(count: int, seed: int) -> None:
    chance = random.Random(seed)

    def others_make_some(claude: Claude) -> None:
        claude.batches += [a_batch(1000 + len(claude.batches)) for _ in range(chance.randrange(15))]

    claude = claude_with(count, between=others_make_some)

    assert look_for(claude, ids(range(count)), NOW).batches.keys() == ids(range(count))


def test_what_was_read_counts_when_the_list_breaks_under_the_reader() -> None:
    def delete_the_last_read(claude: Claude) -> None:
        del claude.batches[-10]

    claude = claude_with(30, between=delete_the_last_read)

    sighting = look_for(claude, ids(range(25)), NOW)

    assert isinstance(sighting.failure, TransientError)
    assert ids(range(21, 25)) <= sighting.batches.keys()


def test_pages_of_other_people_are_not_read_for_few_of_ours() -> None:
    claude = claude_with(500)

    sighting = look_for(claude, ids([3, 4]), NOW)

    assert sighting.batches.keys() == ids([3, 4])
    assert (claude.lists, claude.retrieves) == (1, 2)


def test_reading_ends_where_older_batches_begin() -> None:
    claude = claude_with(100)
    claude.batches = [a_batch(number, made_at=NOW - 1e6) for number in range(1000, 1400)] + claude.batches
    claude.hidden = ids([50])

    sighting = look_for(claude, ids(range(40, 100)), NOW + 40)

    assert sighting.batches.keys() == ids(range(40, 100))
    assert claude.retrieves == 1
    assert claude.lists <= 11


def test_of_many_that_are_not_listed_some_are_asked_for_each_time() -> None:
    claude = claude_with(60)
    claude.hidden = ids(range(60))
    seen: set[str] = set()
    for _ in range(40):
        before = claude.retrieves
        seen |= look_for(claude, ids(range(60)), NOW).batches.keys()
        assert claude.retrieves - before == FEW

    assert seen == ids(range(60))


def test_batches_that_claude_does_not_know_are_gone() -> None:
    assert look_for(claude_with(3), ids([1, 77]), NOW).gone == ids([77])


@pytest.mark.parametrize("failure", [TransientError("busy"), AccountError("no", error_type="billing_error")])
def test_why_the_list_could_not_be_read_is_told(failure: ClaudeError) -> None:
    claude = claude_with(3)
    claude.failure = failure

    assert look_for(claude, ids([1]), NOW).failure is failure
    with pytest.raises(type(failure)):
        list(batches_since(claude, NOW))


def test_batches_since_a_moment_are_read_with_room_for_clocks_that_differ() -> None:
    moments = [NOW - CLOCK_SKEW_SECONDS - 1, NOW - CLOCK_SKEW_SECONDS + 1, NOW + 5]
    claude: Any = Claude([a_batch(number, made_at) for number, made_at in enumerate(moments)])

    assert {batch.id for batch in batches_since(claude, NOW)} == ids([1, 2])


def test_a_broken_list_is_no_list_for_those_who_need_all_of_it() -> None:
    def delete_the_last_read(claude: Claude) -> None:
        del claude.batches[-10]

    with pytest.raises(TransientError):
        list(batches_since(claude_with(30, between=delete_the_last_read), NOW))
