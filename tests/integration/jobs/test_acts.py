"""A person acts at every call of every step, one by one, and what it comes to once all is quiet.

The calls are counted in a run in which nobody acts before all is at rest, so that one added to a function is covered
without anyone remembering. A write is made of what was read before it: an act right before a write finds all of that
old. By default, acts come before each write but those of a function's own files, which nobody else reads yet.
SLUICE_ACT_EVERYWHERE=1 lets them come before every single call, which takes some minutes.
"""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from tests.integration.jobs.acting import SCENES, Ending, Runners, running_runners

EVERYWHERE = bool(os.environ.get("SLUICE_ACT_EVERYWHERE"))
FINISHED = [name for name in SCENES if "cancelled" not in name]
CANCELLED = [name for name in SCENES if "cancelled" in name]


@pytest.fixture(scope="module")
def runners() -> Iterator[Runners]:
    with running_runners() as runners:
        yield runners


def places(ending: Ending) -> list[int]:
    """Return the numbers of the calls that an act comes before."""
    everywhere = range(len(ending.calls))
    if EVERYWHERE:
        return list(everywhere)
    return [number for number in everywhere if ending.calls[number].changes and not _writes_a_file(ending, number)]


def _writes_a_file(ending: Ending, number: int) -> bool:
    return ending.calls[number].name.startswith("s3.")


def act_everywhere(runners: Runners, name: str) -> list[tuple[str, Ending]]:
    """Return what each act came to, by the call that it came before."""
    (untroubled,) = runners.run_each([(name, None)])
    found = places(untroubled)
    assert len(found) > 10
    endings = runners.run_each([(name, number) for number in found])
    names = [f"{number}: {untroubled.calls[number].step} {untroubled.calls[number].name}" for number in found]
    return [("at rest", untroubled), *zip(names, endings, strict=True)]


def check_whole(place: str, ending: Ending) -> None:
    """The job ended with all its lines in the books, everything was told, and no step failed for good."""
    assert (ending.lines, ending.balanced, ending.dead_letters) == (4, True, 0), place
    assert ending.pending == (), place
    told = [event for event in ending.notices if event.startswith("job.") and event not in ("job.held", "job.late")]
    assert len(told) == 1, (place, ending.notices)
    assert ending.notices[-1] == told[0], (place, ending.notices)
    assert "job.stuck" not in ending.notices, place
    assert ending.notices.count("job.held") + ending.notices.count("incident.opened") <= 1, (place, ending.notices)


@pytest.mark.timeout(1800)
@pytest.mark.parametrize("name", FINISHED)
def test_whenever_a_person_acts_the_job_finishes_and_is_told_of_once(name: str, runners: Runners) -> None:
    for place, ending in act_everywhere(runners, name):
        check_whole(place, ending)
        assert (ending.status, ending.succeeded) == ("finished", 4), place
        assert ending.open_incidents == (), place


@pytest.mark.timeout(1800)
@pytest.mark.parametrize("name", CANCELLED)
def test_whenever_a_job_is_cancelled_it_ends_whole(name: str, runners: Runners) -> None:
    for place, ending in act_everywhere(runners, name):
        check_whole(place, ending)
        # Cancelled too late for any request, it has finished like any other.
        assert (ending.status == "cancelled") == (ending.succeeded < 4), place
