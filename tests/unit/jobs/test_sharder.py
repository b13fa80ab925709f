"""Cutting a file into shards."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from sluice.jobs.inputs.request import write_request
from sluice.jobs.planning.sharder import MAX_REQUEST_BYTES, ShardLimits, fitting_lines
from sluice.jobs.sources.body import body_length

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
    assert limits.room(0, 0) == (10, limits.longest_line + 1)
    assert body_length(len(line) + 1, line, nonce) <= 2_000


def test_no_line_is_longer_than_the_api_takes() -> None:
    assert ShardLimits(100_000, 256_000_000).longest_line == MAX_REQUEST_BYTES
