"""What no call gets past until a person acts: the streaming door opens the incident that holds tasks and jobs, too."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from simulator.client import Break, Match, Refuse
from simulator.errors import CAUSES
from simulator.faults import CauseName
from sluice.incidents import Incidents
from sluice.table_keys import incident_key
from tests.integration.streams.door import PARAMS, StreamDoor, events_of, wait_for
from tests.world.account_errors import INCIDENT_OF_CAUSE, NO_INCIDENT

MESSAGES = Match(operation="messages")
STREAMED = {**PARAMS, "stream": True}


@pytest.fixture(autouse=True)
def forgotten(request: pytest.FixtureRequest) -> Iterator[None]:
    """Leave no incident to the next test, not even a released one: a refusal might be of before that release."""
    yield
    table = request.getfixturevalue("aws").table
    for incident in Incidents(table).list_open():
        table.delete(incident_key(incident.kind))


def open_incidents(stack: StreamDoor) -> dict[str, str]:
    return {each.kind: each.message for each in Incidents(stack.aws.table).list_open()}


@pytest.mark.parametrize(("cause", "kind"), INCIDENT_OF_CAUSE.items())
def test_a_refusal_of_the_account_opens_its_incident_and_passes_as_claude_said_it(
    stack: StreamDoor, cause: CauseName, kind: str
) -> None:
    stack.simulator.fail(Refuse(cause=cause), MESSAGES)
    response = stack.post(PARAMS)

    assert open_incidents(stack) == {kind: CAUSES[cause].message}
    error = response.json()["error"]
    if cause == "key_refused":
        # Said as it is, it would read as a refusal of the caller's own key.
        assert (response.status_code, error["type"]) == (503, "api_error")
    else:
        said = (CAUSES[cause].status, CAUSES[cause].error_type, CAUSES[cause].message)
        assert (response.status_code, error["type"], error["message"]) == said


@pytest.mark.parametrize("cause", NO_INCIDENT)
def test_what_passes_or_is_one_requests_own_opens_none(stack: StreamDoor, cause: CauseName) -> None:
    stack.simulator.fail(Refuse(cause=cause), MESSAGES)

    assert stack.post(PARAMS).status_code == CAUSES[cause].status
    assert open_incidents(stack) == {}


@pytest.mark.parametrize("events", [0, 4])
@pytest.mark.parametrize("cause", ["no_credit", "tier_spend_limit"])
def test_an_error_event_of_the_account_opens_its_incident(stack: StreamDoor, cause: CauseName, events: int) -> None:
    stack.simulator.fail(Break(how="error_event", cause=cause, after_events=events), MESSAGES)
    stack.post(STREAMED)

    wait_for(lambda: open_incidents(stack) == {INCIDENT_OF_CAUSE[cause]: CAUSES[cause].message})


def test_a_refusal_to_continue_a_cut_answer_opens_its_incident(kept: StreamDoor) -> None:
    kept.simulator.fail(Break(how="close", after_events=6), MESSAGES, times=1)
    kept.simulator.fail(Refuse(cause="own_spend_limit"), MESSAGES, skip=1)
    response = kept.request("POST", "/v1/messages", {"sluice-continue": "true"}, json=STREAMED)

    assert events_of(response.content)[-1].name == "error"
    wait_for(lambda: open_incidents(kept) == {"spend_limit_reached": CAUSES["own_spend_limit"].message})
