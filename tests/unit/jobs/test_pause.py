"""The pause of all submissions."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from sluice.jobs.submit.pause import SubmissionPause
from tests.unit.jobs.samples import NOW
from tests.world.aws import moto_table


@pytest.fixture
def pause() -> Iterator[SubmissionPause]:
    with moto_table() as table:
        yield SubmissionPause(table)


def test_there_is_no_pause_at_first(pause: SubmissionPause) -> None:
    assert pause.until() == 0


def test_a_pause_is_extended_and_never_cut_short(pause: SubmissionPause) -> None:
    for until in (NOW, NOW + 60, NOW + 30):
        pause.extend(until)

    assert pause.until() == NOW + 60
