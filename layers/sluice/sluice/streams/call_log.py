"""What is left of a call when it is over: one line in the log, and the account of its key.

No prompt, answer or key is in either. The line is JSON, for CloudWatch Logs Insights.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from sluice.access.guard import Caller, Guard
from sluice.access.usage import AnswerUsage
from sluice.claude.events import TokenCounts
from sluice.errors import ClaudeError, RequestError, SluiceError, describe_error
from sluice.streams.errors import CutCode

Outcome = Literal["succeeded", "cut", "refused", "client_gone", "interrupted"]
Log = Callable[[str], None]

_DEFECT: CutCode = "internal_error"


@dataclass(slots=True)
class CallReport:
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
    usage: TokenCounts = field(default_factory=TokenCounts)
    cost: float | None = None
    cause: Mapping[str, Any] = field(default_factory=dict)
    started: float = field(default_factory=time.monotonic)

    def note_first_byte(self) -> None:
        """Take the time of the first byte that goes to the client."""
        self.first_byte_ms = self._elapsed_ms()

    def note_failure(self, error: Exception, outcome: Outcome) -> None:
        """Take over what went wrong: its type and its code; not the message of one that may quote the request."""
        self.outcome = outcome
        if isinstance(error, SluiceError):
            self.error_type = getattr(error, "error_type", error.type)
            self.error_code = getattr(error, "code", None)
        else:
            self.error_type, self.error_code = SluiceError.type, _DEFECT
        if not isinstance(error, (RequestError, ClaudeError)):
            self.cause = describe_error(error)

    @property
    def has_defect(self) -> bool:
        """Whether a defect of our own has ended the call; one that it only reads of, in a log, has no cause here."""
        return self.error_code == _DEFECT and bool(self.cause)

    def encode(self) -> str:
        """Return the line for the log."""
        self.duration_ms = self._elapsed_ms()
        values = {name: getattr(self, name) for name in self.__slots__ if name not in ("started", "usage", "cause")}
        values |= {name: getattr(self.usage, name) for name in TokenCounts.__slots__}
        values |= self.cause
        line = {
            "level": self._level(),
            "message": "call",
            **{name: value for name, value in values.items() if value is not None},
        }
        return json.dumps(line, separators=(",", ":"))

    def _level(self) -> str:
        if self.has_defect:
            return "ERROR"
        if self.outcome in ("cut", "interrupted"):
            return "WARNING"
        return "INFO" if self.outcome in ("succeeded", "client_gone") or self.status < 500 else "ERROR"

    def _elapsed_ms(self) -> int:
        return round((time.monotonic() - self.started) * 1000)


class CallLog:
    """Settles each call once."""

    def __init__(self, guard: Guard, log: Log, service: str = "") -> None:
        self._guard = guard
        self._log = log
        self._service = service

    def record(self, report: CallReport, caller: Caller | None) -> None:
        """Account for what a call has used and log it. Whatever fails in it, the answer that went out stays good."""
        usage = report.usage
        used = usage.input_tokens or usage.output_tokens or usage.cache_read_input_tokens
        if caller is not None and used:
            try:
                report.cost = _estimate_cost(report.model or "", usage)
                self._guard.account(caller, _spent(report))
            except Exception as error:  # noqa: BLE001  the line of the call has to be written all the same
                self._log(_unaccounted_line(report, error))
        self._log(report.encode())
        if report.has_defect:
            self._log(_metric_line(self._service))


def note_try(log: Log, failure: SluiceError, tries: int, wait_seconds: float) -> None:
    """Log a try that is followed by another, at the level DEBUG; not Claude's words, which may quote the request."""
    values = {"level": "DEBUG", "message": "asking Claude again", "error_class": type(failure).__name__}
    counts = {"status": failure.status, "tries": tries, "wait_seconds": round(wait_seconds, 3)}
    log(json.dumps(values | counts, separators=(",", ":")))


def _spent(report: CallReport) -> AnswerUsage:
    usage = report.usage
    return AnswerUsage(
        succeeded=report.outcome == "succeeded",
        input_tokens=usage.input_tokens,
        output_tokens=usage.output_tokens,
        cache_write_tokens=usage.cache_creation_input_tokens,
        cache_read_tokens=usage.cache_read_input_tokens,
        cost=report.cost or 0.0,
    )


def _estimate_cost(model: str, usage: TokenCounts) -> float | None:
    from sluice.claude.prices import estimate_cost

    return estimate_cost(
        model,
        input_tokens=usage.input_tokens,
        output_tokens=usage.output_tokens,
        cache_write_tokens=usage.cache_creation_input_tokens,
        cache_read_tokens=usage.cache_read_input_tokens,
    )


def _unaccounted_line(report: CallReport, error: Exception) -> str:
    reason = type(error).__name__
    line = {"level": "ERROR", "message": "not accounted", "reason": reason, "request_id": report.request_id}
    return json.dumps(line, separators=(",", ":"))


def _metric_line(service: str) -> str:
    """Return a metric as CloudWatch reads it from a log (CloudWatch: Embedded metric format).

    A defect is answered, so that Lambda counts no error for it.
    """
    definition = {"Namespace": "Sluice", "Dimensions": [["service"]], "Metrics": [{"Name": "Defects", "Unit": "Count"}]}
    about = {"Timestamp": round(time.time() * 1000), "CloudWatchMetrics": [definition]}
    return json.dumps({"_aws": about, "service": service, "Defects": 1}, separators=(",", ":"))
