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
from sluice.access.usage import AnswerUsage, Reservation
from sluice.claude.events import TokenCounts
from sluice.errors import AccountError, ClaudeError, ModelError, RequestError, SluiceError, describe_error
from sluice.streams.errors import CutCode, StreamCut

Outcome = Literal["succeeded", "cut", "refused", "client_gone", "interrupted"]
Log = Callable[[str], None]

_DEFECT: CutCode = "internal_error"
_NOT_LOGGED = frozenset({"started", "usage", "cause", "answers", "reserved", "lost_answers", "account_error"})


@dataclass(frozen=True, slots=True)
class UsedByAnswer:
    """What one answer of Claude's reports of its use; ``container``: code was run for it."""

    model: str
    usage: Mapping[str, Any]
    container: bool


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
    answers: list[UsedByAnswer] = field(default_factory=list)
    reserved: list[Reservation] = field(default_factory=list)
    lost_answers: int = 0
    account_error: AccountError | None = None
    started: float = field(default_factory=time.monotonic)

    def note_first_byte(self) -> None:
        """Take the time of the first byte that goes to the client."""
        self.first_byte_ms = self._elapsed_ms()

    def take_answer(self, message: Mapping[str, Any]) -> None:
        """Take over what a whole answer reports of its use."""
        usage = message.get("usage")
        self.usage.take(usage)
        if isinstance(usage, dict):
            self.answers.append(UsedByAnswer(self.model or "", usage, bool(message.get("container"))))

    def note_failure(self, error: Exception, outcome: Outcome) -> None:
        """Take over what went wrong: its type and its code; not the message of one that may quote the request."""
        self.outcome = outcome
        if isinstance(error, SluiceError):
            self.error_type = error.error_type
            self.error_code = error.code
        else:
            self.error_type, self.error_code = SluiceError.error_type, _DEFECT
        if not isinstance(error, (RequestError, ClaudeError)):
            self.cause = describe_error(error)
        failure = error.failure if isinstance(error, StreamCut) else error
        if isinstance(failure, AccountError) and not isinstance(failure, ModelError):
            self.account_error = failure

    @property
    def has_defect(self) -> bool:
        """Whether a defect of our own has ended the call; one that it only reads of, in a log, has no cause here."""
        return self.error_code == _DEFECT and bool(self.cause)

    def encode(self) -> str:
        """Return the line for the log."""
        self.duration_ms = self._elapsed_ms()
        values = {name: getattr(self, name) for name in self.__slots__ if name not in _NOT_LOGGED}
        values |= {name: getattr(self.usage, name) for name in TokenCounts.__slots__}
        values |= self.cause
        values |= {"lost_answers": self.lost_answers} if self.lost_answers else {}
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


@dataclass(slots=True)
class Payer:
    """Whose money a call is. Each call of Claude on its behalf is admitted and reserved for, the first and others.

    ``has_turn``: the caller has taken a turn of its rate, with which Claude has not been asked yet.
    """

    guard: Guard
    caller: Caller
    report: CallReport
    has_turn: bool = False

    def admit(self, params: Mapping[str, Any], request_bytes: int) -> None:
        """Let Claude be asked once more. Raises RequestError as the guard does."""
        has_turn, self.has_turn = self.has_turn, False
        self.guard.admit(self.caller, str(params.get("model") or ""), takes_turn=not has_turn)
        self.reserve(params, request_bytes)

    def reserve(self, params: Mapping[str, Any], request_bytes: int) -> None:
        """Take what a call may cost from the budget. Raises BudgetSpent."""
        reservation = self.guard.reserve(self.caller, params, request_bytes)
        if reservation is not None:
            self.report.reserved.append(reservation)

    def note_lost(self) -> None:
        """Note an answer that Claude may charge for, and that nobody has read."""
        self.report.lost_answers += 1


class CallLog:
    """Settles each call once. ``ended`` hears of each, after its line is written."""

    def __init__(
        self, guard: Guard, log: Log, service: str = "", ended: Callable[[CallReport], None] = lambda _: None
    ) -> None:
        self._guard = guard
        self._log = log
        self._service = service
        self._ended = ended

    def record(self, report: CallReport, caller: Caller | None) -> None:
        """Account for what a call has used and log it. Whatever fails in it, the answer that went out stays good."""
        if caller is not None and (report.answers or report.reserved):
            try:
                report.cost = _estimate_cost(report)
                self._guard.account(caller, _spent(report), report.reserved)
            except Exception as error:  # noqa: BLE001  the line of the call has to be written all the same
                self._log(_unaccounted_line(report, error))
        self._log(report.encode())
        if report.has_defect:
            self._log(_metric_line(self._service))
        self._ended(report)


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


def _estimate_cost(report: CallReport) -> float | None:
    """Add up what Claude's answers cost; of those that were lost, all that was reserved. None: not known."""
    from sluice.claude.prices import estimate_usage

    costs = [estimate_usage(each.model, each.usage, container=each.container) for each in report.answers]
    lost = report.lost_answers * max((each.dollars for each in report.reserved), default=0.0)
    known = [cost for cost in costs if cost is not None]
    return sum(known) + lost if known or lost else None


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
