from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from sluice.jobs.lines import merge_waves


@settings(max_examples=60)
@given(st.lists(st.dictionaries(st.integers(0, 30), st.binary(max_size=3)), min_size=1, max_size=5))
def test_lines_come_in_the_order_of_their_places_the_last_wave_winning(waves: list[dict[int, bytes]]) -> None:
    expected: dict[int, bytes] = {}
    for wave in waves:
        expected |= wave
    merged = list(merge_waves([sorted(wave.items()) for wave in waves]))
    assert merged == sorted(expected.items())
