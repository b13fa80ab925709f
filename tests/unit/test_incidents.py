"""Incidents against DynamoDB's own conditions: what is opened, told of and ended, and what comes too late for each."""

from __future__ import annotations

import pytest

from sluice.aws.dynamodb import Table, Update
from sluice.backoff import MOST_NOTICE_TRIES
from sluice.incidents import Incident, Incidents
from sluice.table_keys import OPEN_INCIDENTS, incident_key, open_at

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


def opened(incidents: Incidents, message: str = "no credit", seen: int | None = None) -> Incident:
    incident = incidents.open_incident(KIND, message, incidents.version() if seen is None else seen)
    assert incident is not None
    return incident


def test_of_all_that_meet_an_incident_one_tells(incidents: Incidents) -> None:
    met = [opened(incidents) for _ in range(3)]

    assert len(set(met)) == 1
    assert incidents.list_open() == (met[0],)
    assert [incidents.claim_notifying(each) for each in met] == [True, False, False]


def test_one_that_was_told_of_is_not_told_of_again(incidents: Incidents, clock: Clock) -> None:
    incidents.mark_notified(opened(incidents))
    clock.now += 36_000

    assert not incidents.claim_notifying(opened(incidents))


def test_one_that_nobody_told_of_is_told_of_by_the_next_after_a_while(incidents: Incidents, clock: Clock) -> None:
    incident = opened(incidents)
    assert incidents.claim_notifying(incident)
    assert not incidents.claim_notifying(opened(incidents))
    clock.now += 61
    (waiting,) = incidents.list_open()

    assert [incidents.claim_notifying(waiting) for _ in range(2)] == [True, False]


def test_telling_in_vain_has_an_end(incidents: Incidents, clock: Clock) -> None:
    told = 0
    for _ in range(1000):
        told += incidents.claim_notifying(opened(incidents))
        clock.now += 60.5

    assert told == MOST_NOTICE_TRIES


def test_the_channels_that_have_a_notice_are_kept_until_the_next_incident(incidents: Incidents) -> None:
    incidents.mark_notified_on(opened(incidents), ["sns"])
    assert opened(incidents).notified_on == ("sns",)
    incidents.release(KIND)

    assert opened(incidents).notified_on == ()


def test_a_released_incident_can_open_again_and_is_told_of_again(incidents: Incidents) -> None:
    first = opened(incidents)
    incidents.mark_notified(first)
    assert incidents.release(KIND)
    assert not incidents.release(KIND)
    assert incidents.list_open() == ()

    second = opened(incidents, "no credit again")

    assert incidents.list_open() == (second,)
    assert second.number > first.number
    assert incidents.claim_notifying(second)


def test_what_was_asked_before_a_release_opens_nothing_whatever_the_clocks_say(
    incidents: Incidents, clock: Clock
) -> None:
    seen = incidents.version()
    opened(incidents)
    incidents.release(KIND)
    clock.now -= 3600

    assert incidents.open_incident(KIND, "no credit", seen) is None
    assert incidents.list_open() == ()
    assert incidents.open_incident(KIND, "no credit", incidents.version()) is not None


def test_the_release_of_one_kind_is_nothing_to_another(incidents: Incidents) -> None:
    seen = incidents.version()
    opened(incidents)
    incidents.release(KIND)

    assert incidents.open_incident("authentication_error", "bad key", seen) is not None


def test_an_incident_that_has_ended_is_over_though_another_is_open(incidents: Incidents) -> None:
    first = opened(incidents)
    assert not incidents.is_over(KIND, first.number)
    incidents.release(KIND)
    second = opened(incidents)

    assert incidents.is_over(KIND, first.number)
    assert not incidents.is_over(KIND, second.number)


def test_whoever_acts_on_an_earlier_incident_does_nothing_to_a_later_one(incidents: Incidents, clock: Clock) -> None:
    first = opened(incidents)
    incidents.release(KIND)
    second = opened(incidents)
    clock.now = first.probe_at + 1

    incidents.mark_notified(first)
    incidents.return_probe(first)
    assert not incidents.claim_notifying(first)
    assert not incidents.claim_probe(first)
    assert not incidents.release(KIND, first.number)

    assert incidents.list_open() == (second,)


def test_an_answer_ends_what_was_open_before_it_was_asked_for_and_nothing_later(incidents: Incidents) -> None:
    opened(incidents)
    view = incidents.look()
    assert incidents.end_disproved(view, lambda kind: kind != KIND) == 0
    assert incidents.end_disproved(view, lambda kind: kind == KIND) == 1
    later = opened(incidents)

    assert incidents.end_disproved(view, lambda kind: kind == KIND) == 0
    assert incidents.list_open() == (later,)


def test_one_probe_is_let_through_each_time_one_is_due(incidents: Incidents, clock: Clock) -> None:
    incident = opened(incidents)
    assert not incidents.claim_probe(incident)
    clock.now = incident.probe_at + 1
    assert [incidents.claim_probe(incident) for _ in range(3)] == [True, False, False]
    (later,) = incidents.list_open()
    assert later.probe_at > clock.now


def test_a_probe_that_said_nothing_is_given_to_the_next(incidents: Incidents, clock: Clock) -> None:
    incident = opened(incidents)
    clock.now = incident.probe_at + 1
    assert incidents.claim_probe(incident)
    incidents.return_probe(incident)

    (present,) = incidents.list_open()
    assert incidents.claim_probe(present)


def test_what_is_not_there_cannot_be_released_or_marked(incidents: Incidents) -> None:
    never = Incident("never", "", 1.0, 1.0, 7)
    assert not incidents.release("never")
    incidents.mark_notified(never)
    assert incidents.list_open() == ()


def test_an_incident_of_an_earlier_version_can_be_told_of_and_ended(table: Table, incidents: Incidents) -> None:
    item = {"open": OPEN_INCIDENTS, "open_at": open_at(1.0), "kind": KIND, "message": "no credit", "opened_at": 1.0}
    table.update(Update(incident_key(KIND), set=item | {"notifying_at": 1.0, "probe_at": 16.0}, create=True))
    (incident,) = incidents.list_open()

    assert opened(incidents) == incident
    assert incidents.claim_notifying(incident)
    incidents.mark_notified(incident)
    assert not incidents.is_over(KIND, 0)
    assert incidents.release(KIND, incident.number)
    assert incidents.is_over(KIND, 0)
