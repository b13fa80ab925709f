"""When to try again: pure arithmetic, with jitter so that what failed together does not return together."""

from __future__ import annotations

from random import Random

# A passing failure of Claude: about 2, 4, 8 ... seconds, at most a quarter of an hour.
TASK_FIRST_SECONDS = 2.0
TASK_LONGEST_SECONDS = 900.0
# An answer that AWS does not take yet: within the function's own time, so within seconds.
WRITE_SECONDS = (0.5, 15.0)
# A callback that was not taken: soon at first, then rarer (Standard Webhooks: retry schedule).
CALLBACK_SECONDS = (5.0, 30.0, 120.0, 600.0, 1800.0, 3600.0, 7200.0)
# A receiver may ask for more time, but not for a day.
LONGEST_RETRY_AFTER_OF_A_RECEIVER = 7200.0
# Work that an incident holds back looks again after half of the incident's age, within these bounds.
HELD_SECONDS = (5.0, 300.0)
_SPREAD = 0.25


def task_delay(attempt: int, retry_after: float | None, random: Random) -> float:
    """Return the seconds to wait after failed attempt number ``attempt`` (from 1). ``retry_after`` is a lower bound."""
    backoff = min(TASK_FIRST_SECONDS * 2.0 ** min(attempt - 1, 20), TASK_LONGEST_SECONDS)
    jittered = backoff * random.uniform(0.5, 1.0)
    if retry_after is None:
        return jittered
    return max(jittered, retry_after + min(retry_after, 60.0) * random.uniform(0.0, _SPREAD))


def write_delay(attempt: int, random: Random) -> float:
    """Return the seconds to wait after failed try number ``attempt`` (from 1) to write an answer down."""
    first, longest = WRITE_SECONDS
    return min(first * 2.0 ** min(attempt - 1, 20), longest) * random.uniform(0.5, 1.0)


def callback_delay(attempt: int, retry_after: float | None, random: Random) -> float:
    """Return the seconds to wait after a callback's failed attempt number ``attempt`` (from 1)."""
    base = CALLBACK_SECONDS[min(attempt, len(CALLBACK_SECONDS)) - 1]
    jittered = base * random.uniform(1 - _SPREAD, 1 + _SPREAD)
    return max(jittered, min(retry_after or 0.0, LONGEST_RETRY_AFTER_OF_A_RECEIVER))


def held_delay(age: float, random: Random) -> float:
    """Return the seconds to wait for an incident that has been open for ``age`` seconds."""
    low, high = HELD_SECONDS
    return min(max(age / 2, low), high) * random.uniform(1 - _SPREAD, 1 + _SPREAD)
