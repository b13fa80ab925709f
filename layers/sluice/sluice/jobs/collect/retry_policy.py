"""The retry policy of batches: which requests are sent again after a wave, which are not, and when. Without I/O.

A wave is one sending of a shard's requests, in one batch; the next wave holds those of them that are retried. What
failed with a transient error, or expired, is retried up to a limit of waves. What failed because of the key or the bill
is retried past the limit, since it waits for a person. So is what was refused for its own sake, a permission or a
model, until a release does not help it. The rest is final.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum

from sluice.backoff import Backoff
from sluice.claude.errors import classify_error
from sluice.jobs.model import LONGEST_WAIT_SECONDS
from sluice.jobs.results import CANCELED, CUT_OFF_REASON, ERRORED, EXPIRED, Result

# Waves past the limit, for what waited for a person or is asked again with a larger max_tokens: an end must come.
EXTRA_WAVES = 10
# A person who has released a refused shard so often has seen that it does not help.
_MAX_REFUSALS = 3


class ResultKind(IntEnum):
    """What kind of result a request has after one wave."""

    MISSING = 0
    SUCCEEDED = 1
    PERMANENT_ERROR = 2
    TRANSIENT_ERROR = 3
    EXPIRED = 4
    ACCOUNT_ERROR = 5
    CANCELED = 6
    CUT_OFF = 7
    # An error of its model, or one that all requests have in common: it waits for a person, and may be final then.
    REFUSED = 8
    # Answers that are none, or a part of one; they are paid for, and stand.
    REFUSAL = 9
    PAUSED = 10
    WINDOW_FULL = 11


# Claude API: Stop reasons.
KIND_OF_STOP_REASON: Mapping[str | None, ResultKind] = {
    CUT_OFF_REASON: ResultKind.CUT_OFF,
    "refusal": ResultKind.REFUSAL,
    "pause_turn": ResultKind.PAUSED,
    "model_context_window_exceeded": ResultKind.WINDOW_FULL,
}
_STOP_REASON_OF_KIND = {kind: reason for reason, kind in KIND_OF_STOP_REASON.items() if reason}
_ANSWERED = (ResultKind.SUCCEEDED, *_STOP_REASON_OF_KIND)
_KIND_OF_CLASS = {
    "transient": ResultKind.TRANSIENT_ERROR,
    "request": ResultKind.PERMANENT_ERROR,
    "model": ResultKind.REFUSED,
    "account": ResultKind.ACCOUNT_ERROR,
}


class Decision(IntEnum):
    """What becomes of a request. RETRY_LONGER: its answer is kept, and asked for again with a larger ``max_tokens``.

    KEPT_ANSWER: asking again failed, so that the answer kept from an earlier wave stands.
    """

    ANSWER = 0
    ERROR = 1
    RETRY = 2
    RETRY_LONGER = 3
    KEPT_ANSWER = 4


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """``max_waves``: how often a request is sent at most; ``delay_seconds`` before the first retry.

    ``retry_max_tokens`` asks again for answers that a smaller ``max_tokens`` cut off; None: they stay as they are.
    """

    max_waves: int
    delay_seconds: float
    retry_max_tokens: int | None = None


def result_kind(result: Result) -> ResultKind:
    """Return the kind of a result. A type that we do not know is no success, and is not paid for again."""
    match result.type:
        case "succeeded" if result.message is not None:
            return KIND_OF_STOP_REASON.get(result.message.stop_reason, ResultKind.SUCCEEDED)
        case "errored":
            error = result.inner_error
            return _KIND_OF_CLASS[classify_error(error.type, error.code, message=error.message)]
        case "expired":
            return ResultKind.EXPIRED
        case "canceled":
            return ResultKind.CANCELED
        case _:
            return ResultKind.PERMANENT_ERROR


def error_name(result: Result) -> str:
    """Return the name of the error of a result that is no success, in the API's words."""
    if result.type == ERRORED:
        return result.inner_error.type or "unknown_error"
    return result.type if result.type in (CANCELED, EXPIRED) else f"unknown_result_{result.type[:32]}"


def is_refused_for_good(refusals: int, kinds: bytes | bytearray) -> bool:
    """Return whether a refusal in a wave with these kinds of results, after ``refusals`` waves with one, is final.

    What was released, sent again and refused again, while others succeed, is not refused for the account's sake.
    """
    others_succeed = any(kind in kinds for kind in _ANSWERED)
    return refusals >= (1 if others_succeed else _MAX_REFUSALS)


def decisions_by_kind(
    policy: RetryPolicy, wave: int, transient_waves: int, *, cancelled: bool, refused_for_good: bool = False
) -> Mapping[ResultKind, Decision]:
    """Return what becomes of each kind, in a wave after ``transient_waves`` that were spent on transient failures."""
    can_go_on = not cancelled and wave + 1 < policy.max_waves + EXTRA_WAVES
    transient = Decision.RETRY if can_go_on and transient_waves + 1 < policy.max_waves else Decision.ERROR
    return {
        ResultKind.MISSING: transient,
        ResultKind.SUCCEEDED: Decision.ANSWER,
        ResultKind.PERMANENT_ERROR: Decision.ERROR,
        ResultKind.TRANSIENT_ERROR: transient,
        ResultKind.EXPIRED: transient,
        ResultKind.ACCOUNT_ERROR: Decision.RETRY if can_go_on else Decision.ERROR,
        ResultKind.CANCELED: Decision.ERROR,
        ResultKind.REFUSAL: Decision.ANSWER,
        ResultKind.PAUSED: Decision.ANSWER,
        ResultKind.WINDOW_FULL: Decision.ANSWER,
        ResultKind.CUT_OFF: Decision.RETRY_LONGER if can_go_on and policy.retry_max_tokens else Decision.ANSWER,
        ResultKind.REFUSED: Decision.RETRY if can_go_on and not refused_for_good else Decision.ERROR,
    }


def count_incomplete(kinds: bytes | bytearray, by_place: bytes | bytearray) -> dict[str, int]:
    """Count the answers that stand and are not whole, by their stop reason. An answer kept from before was cut off."""
    counts = Counter({CUT_OFF_REASON: by_place.count(Decision.KEPT_ANSWER)})
    if any(kind in kinds for kind in _STOP_REASON_OF_KIND):
        for kind, decision in zip(kinds, by_place, strict=True):
            if decision == Decision.ANSWER and (reason := _STOP_REASON_OF_KIND.get(ResultKind(kind))):
                counts[reason] += 1
    return {reason: number for reason, number in counts.items() if number}


@dataclass(frozen=True, slots=True)
class NextWaveDelay:
    """``transient_waves`` of the next wave, and the seconds until it may be sent."""

    transient_waves: int
    seconds: float


def delay_before_next_wave(policy: RetryPolicy, transient_waves: int, kinds: Mapping[ResultKind, int]) -> NextWaveDelay:
    """Return how the next wave waits: longer each time for transient errors, up to two hours; not at all where requests
    have only expired.

    ``kinds`` counts the requests that are retried.
    """
    counted = any(kinds.get(kind) for kind in (ResultKind.TRANSIENT_ERROR, ResultKind.EXPIRED, ResultKind.MISSING))
    backoff = Backoff(policy.delay_seconds, LONGEST_WAIT_SECONDS, jitter=0.0)
    seconds = backoff.delay(transient_waves + 1) if kinds.get(ResultKind.TRANSIENT_ERROR) else 0.0
    return NextWaveDelay(transient_waves + 1 if counted else transient_waves, seconds)
