"""Plots are well-formed, stay within their frame, and escape what they label."""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree

from hypothesis import given, settings
from hypothesis import strategies as st

from sluice.jobs.finish.plots import WIDTH, Bar, column_bars, length_buckets, row_bars, share_bar

texts = st.text(st.characters(blacklist_categories=("Cs", "Cc")), max_size=50)
bars = st.lists(st.builds(Bar, texts, st.floats(0, 1e9), texts), max_size=15)


@settings(max_examples=60)
@given(bars, texts)
def test_every_plot_is_well_formed_and_within_its_frame(drawn: list[Bar], title: str) -> None:
    for draw in (share_bar, row_bars, column_bars):
        svg = ElementTree.fromstring(draw(drawn, title))
        assert svg.get("aria-label") == title
        _, _, width, height = map(float, (svg.get("viewBox") or "").split())
        assert width == WIDTH
        for rect in svg.iter("rect"):
            x, y, wide, high = (float(rect.get(name) or 0) for name in ("x", "y", "width", "height"))
            assert x >= 0
            assert wide > 0
            assert high > 0
            assert x + wide <= WIDTH + 1
            assert -0.1 <= y <= y + high <= height + 0.1


def test_one_among_a_million_can_be_seen() -> None:
    svg = ElementTree.fromstring(share_bar([Bar("ok", 1e6, "1e6"), Bar("error", 1, "1")], "Outcome"))
    assert [float(rect.get("width") or 0) >= 1.5 for rect in svg.iter("rect")] == [True, True]


def test_lengths_are_labelled_by_where_a_bucket_begins() -> None:
    assert length_buckets({3: 5, 5: 1}) == [("2", 0), ("4", 5), ("8", 0), ("16", 1)]
    assert length_buckets({0: 2, 12: 1})[0] == ("0", 2)
    assert length_buckets({12: 1})[-1] == ("2k", 1)
    assert length_buckets({}) == []
