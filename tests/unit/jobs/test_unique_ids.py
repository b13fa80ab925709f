"""Ids that are there more than once in a job."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sluice.errors import UnreadableInput
from sluice.jobs.plan.unique_ids import MAX_REPEATED, FirstUses, SeenHashes, repeated_ids, repeated_values, spare_name

IDS = st.lists(st.text("ab", min_size=1, max_size=4), max_size=30)


@given(IDS)
def test_exactly_the_repeated_ids_are_found(ids: list[str]) -> None:
    seen = SeenHashes()
    seen.add(ids)
    expected = {each for each in ids if ids.count(each) > 1}
    assert seen.repeated() == {hash(each) for each in expected}
    assert repeated_ids([ids[:5], ids[5:]], seen.repeated()) == expected


@given(IDS)
def test_ids_that_share_a_hash_by_chance_are_not_taken_for_repetitions(ids: list[str]) -> None:
    every_hash = {hash(each) for each in ids}
    assert repeated_ids([ids], every_hash) == {each for each in ids if ids.count(each) > 1}


@given(st.lists(st.integers(0, 9)))
def test_repeated_values_are_those_with_more_than_one_place(values: list[int]) -> None:
    assert repeated_values(values) == {each for each in values if values.count(each) > 1}


@pytest.mark.parametrize("over", [0, 1])
def test_a_file_with_far_too_many_repeated_ids_is_not_gone_through(over: int) -> None:
    seen = SeenHashes()
    ids = [str(number) for number in range(MAX_REPEATED + over)]
    seen.add(ids)
    seen.add(ids)
    if not over:
        assert len(seen.repeated()) == MAX_REPEATED
        return
    with pytest.raises(UnreadableInput, match='More than 200000 values of "custom_id" are there more than once'):
        seen.repeated()


def test_the_first_use_of_a_repeated_id_passes() -> None:
    uses = FirstUses(["a"])
    assert uses.concerns(["b", "a"])
    assert not uses.concerns(["b"])
    assert [uses.take(each) for each in ("b", "a", "c", "a", "a")] == [True, True, True, False, False]
    assert uses.used == {"a"}


def test_uses_go_on_where_another_invocation_stopped() -> None:
    assert not FirstUses(["a"], ["a"]).take("a")


def test_a_made_up_name_gives_way_to_a_given_one() -> None:
    assert spare_name(7, "line", "0a1b", set()) == "line-7"
    assert spare_name(7, "line", "0a1b", {"line-7"}) == "line-7-0a1b"
