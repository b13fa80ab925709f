"""Waves: which requests are sent again, which are not, and when. Without I/O.

What failed for a passing reason, or expired, is sent again with the next wave, up to a limit. What failed because of
the key or the bill goes on too, past the limit, since it waits for a person. So does what was refused for its own sake,
a permission or a model, until a release does not help it. The rest is final.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum

from sluice.backoff import Backoff
from sluice.claude.errors import classify_result_error
from sluice.jobs.model import LONGEST_WAIT_SECONDS
from sluice.jobs.results import CANCELED, CUT_OFF_REASON, ERRORED, EXPIRED, Result

# Waves past the limit, for what waited for a person or is asked again with a larger max_tokens: an end must come.
EXTRA_WAVES = 10
# A person who has released a refused shard so often has seen that it does not help.
_MAX_REFUSALS = 3


class ResultKind(IntEnum):
    """How a request came out of one wave."""

    MISSING = 0
    SUCCEEDED = 1
    FAILED = 2
    TRANSIENT = 3
    EXPIRED = 4
    ACCOUNT = 5
    CANCELED = 6
    CUT_OFF = 7
    # Systemic as well, and perhaps the request's own matter: another one may name another model.
    REFUSED = 8


_OF_A_REQUEST = frozenset({"permission_error", "not_found_error"})
_KIND_OF_CLASS = {"transient": ResultKind.TRANSIENT, "permanent": ResultKind.FAILED, "account": ResultKind.ACCOUNT}


class Decision(IntEnum):
    """What follows from it. LONGER: the answer is kept, and asked for again with a larger ``max_tokens``.

    KEPT: asking again failed, so that the answer kept from an earlier wave stands.
    """

    ANSWER = 0
    ERROR = 1
    AGAIN = 2
    LONGER = 3
    KEPT = 4


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """``max_waves``: how often a request is sent at most; ``delay_seconds`` before the first repetition.

    ``retry_max_tokens`` asks again for answers that a smaller ``max_tokens`` cut off; None: they stay as they are.
    """

    max_waves: int
    delay_seconds: float
    retry_max_tokens: int | None = None


def result_kind(result: Result) -> ResultKind:
    """Say how a request came out. A type of result that we do not know is no success, and is not paid for again."""
    match result.type:
        case "succeeded" if result.message is not None:
            return ResultKind.CUT_OFF if result.message.stop_reason == CUT_OFF_REASON else ResultKind.SUCCEEDED
        case "errored":
            error = result.inner_error
            code = error.details.error_code if error.details else None
            kind = _KIND_OF_CLASS[classify_result_error(error.type, error.message, code)]
            return ResultKind.REFUSED if kind is ResultKind.ACCOUNT and error.type in _OF_A_REQUEST else kind
        case "expired":
            return ResultKind.EXPIRED
        case "canceled":
            return ResultKind.CANCELED
        case _:
            return ResultKind.FAILED


def error_name(result: Result) -> str:
    """Name the error of a result that is no success, in the API's words."""
    if result.type == ERRORED:
        return result.inner_error.type or "unknown_error"
    return result.type if result.type in (CANCELED, EXPIRED) else f"unknown_result_{result.type[:32]}"


def is_refused_for_good(refusals: int, kinds: bytes | bytearray) -> bool:
    """Return whether a refusal in a wave with these fates, after ``refusals`` waves with one, is final.

    What was released, sent again and refused again, while others succeed, is not refused for the account's sake.
    """
    others_succeed = ResultKind.SUCCEEDED in kinds or ResultKind.CUT_OFF in kinds
    return refusals >= (1 if others_succeed else _MAX_REFUSALS)


def decisions(
    policy: RetryPolicy, wave: int, transient_waves: int, *, cancelled: bool, refused_for_good: bool = False
) -> Mapping[ResultKind, Decision]:
    """Say what follows from each fate, in a wave after ``passes`` waves that were spent on passing failures."""
    can_go_on = not cancelled and wave + 1 < policy.max_waves + EXTRA_WAVES
    passing = Decision.AGAIN if can_go_on and transient_waves + 1 < policy.max_waves else Decision.ERROR
    return {
        ResultKind.MISSING: passing,
        ResultKind.SUCCEEDED: Decision.ANSWER,
        ResultKind.FAILED: Decision.ERROR,
        ResultKind.TRANSIENT: passing,
        ResultKind.EXPIRED: passing,
        ResultKind.ACCOUNT: Decision.AGAIN if can_go_on else Decision.ERROR,
        ResultKind.CANCELED: Decision.ERROR,
        ResultKind.CUT_OFF: Decision.LONGER if can_go_on and policy.retry_max_tokens else Decision.ANSWER,
        ResultKind.REFUSED: Decision.AGAIN if can_go_on and not refused_for_good else Decision.ERROR,
    }


@dataclass(frozen=True, slots=True)
class NextWaveDelay:
    """``passes`` of the next wave, and the seconds until it may be sent."""

    transient_waves: int
    seconds: float


def delay_before_next_wave(policy: RetryPolicy, transient_waves: int, kinds: Mapping[ResultKind, int]) -> NextWaveDelay:
    """Say how the next wave waits: longer each time for passing errors, up to two hours; not at all for what has only
    expired.

    ``fates`` counts those that are sent again.
    """
    counted = kinds.get(ResultKind.TRANSIENT, 0) + kinds.get(ResultKind.EXPIRED, 0) + kinds.get(ResultKind.MISSING, 0)
    backoff = Backoff(policy.delay_seconds, LONGEST_WAIT_SECONDS, jitter=0.0)
    seconds = backoff.delay(transient_waves + 1) if kinds.get(ResultKind.TRANSIENT) else 0.0
    return NextWaveDelay(transient_waves + 1 if counted else transient_waves, seconds)
