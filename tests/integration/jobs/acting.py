"""A small job from its upload to its end, with a person who acts right before one of the calls of its functions.

What a function has read by then is old when it writes: whatever the person does, the job has to end whole, and with the
notices that are true.
"""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, replace

from simulator.client import Match, Refuse, Result, Simulator, running_simulator
from sluice.errors import Conflict, NotFound
from sluice.jobs.control import cancel_job, release_job
from sluice.jobs.model import JobStatus
from tests.integration.jobs.job_maker import request_line
from tests.integration.jobs.world import World, new_world
from tests.world.calls import Call

LINES = [request_line(f"r-{number}", f"Name river {number}.") for number in range(4)]
SETTINGS = "in/sluice.yaml"
_AUTH = Refuse(status=401, error_type="authentication_error", message="invalid x-api-key")
_BILL = Result(outcome="errored", error_type="billing_error", message="Your credit balance is too low to go on.")


@dataclass(frozen=True)
class Ending:
    """What can be seen of a job when all is quiet. ``act_at`` is the number of the call that the person came before."""

    calls: tuple[Call, ...]
    status: str
    succeeded: int
    lines: int
    balanced: bool
    open_incidents: tuple[str, ...]
    pending: tuple[str, ...]
    dead_letters: int
    notices: tuple[str, ...]
    paid: int


Prepare = Callable[[World], None]
Act = Callable[[World], object]


@dataclass(frozen=True)
class Scene:
    """What troubles a job, and what a person does about it. ``acts_at_rest``: also once all is quiet, if need be."""

    prepare: Prepare
    act: Act


def _job_id(world: World) -> str | None:
    found = [item.job_id for item in world.job_table.open() if hasattr(item, "job_id")]
    return found[0] if found else None


def _release(world: World) -> None:
    """Put right what is wrong, and release the job."""
    world.simulator.heal()
    if job_id := _job_id(world):
        with suppress(Conflict, NotFound):
            release_job(world.services("ServeApi"), job_id)


def _cancel(world: World) -> None:
    world.simulator.heal()
    if job_id := _job_id(world):
        with suppress(Conflict, NotFound):
            cancel_job(world.services("ServeApi"), job_id)


def _correct(world: World) -> None:
    world.upload(SETTINGS, b"max_tokens: 50\n")


def _deliver_again(world: World) -> None:
    """Deliver each message that is there once more, also those that another copy of a function works on."""
    for queue_message in list(world.queues.messages):
        world.deliver(replace(queue_message), keep=True)


def _broken_settings(world: World) -> None:
    world.upload(SETTINGS, b"max_tokens: many\n")
    world.deliver_all()


SCENES: Mapping[str, Scene] = {
    "a key that is put right": Scene(lambda world: _fail(world, _AUTH, Match(operation="batches.create")), _release),
    "a list that is refused": Scene(lambda world: _fail(world, _AUTH, Match(operation="batches.list")), _release),
    "credit that is bought": Scene(lambda world: _fail(world, _BILL, Match(prompt="river 1")), _release),
    "settings that are corrected": Scene(_broken_settings, _correct),
    "a job that is cancelled": Scene(lambda _: None, _cancel),
    "a held job that is cancelled": Scene(
        lambda world: _fail(world, _AUTH, Match(operation="batches.create")), _cancel
    ),
    "a second delivery": Scene(lambda _: None, _deliver_again),
}


def _fail(world: World, fault: Refuse | Result, match: Match) -> None:
    world.simulator.fail(fault, match)


def run(simulator: Simulator, name: str, act_at: int | None = None) -> Ending:
    """Run a job of two shards; the person acts before the call with that number, and at rest where it waits still."""
    scene = SCENES[name]
    with new_world(simulator, MaxShardRequests="2") as world:
        scene.prepare(world)
        if act_at is not None:
            world.calls.interrupt[len(world.calls.made) + act_at] = lambda: _by_another(world, scene.act)
        first = len(world.calls.made)
        job_id = world.upload("in/rivers.jsonl", b"".join(LINES)).job_id
        if not _comes_to_rest(world):
            assert world.job(job_id).status is JobStatus.HELD
            scene.act(world)
            world.run_until_idle()
        return _observe(world, job_id, first)


def _comes_to_rest(world: World) -> bool:
    """Go on until nothing is open; False where a job waits for a person."""
    for _ in range(40):
        moved = world.deliver_all()
        world.poll()
        moved += world.deliver_all()
        if not world.queues.messages and not world.is_open():
            return True
        if not moved and not world.queues.messages and _all_wait(world):
            return False
        world.clock.advance(180.0)
    raise AssertionError(f"It does not come to rest: {[(each.queue, each.body) for each in world.queues.messages]}")


def _all_wait(world: World) -> bool:
    world.poll()
    job_id = _job_id(world)
    return job_id is not None and world.job(job_id).status is JobStatus.HELD


def _by_another(world: World, act: Act) -> None:
    """Let somebody else act in the middle of a function's call."""
    calls = world.calls
    step, calls.step = calls.step, None
    try:
        with world.rights.of(None):
            act(world)
    finally:
        calls.step = step


def _observe(world: World, job_id: str, first: int) -> Ending:
    job = world.job(job_id)
    return Ending(
        calls=tuple(world.calls.made[first:]),
        status=str(job.status),
        succeeded=job.tally.succeeded if job.tally else 0,
        lines=job.tally.lines if job.tally else 0,
        balanced=job.tally.balanced if job.tally else True,
        open_incidents=tuple(each.kind for each in world.services().incidents.list_open()),
        pending=tuple(name for name, state in job.notices.items() if state == "pending"),
        dead_letters=len(world.dead),
        notices=tuple(notice["event"] for notice in world.notices),
        paid=len(world.paid_batches()),
    )


_open = ExitStack()
_simulators: list[Simulator] = []


def _start_simulator() -> None:
    _simulators.append(_open.enter_context(running_simulator()))


def _run(case: tuple[str, int | None]) -> Ending:
    return run(_simulators[0], *case)


class Runners:
    """Two processes, each with an AWS and a simulator of its own."""

    def __init__(self, pool: ProcessPoolExecutor) -> None:
        self._pool = pool

    def run_each(self, cases: Sequence[tuple[str, int | None]]) -> list[Ending]:
        return list(self._pool.map(_run, cases))


@contextmanager
def running_runners() -> Iterator[Runners]:
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(2, mp_context=context, initializer=_start_simulator) as pool:
        yield Runners(pool)
