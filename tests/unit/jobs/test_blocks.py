"""Blocks: whole lines out of chunks cut anywhere."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from sluice.jobs.lines import whole_lines


@given(st.lists(st.binary(min_size=1, max_size=12).map(lambda data: data.replace(b"x", b"\n"))))
def test_lines_stay_whole_and_nothing_is_lost(chunks: list[bytes]) -> None:
    data = b"".join(chunks)
    runs = list(whole_lines(chunks))
    ended = data if not data or data.endswith(b"\n") else data + b"\n"
    assert b"".join(runs) == ended
    assert all(run.endswith(b"\n") for run in runs)
