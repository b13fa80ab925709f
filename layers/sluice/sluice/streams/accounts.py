"""What is left of a call when it is over: one line in the log, and the account of its key.

No prompt, answer or key is in either. The line is JSON, for CloudWatch Logs Insights.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal

from sluice.access.guard import Caller, Guard
from sluice.access.spending import Spent
from sluice.claude.events import Usage
from sluice.errors import SluiceError

Outcome = Literal["succeeded", "cut", "refused", "client_gone", "interrupted"]
Log = Callable[[str], None]


@dataclass(slots=True)
class Report:
    """What is known of one call. Times in milliseconds from its start; tokens and cost where an answer came."""

    request_id: str
    route: str = ""
    mode: str = ""
    outcome: Outcome = "refused"
    status: int = 0
    error_type: str | None = None
    error_code: str | None = None
    caller: str | None = None
    model: str | None = None
    stop_reason: str | None = None
    tries: int = 0
    events: int = 0
    continuations: int = 0
    claude_request_id: str | None = None
    stream_id: str | None = None
    first_byte_ms: int | None = None
    duration_ms: int = 0
    usage: Usage = field(default_factory=Usage)
    cost: float | None = None
    started: float = field(default_factory=time.monotonic)

    def note_first_byte(self) -> None:
        """Take the time of the first byte that goes to the client."""
        self.first_byte_ms = self._elapsed_ms()

    def note_failure(self, error: SluiceError, outcome: Outcome) -> None:
        """Take over what went wrong: its type and its code, not its message, which may quote the request."""
        self.outcome = outcome
        self.error_type = getattr(error, "error_type", error.type)
        self.error_code = getattr(error, "code", None)

    def encode(self) -> str:
        """Return the line for the log."""
        self.duration_ms = self._elapsed_ms()
        values = {name: getattr(self, name) for name in self.__slots__ if name not in ("started", "usage")}
        values |= {name: getattr(self.usage, name) for name in Usage.__slots__}
        level = "INFO" if self.outcome in ("succeeded", "client_gone") or self.status < 500 else "ERROR"
        if self.outcome in ("cut", "interrupted"):
            level = "WARNING"
        line = {
            "level": level,
            "message": "call",
            **{name: value for name, value in values.items() if value is not None},
        }
        return json.dumps(line, separators=(",", ":"))

    def _elapsed_ms(self) -> int:
        return round((time.monotonic() - self.started) * 1000)


class Accounts:
    """Settles each call once."""

    def __init__(self, guard: Guard, log: Log) -> None:
        self._guard = guard
        self._log = log

    def settle(self, report: Report, caller: Caller | None) -> None:
        """Account for what a call has used and log it. Whatever fails in it, the answer that went out stays good."""
        usage = report.usage
        used = usage.input_tokens or usage.output_tokens or usage.cache_read_input_tokens
        if caller is not None and used:
            report.cost = _estimate_cost(report.model or "", usage)
            try:
                self._guard.account(caller, _spent(report))
            except SluiceError as error:
                self._log(_account_line(report, error))
        self._log(report.encode())


def _spent(report: Report) -> Spent:
    usage = report.usage
    return Spent(
        succeeded=report.outcome == "succeeded",
        input_tokens=usage.input_tokens,
        output_tokens=usage.output_tokens,
        cache_write_tokens=usage.cache_creation_input_tokens,
        cache_read_tokens=usage.cache_read_input_tokens,
        cost=report.cost or 0.0,
    )


def _estimate_cost(model: str, usage: Usage) -> float | None:
    from sluice.claude.prices import estimate_cost  # after the answer: a cold start need not wait for the price list

    return estimate_cost(
        model,
        input_tokens=usage.input_tokens,
        output_tokens=usage.output_tokens,
        cache_write_tokens=usage.cache_creation_input_tokens,
        cache_read_tokens=usage.cache_read_input_tokens,
    )


def _account_line(report: Report, error: SluiceError) -> str:
    reason = type(error).__name__
    line = {"level": "ERROR", "message": "not accounted", "reason": reason, "request_id": report.request_id}
    return json.dumps(line, separators=(",", ":"))
