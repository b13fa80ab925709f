"""Starts a simulator, scripts it, and looks into it: for tests, benchmarks and the embedded stack.

with running_simulator(batch_seconds=0) as simulator:
    simulator.fail(Refuse(status=529), Match(operation="messages"), times=2)
    simulator.answer(Reply(text="Hello"), Match(prompt="Say hello"))
    ... Anthropic(base_url=simulator.base_url, api_key=simulator.api_key) ...
    assert len(simulator.batches()) == 1
"""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

import httpx2
import msgspec

from simulator.control import Added, ClockState, Health, RuleState
from simulator.faults import Action, BatchTime, Break, Delay, Fault, Hide, Lose, Pace, Refuse, Result
from simulator.record import Exchange, Summary
from simulator.replies import Reply, ReplyRule
from simulator.rules import Match
from simulator.state import Settings
from simulator.store import BatchRecord

__all__ = [
    "API_KEY",
    "BatchRecord",
    "BatchTime",
    "Break",
    "Delay",
    "Exchange",
    "Hide",
    "Lose",
    "Match",
    "Pace",
    "Refuse",
    "Reply",
    "Result",
    "Simulator",
    "running_simulator",
]

API_KEY = "sk-ant-simulator"
_ANYTHING = Match()
_REPOSITORY = Path(__file__).resolve().parents[1]

T = TypeVar("T")


class Simulator:
    """A running simulator. Raises httpx2.HTTPStatusError for what its control API refuses."""

    api_key = API_KEY

    def __init__(self, base_url: str) -> None:
        self.base_url = base_url.rstrip("/")
        self._http = httpx2.Client(base_url=f"{self.base_url}/_simulator", timeout=60, trust_env=False)

    def close(self) -> None:
        """Close the connections to it; it runs on."""
        self._http.close()

    def fail(
        self,
        action: Action,
        match: Match = _ANYTHING,
        *,
        times: int | None = None,
        skip: int = 0,
        share: float = 1.0,
        seed: int = 0,
    ) -> str:
        """Script a fault; returns the id of the rule."""
        rule = Fault(match=match, action=action, times=times, skip=skip, share=share, seed=seed)
        return self._call("POST", "faults", Added, rule).ids[0]

    def answer(
        self,
        reply: Reply,
        match: Match = _ANYTHING,
        *,
        times: int | None = None,
        skip: int = 0,
        share: float = 1.0,
        seed: int = 0,
    ) -> str:
        """Script the shape of answers; returns the id of the rule."""
        rule = ReplyRule(match=match, reply=reply, times=times, skip=skip, share=share, seed=seed)
        return self._call("POST", "replies", Added, rule).ids[0]

    def faults(self) -> list[RuleState[Fault]]:
        """The scripted faults, and how often each acted."""
        return self._call("GET", "faults", list[RuleState[Fault]])

    def heal(self, rule_id: str | None = None) -> None:
        """Forget all faults, or one."""
        self._call("DELETE", f"faults/{rule_id}" if rule_id else "faults", list[RuleState[Fault]])

    def forget_answers(self) -> None:
        """Forget all scripted answers."""
        self._call("DELETE", "replies", list[RuleState[ReplyRule]])

    def requests(self, operation: str | None = None, *, after: int = 0) -> list[Exchange]:
        """The API calls so far, oldest first; of one operation, and with a number above `after`."""
        query = f"requests?after={after}" + (f"&operation={operation}" if operation else "")
        return self._call("GET", query, list[Exchange])

    def batches(self) -> list[BatchRecord]:
        """Every batch that was made, oldest first: what is paid for."""
        return self._call("GET", "batches", list[BatchRecord])

    def end_batch(self, batch_id: str) -> BatchRecord:
        """End a batch now; returns when its results are there."""
        return self._call("POST", f"batches/{batch_id}/end", BatchRecord)

    def summary(self) -> Summary:
        """Calls and batches in figures."""
        return self._call("GET", "summary", Summary)

    def advance(self, seconds: float) -> float:
        """Move its clock ahead; returns the simulated time."""
        return self._call("POST", "clock", ClockState, {"advance_seconds": seconds}).now

    def run_at(self, speed: float) -> None:
        """Set the speed of its clock; 0 freezes it."""
        self._call("POST", "clock", ClockState, {"speed": speed})

    def set(
        self,
        *,
        batch_seconds: float | None = None,
        cancel_seconds: float | None = None,
        events_per_second: float | None = None,
    ) -> Settings:
        """Change settings; those that are not given stay."""
        change = {
            "batch_seconds": batch_seconds,
            "cancel_seconds": cancel_seconds,
            "events_per_second": events_per_second,
        }
        return self._call("POST", "settings", Settings, change)

    def pid(self) -> int:
        """The process it runs as."""
        return self._call("GET", "health", Health).pid

    def reset(self) -> None:
        """Forget rules, calls and batches; settings and clock as at the start."""
        self._http.post("/reset").raise_for_status()

    def _call(self, method: str, path: str, kind: type[T], body: object = None) -> T:
        content = None if body is None else msgspec.json.encode(body)
        response = self._http.request(method, f"/{path}", content=content)
        response.raise_for_status()
        return msgspec.json.decode(response.content, type=kind)


@contextmanager
def running_simulator(
    *,
    batch_seconds: float = 0.0,
    cancel_seconds: float = 0.0,
    events_per_second: float = 0.0,
    speed: float = 1.0,
    data_dir: Path | None = None,
) -> Iterator[Simulator]:
    """A simulator in a process of its own, on a free port; ended on leaving, and with this process in any case."""
    command = [sys.executable, "-m", "simulator", "--until-stdin-closes"]
    command += ["--batch-seconds", str(batch_seconds), "--cancel-seconds", str(cancel_seconds)]
    command += ["--events-per-second", str(events_per_second), "--speed", str(speed)]
    command += ["--data-dir", str(data_dir)] if data_dir else []
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=_REPOSITORY) as process:
        try:
            yield from _connected(process)
        finally:
            process.terminate()
            process.wait(10)


def _connected(process: subprocess.Popen[bytes]) -> Iterator[Simulator]:
    assert process.stdout is not None
    base_url = process.stdout.readline().decode().strip()
    if not base_url:
        raise RuntimeError(f"The simulator did not start: it ended with status {process.wait(10)}.")
    simulator = Simulator(base_url)
    try:
        yield simulator
    finally:
        simulator.close()
