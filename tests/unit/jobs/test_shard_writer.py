"""Cutting a file into shards."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from sluice.jobs.plan.shard_writer import MAX_REQUEST_BYTES, ShardLimits, fitting_lines
from sluice.jobs.requests import body_length, write_request

TEXTS = st.lists(st.binary(max_size=6).map(lambda text: text.replace(b"\n", b"")))


@given(TEXTS, st.integers(0, 9), st.integers(0, 60))
def test_as_many_lines_fit_as_can(texts: list[bytes], max_lines: int, max_bytes: int) -> None:
    run = b"".join(text + b"\n" for text in texts)
    lines, length = fitting_lines(run, len(texts), max_lines, max_bytes)
    assert length == sum(len(text) + 1 for text in texts[:lines])
    assert lines <= max_lines
    assert length <= max_bytes
    if lines < len(texts):
        assert lines == max_lines or length + len(texts[lines]) + 1 > max_bytes


def test_the_longest_line_fills_a_shard_of_its_own() -> None:
    limits = ShardLimits(10, 2_000)
    line = write_request("a", b'{"x":"%s"}' % (b"x" * 10_000))[: limits.longest_line - 3] + b'"}}'
    nonce = "n" * 64
    assert limits.room(0, 0, 0, 1) == (10, limits.longest_line + 1)
    assert body_length(len(line) + 1, line, nonce) <= 2_000


def test_no_line_is_longer_than_the_api_takes() -> None:
    assert ShardLimits(100_000, 256_000_000).longest_line == MAX_REQUEST_BYTES


def test_the_answers_of_a_shard_fit_the_disk_on_which_they_are_put_in_order() -> None:
    limits = ShardLimits(100_000, 256_000_000)
    assert limits.room(0, 0, 0, 4_096)[0] == 100_000
    long_answers, _ = limits.room(0, 0, 0, 64_000)
    assert long_answers * 64_000 * 8 <= 10_240 * 1024**2 < 100_000 * 64_000 * 2
    assert limits.room(long_answers, 0, long_answers * 64_000, 64_000)[0] == 0


def test_answers_that_may_be_asked_again_with_more_tokens_need_the_room_of_those() -> None:
    assert ShardLimits(10, 2_000, retry_max_tokens=500).tokens_of(100) == 500
    assert ShardLimits(10, 2_000, retry_max_tokens=500).tokens_of(900) == 900


def test_an_empty_shard_takes_a_request_of_any_length_of_answer() -> None:
    assert ShardLimits(10, 2_000, max_tokens=50).room(0, 0, 0, 60)[0] == 1
    assert ShardLimits(10, 2_000, max_tokens=50).room(1, 100, 60, 60)[0] < 1
