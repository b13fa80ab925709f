"""What goes wrong on purpose in the demo, scripted in the Claude simulator before the file is dropped."""

from __future__ import annotations

from local.demo.checks import Expected
from simulator.client import Match, Result, Simulator

REFUSED = "017-.*"
OVERLOADED = "(03[0-4])-.*"
EXPIRED = "(11[0-2])-.*"


def script_flaws(simulator: Simulator, lines: int) -> Expected:
    """One request is refused for good; five meet an overloaded server and three expire, each once."""
    refusal = Result(outcome="errored", error_type="invalid_request_error", message="prompt is too long")
    simulator.fail(refusal, Match(custom_id=REFUSED))
    simulator.fail(
        Result(outcome="errored", error_type="overloaded_error", message="Overloaded"),
        Match(custom_id=OVERLOADED),
        times=1,
    )
    simulator.fail(Result(outcome="expired"), Match(custom_id=EXPIRED), times=1)
    simulator.set(batch_seconds=3, events_per_second=40)
    return Expected(lines=lines, rejected=2, errored=1, later_wave=8)
