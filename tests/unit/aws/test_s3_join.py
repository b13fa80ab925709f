"""Joining is planned so that S3 takes every part, whatever the sizes."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from sluice.aws.s3_join import ByteRange, JoinedObject, plan_parts

LEAST, MOST = 5, 40


@settings(max_examples=300)
@given(st.lists(st.integers(1, 130), max_size=30))
def test_parts_are_legal_and_have_every_byte_once_in_order(sizes: list[int]) -> None:
    pieces = [JoinedObject(f"k{number}", size) for number, size in enumerate(sizes)]
    parts = plan_parts(pieces, LEAST, MOST)

    flat = [each for part in parts for each in part.ranges]
    assert all(each.start < each.end for each in flat)
    assert [(each.key, byte) for each in flat for byte in range(each.start, each.end)] == [
        (piece.key, byte) for piece in pieces for byte in range(piece.size)
    ]
    assert all(part.size >= LEAST for part in parts[:-1])
    assert all(part.size <= MOST for part in parts if len(part.ranges) == 1)
    assert all(part.size < 3 * LEAST for part in parts if len(part.ranges) > 1)


def test_a_large_piece_is_copied_and_a_small_one_before_it_filled_up() -> None:
    parts = plan_parts([JoinedObject("small", 2), JoinedObject("large", 30)], LEAST, MOST)
    assert [part.ranges for part in parts] == [
        (ByteRange("small", 0, 2), ByteRange("large", 0, 3)),
        (ByteRange("large", 3, 30),),
    ]


def test_a_piece_beyond_the_limit_of_a_copy_is_cut_with_no_rest_too_small() -> None:
    parts = plan_parts([JoinedObject("large", 43)], LEAST, MOST)
    assert [part.ranges for part in parts] == [(ByteRange("large", 0, 38),), (ByteRange("large", 38, 43),)]


def test_nothing_makes_no_part() -> None:
    assert plan_parts([], LEAST, MOST) == []
