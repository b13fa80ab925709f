from __future__ import annotations

import pytest

from sluice.aws.dynamodb import Table
from sluice.incidents import NOTIFY_AGAIN_SECONDS, Incidents

KIND = "billing_error"


class Clock:
    now = 1_800_000_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def incidents(table: Table, clock: Clock) -> Incidents:
    return Incidents(table, clock)


def test_of_all_that_open_an_incident_one_tells(incidents: Incidents) -> None:
    first, *others = [incidents.open_incident(KIND, "no credit") for _ in range(3)]
    assert first == incidents.list_open()[0]
    assert others == [None, None]


def test_one_that_was_told_of_is_not_told_of_again(incidents: Incidents, clock: Clock) -> None:
    incidents.open_incident(KIND, "no credit")
    incidents.mark_notified(KIND)
    clock.now += 10 * NOTIFY_AGAIN_SECONDS
    assert not incidents.open_incident(KIND, "no credit")


def test_one_that_nobody_told_of_is_told_of_by_the_next_after_a_while(incidents: Incidents, clock: Clock) -> None:
    incidents.open_incident(KIND, "no credit")
    (opened,) = incidents.list_open()
    clock.now += NOTIFY_AGAIN_SECONDS + 1
    assert [incidents.open_incident(KIND, "no credit") for _ in range(2)] == [opened, None]


def test_a_released_incident_can_open_again_and_is_told_of_again(incidents: Incidents) -> None:
    incidents.open_incident(KIND, "no credit")
    incidents.mark_notified(KIND)
    assert incidents.release(KIND)
    assert not incidents.release(KIND)
    assert incidents.list_open() == ()
    assert incidents.open_incident(KIND, "no credit again")
    assert [each.message for each in incidents.list_open()] == ["no credit again"]


def test_one_probe_is_let_through_each_time_one_is_due(incidents: Incidents, clock: Clock) -> None:
    incidents.open_incident(KIND, "no credit")
    (incident,) = incidents.list_open()
    assert not incidents.claim_probe(incident)
    clock.now = incident.probe_at + 1
    assert [incidents.claim_probe(incident) for _ in range(3)] == [True, False, False]
    (later,) = incidents.list_open()
    assert later.probe_at > clock.now


def test_what_is_not_there_cannot_be_released_or_marked(incidents: Incidents) -> None:
    assert not incidents.release("never")
    incidents.mark_notified("never")
    assert incidents.list_open() == ()
