"""One small job from its upload to its end, with functions that die on the way; several such jobs side by side."""

from __future__ import annotations

import json
import multiprocessing
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace

from simulator.client import Match, Result, Simulator, running_simulator
from tests.integration.jobs.job_maker import request_line
from tests.integration.jobs.world import World, new_world
from tests.world.calls import Call

FILE = b"".join(
    (
        request_line("a"),
        request_line("passing", "This one passes."),
        b"not a request\n",
        request_line("hopeless", "This one is hopeless."),
        request_line("d"),
    )
)


@dataclass(frozen=True)
class CrashAt:
    """After the call with this number or, with ``before``, in its place, the function that makes it dies."""

    number: int
    before: bool = False


@dataclass(frozen=True)
class Outcome:
    """What can be seen of a job when all is quiet. ``paid`` and ``asked``: what was made, and what was to be made."""

    calls: tuple[Call, ...]
    status: str
    totals: tuple[int, int, int, int]
    paid: list[str]
    asked: list[str]
    shards: set[str]
    results: list[dict[str, object]]
    errors: list[str]
    rejected: list[int]
    dead_letters: int
    notices: list[tuple[str, str]]
    events: list[tuple[str, str]]

    def without(self, event: str) -> Outcome:
        """The same, but for the notices of an event."""
        notices, events = ([each for each in told if each[0] != event] for told in (self.notices, self.events))
        return replace(self, notices=notices, events=events)


def run(simulator: Simulator, crashes: Sequence[CrashAt] = ()) -> Outcome:
    """Run a job of two shards, a second wave, an error and a rejected line."""
    with new_world(simulator, MaxShardRequests="2") as world:
        overloaded, invalid = (Result(error_type=name) for name in ("overloaded_error", "invalid_request_error"))
        simulator.fail(overloaded, Match(prompt="passes"), times=1)
        simulator.fail(invalid, Match(prompt="hopeless"))
        world.calls.crash(*((crash.number, crash.before) for crash in crashes))
        job_id = world.upload("in/four.jsonl", FILE).job_id
        world.run_until_idle()
        return _observe(world, job_id)


def _observe(world: World, job_id: str) -> Outcome:
    def lines(name: str) -> list[dict[str, object]]:
        return [json.loads(line) for line in world.read("Outbox", f"{job_id}/{name}").splitlines()]

    job, shards = world.job(job_id), world.shards(job_id)
    tally = job.tally
    return Outcome(
        calls=tuple(world.calls.made),
        status=str(job.status),
        totals=(tally.lines, tally.succeeded, tally.errored, tally.rejected) if tally else (0, 0, 0, 0),
        paid=sorted(batch.first_custom_id for batch in world.paid_batches()),
        asked=sorted(shard.nonce for shard in shards),
        shards={str(shard.status) for shard in shards},
        results=[_without_message_id(line) for line in lines("results.jsonl")],
        errors=[str(line["custom_id"]) for line in lines("errors.jsonl")],
        rejected=[int(str(line["line"])) for line in lines("rejected.jsonl")],
        dead_letters=len(world.dead),
        notices=[(notice["event"], notice["notification_id"]) for notice in world.notices],
        events=[(event["event"], event["notification_id"]) for event in world.events],
    )


def _without_message_id(line: dict[str, object]) -> dict[str, object]:
    """A result but for what is new each time that Claude is asked."""
    answer: dict[str, object] = json.loads(json.dumps(line))
    result = answer["result"]
    if isinstance(result, dict):
        result.get("message", {}).pop("id", None)
    return answer


_open = ExitStack()
_simulators: list[Simulator] = []


def _start_simulator() -> None:
    _simulators.append(_open.enter_context(running_simulator()))


def _run(crashes: Sequence[CrashAt]) -> Outcome:
    return run(_simulators[0], crashes)


class Runners:
    """Two processes, each with an AWS and a simulator of its own."""

    def __init__(self, pool: ProcessPoolExecutor) -> None:
        self._pool = pool

    def run_each(self, cases: Sequence[Sequence[CrashAt]]) -> list[Outcome]:
        return list(self._pool.map(_run, cases))


@contextmanager
def running_runners() -> Iterator[Runners]:
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(2, mp_context=context, initializer=_start_simulator) as pool:
        yield Runners(pool)
