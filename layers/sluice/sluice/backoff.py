"""How long to wait before something is tried again: each schedule of the house, by name. Pure arithmetic.

There is one shape of jitter: a wait of the schedule is made up to ``jitter`` (a share of it) shorter, so that the
longest wait is never exceeded; what the other side asked for (``Retry-After``) is a lower bound, and is made up to the
same share longer, within a longest of its own. How often to try is the caller's decision.
"""

from __future__ import annotations

import random as _random
from collections.abc import Callable
from dataclasses import dataclass
from math import inf

# 3 ** 64 is a float still, and longer than any wait.
_MOST_STEPS = 64


@dataclass(frozen=True, slots=True)
class Backoff:
    """``first`` seconds, then ``factor`` times as long after each attempt, up to ``longest``.

    Whoever asks for more time gets it, up to ``longest_asked`` seconds; with ``obedient``, less time as well.
    """

    first: float
    longest: float
    factor: float = 2.0
    jitter: float = 0.25
    longest_asked: float = inf
    obedient: bool = False

    def delay(
        self, attempt: int, retry_after: float | None = None, random: Callable[[], float] = _random.random
    ) -> float:
        """Return the seconds to wait after failed attempt number ``attempt``, from 1."""
        seconds = min(self.first * self.factor ** min(attempt - 1, _MOST_STEPS), self.longest)
        share = self.jitter * random()
        if retry_after is None:
            return seconds * (1 - share)
        asked = min(retry_after * (1 + share), self.longest_asked)
        return asked if self.obedient else max(asked, seconds * (1 - share))


@dataclass(frozen=True, slots=True)
class Steps:
    """Waits that are listed, in seconds; the last one is repeated. Otherwise as ``Backoff``."""

    seconds: tuple[float, ...]
    jitter: float = 0.25
    longest_asked: float = inf

    def delay(
        self, attempt: int, retry_after: float | None = None, random: Callable[[], float] = _random.random
    ) -> float:
        """Return the seconds to wait after failed attempt number ``attempt``, from 1."""
        seconds = self.seconds[min(attempt, len(self.seconds)) - 1]
        return Backoff(seconds, seconds, 1.0, self.jitter, self.longest_asked).delay(1, retry_after, random)


@dataclass(frozen=True, slots=True)
class HalfOfAge:
    """Half as long as the trouble has lasted, between ``shortest`` and ``longest`` seconds."""

    shortest: float
    longest: float
    jitter: float = 0.25

    def delay(self, age: float, random: Callable[[], float] = _random.random) -> float:
        """Return the seconds to wait in a trouble that has lasted for ``age`` seconds."""
        return min(max(age / 2, self.shortest), self.longest) * (1 - self.jitter * random())


# Jobs

# A step of a job that failed: eight receives outlast an outage of an hour.
STEP_FAILED = Backoff(30.0, 1800.0, factor=3.0)
# A submission that was refused: a quarter of an hour at least in the end. More than an hour is not believed: whoever
# asks for a month's wait has made a mistake, and nobody would hear of it. Those who wait for the same moment come back
# one after the other.
SUBMIT = Backoff(20.0, 1200.0, longest_asked=3600.0, obedient=True)
# Results that cannot be read yet, or not whole, are tried for about 45 minutes; after that the queue's own tries count.
RESULTS_NOT_READY = Steps((5.0, 15.0, 30.0, 60.0, 120.0, 240.0, 480.0, 900.0, 900.0), jitter=0.0)
# The first wait before a wave is a setting (WaveDelaySeconds): jobs.collect.retry_policy makes that schedule.

# Tasks

# A transient failure of Claude: about 2, 4, 8 ... seconds, at most a quarter of an hour.
TASK = Backoff(2.0, 900.0)
# After a failure of AWS, a message comes again within 5 to 30 seconds, not after the queue's visibility timeout, which
# is long.
TASK_STEP_FAILED = Backoff(30.0, 30.0, jitter=5 / 6)
# An answer that AWS does not take yet: within the function's own time, so within seconds.
WRITE_ANSWER = Backoff(0.5, 15.0, jitter=0.5)
# Work that an incident holds back.
INCIDENT_HOLD = HalfOfAge(5.0, 300.0)
# A callback that was not taken: soon at first, then rarer (Standard Webhooks: retry schedule). A receiver may ask for
# more time, but not for a day.
CALLBACK = Steps((5.0, 30.0, 120.0, 600.0, 1800.0, 3600.0, 7200.0), longest_asked=7200.0)
# A callback that its owner asks for once more: as often as it is tried by itself at first.
REDELIVER = Steps((5.0, 30.0, 120.0, 600.0), jitter=0.0)
# Callbacks to an endpoint that is left alone wait for as long as it is, and then do not arrive at once.
ENDPOINT_DOWN = Backoff(30.0, 1800.0, jitter=0.5, obedient=True)
# How long an endpoint that is down is left alone, the first time and each time in a row.
BREAKER = Backoff(30.0, 1800.0, jitter=0.2)

# All doors

# Claude, before the first byte of a streamed answer.
CONNECT = Backoff(0.25, 8.0)
# Probes of an incident. Without jitter: a conditional write decides who makes the next one.
INCIDENT_PROBE = HalfOfAge(15.0, 600.0, jitter=0.0)
# Notices that a channel does not take: after MOST_NOTICE_TRIES, some ten hours, nobody waits for them any more.
NOTICE = Backoff(120.0, 3600.0, jitter=0.0)
INCIDENT_NOTICE = Backoff(60.0, 3600.0, jitter=0.0)
MOST_NOTICE_TRIES = 14
# An address that sends wrong keys is told exactly how long it has to wait.
WRONG_KEY = Backoff(60.0, 3600.0, jitter=0.0)
# A transaction that another one got in the way of.
TABLE_CONFLICT = Backoff(0.1, 6.4, jitter=0.8)
# A call of AWS by ``aws.stdlib_client``.
STDLIB_CLIENT = Backoff(0.1, 1.0, jitter=0.5)
