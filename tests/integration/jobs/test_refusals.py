"""Single requests that fail in their own way, and what of it is the whole job's matter."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from simulator.client import Match, Refuse, Result
from simulator.errors import CAUSES
from simulator.faults import CauseName
from simulator.rules import Operation
from sluice.jobs.control import release_job
from sluice.jobs.model import JobStatus
from tests.integration.jobs.outputs import ids, requests, river, run, summary
from tests.integration.jobs.world import World
from tests.world.account_errors import INCIDENT_OF_CAUSE


def holds_of(world: World, job_id: str) -> Iterator[None]:
    """Bring a job to its end; stop at each hold, and release it when the caller goes on."""
    world.deliver_all()
    while not world.job(job_id).status.final:
        world.clock.advance(120)
        world.poll()
        world.deliver_all()
        if world.job(job_id).status is JobStatus.HELD:
            yield
            release_job(world.services(), job_id)


def test_a_carriage_return_inside_a_request_is_no_end_of_its_line(world: World) -> None:
    world.simulator.fail(Result(outcome="errored", error_type="invalid_request_error"), Match(prompt=river(0)))
    world.simulator.fail(Result(outcome="errored", error_type="overloaded_error"), Match(prompt=river(1)), times=1)
    job_id = run(world, requests(2).replace(b', "max_tokens"', b',\r"max_tokens"', 1))

    assert (ids(world, job_id, "results"), ids(world, job_id, "errors")) == (["r-1"], ["r-0"])
    assert summary(world, job_id)["totals"]["balanced"]


def test_a_file_that_one_request_names_and_is_not_there_stops_nothing(world: World) -> None:
    gone = Result(outcome="errored", error_type="not_found_error", message="File not found: file_1")
    world.simulator.fail(gone, Match(prompt=river(1)))
    job_id = run(world, requests(3))

    assert (ids(world, job_id, "results"), ids(world, job_id, "errors")) == (["r-0", "r-2"], ["r-1"])
    assert [notice["event"] for notice in world.notices] == ["job.finished_with_errors"]


def test_credits_that_run_out_twice_hold_the_job_twice_and_lose_nothing(world: World) -> None:
    broke = Result(outcome="errored", error_type="billing_error")
    rules = [world.simulator.fail(broke, Match(prompt=river(number))) for number in range(4)]
    job_id, holds = world.upload("rivers.jsonl", requests(4)).job_id, 0
    for _ in holds_of(world, job_id):
        for rule in rules[2 * holds : 2 * holds + 2]:
            world.simulator.heal(rule)
        holds += 1

    assert holds == 2
    assert len(ids(world, job_id, "results")) == 4


def test_a_request_that_is_refused_after_each_release_ends_in_its_error(world: World) -> None:
    world.simulator.fail(Result(cause="no_permission"), Match(prompt=river(1)))
    job_id = world.upload("rivers.jsonl", requests(3)).job_id
    releases = len(list(holds_of(world, job_id)))

    assert releases == 3
    assert ids(world, job_id, "errors") == ["r-1"]
    assert summary(world, job_id)["totals"]["balanced"]


@pytest.mark.parametrize("cause", INCIDENT_OF_CAUSE)
def test_an_error_of_the_account_inside_a_batch_is_told_once_and_loses_nothing(world: World, cause: CauseName) -> None:
    rule = world.simulator.fail(Result(cause=cause), Match(prompt=river(1)))
    job_id = world.upload("rivers.jsonl", requests(5)).job_id
    for _ in holds_of(world, job_id):
        hold = world.job(job_id).hold
        assert hold is not None
        assert hold.incident == INCIDENT_OF_CAUSE[cause]
        assert CAUSES[cause].message[:40] in hold.reason
        world.simulator.heal(rule)

    assert [notice["event"] for notice in world.notices] == ["incident.opened", "job.finished"]
    assert len(ids(world, job_id, "results")) == 5
    assert len(world.paid_batches()) == 2


# What is said by a message, by a code of a 429, by a code of a 400, and by a type of its own.
@pytest.mark.parametrize("operation", ["batches.create", "batches.list", "batches.results"])
@pytest.mark.parametrize("cause", ["own_spend_limit", "tier_spend_limit", "cmek_key_disabled", "no_credit_402"])
def test_an_error_of_the_account_in_any_step_holds_all_jobs_until_its_incident_is_released(
    world: World, cause: CauseName, operation: Operation
) -> None:
    rule = world.simulator.fail(Refuse(cause=cause), Match(operation=operation))
    jobs = [world.upload(f"{name}.jsonl", requests(4)).job_id for name in ("one", "two")]
    for _ in range(5):
        world.deliver_all()
        world.poll()
        world.clock.advance(120)
    held = [world.job(job_id) for job_id in jobs]
    assert {(job.status, job.hold.incident if job.hold else None) for job in held} == {
        (JobStatus.HELD, INCIDENT_OF_CAUSE[cause])
    }
    (notice,) = world.notices
    assert (notice["event"], notice["kind"]) == ("incident.opened", INCIDENT_OF_CAUSE[cause])

    world.simulator.heal(rule)
    assert world.services("ServeApi").incidents.release(INCIDENT_OF_CAUSE[cause])
    world.run_until_idle()
    assert [len(ids(world, job_id, "results")) for job_id in jobs] == [4, 4]
    assert len(world.paid_batches()) == 2
    assert [each["event"] for each in world.notices[1:]] == ["job.finished"] * 2


@pytest.mark.parametrize("operation", ["batches.create", "batches.list", "batches.results"])
def test_a_limit_that_passes_by_itself_holds_nothing(world: World, operation: Operation) -> None:
    world.simulator.fail(Refuse(cause="ramp_limit"), Match(operation=operation), times=2)
    job_id = run(world, requests(4))

    assert len(ids(world, job_id, "results")) == 4
    assert [notice["event"] for notice in world.notices] == ["job.finished"]


def test_what_every_request_of_a_batch_is_refused_for_alike_holds_the_job_alone(world: World) -> None:
    rule = world.simulator.fail(Result(cause="unknown_refusal"))
    job_id = world.upload("rivers.jsonl", requests(5)).job_id
    holds = 0
    for _ in holds_of(world, job_id):
        hold = world.job(job_id).hold
        assert hold is not None
        assert hold.kind == "refused"
        assert CAUSES["unknown_refusal"].message in hold.reason
        assert world.services().incidents.list_open() == ()
        world.simulator.heal(rule)
        holds += 1

    assert holds == 1
    assert len(ids(world, job_id, "results")) == 5
    assert [notice["event"] for notice in world.notices] == ["job.held", "job.finished"]


def test_what_is_refused_alike_once_more_after_a_release_is_the_requests_own(world: World) -> None:
    world.simulator.fail(Result(cause="unknown_refusal"))
    job_id = world.upload("rivers.jsonl", requests(5)).job_id

    assert len(list(holds_of(world, job_id))) == 1
    assert len(ids(world, job_id, "errors")) == 5
    assert summary(world, job_id)["totals"]["balanced"]


def test_a_batch_that_claude_does_not_take_in_unknown_words_is_held_before_it_is_given_up(world: World) -> None:
    world.simulator.fail(Refuse(cause="unknown_refusal"), Match(operation="batches.create"))
    job_id = world.upload("rivers.jsonl", requests(5)).job_id

    assert len(list(holds_of(world, job_id))) == 1
    assert len(ids(world, job_id, "errors")) == 5
    assert [notice["event"] for notice in world.notices] == ["job.held", "job.finished_with_errors"]


def test_a_refused_model_stops_that_model_only(world: World) -> None:
    gone = Result(outcome="errored", error_type="permission_error", message="You may not use model claude-haiku-5-5.")
    rule = world.simulator.fail(gone, Match(prompt=river(1)))
    job_id = world.upload("rivers.jsonl", requests(3)).job_id
    for _ in holds_of(world, job_id):
        (incident,) = world.services().incidents.list_open()
        assert incident.kind == "permission_error:claude-haiku-5-5"
        world.simulator.heal(rule)

    assert len(ids(world, job_id, "results")) == 3
