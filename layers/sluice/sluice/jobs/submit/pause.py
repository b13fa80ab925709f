"""How long to wait before a submission is tried again, and the pause that one refusal gives to all of them.

Claude's API limits how many requests wait in the batches of an account (Claude API: Rate limits). A job with many
shards meets that limit for hours. Without a pause in common, each of its shards would send its hundreds of megabytes
again and again to be told the same.
"""

from __future__ import annotations

import random
from dataclasses import dataclass

from sluice.aws.dynamodb import Key, Table, Update
from sluice.aws.sqs import MAX_DELAY_SECONDS
from sluice.errors import ConditionFailed

_FIRST_SECONDS = 15.0
# More than this is not believed: whoever asks for a month's wait has made a mistake, and nobody would hear of it.
_LONGEST_ASKED_SECONDS = 3600.0
# Those who wait for the same moment come back one after the other.
_SPREAD = 0.25
_KEY = Key("PAUSE#batches", "PAUSE")


def retry_delay(attempt: int, retry_after: float | None = None) -> float:
    """Return the seconds until the next try: what Claude asked for, an hour at most, or else longer each time."""
    seconds: float
    if retry_after is None:
        seconds = min(_FIRST_SECONDS * 2 ** min(attempt, 10), MAX_DELAY_SECONDS)
    else:
        seconds = min(retry_after, _LONGEST_ASKED_SECONDS)
    return seconds * random.uniform(1, 1 + _SPREAD)  # noqa: S311  jitter, not a secret


@dataclass(frozen=True, slots=True)
class SubmissionPause:
    """Until when no batch is to be created. Each method is one call of the table."""

    table: Table

    def until(self) -> float:
        """Return the end of the pause in epoch seconds; 0 where there never was one."""
        item = self.table.get(_KEY)
        return float(item["until"]) if item else 0.0

    def extend(self, until: float) -> None:
        """Wait at least until then."""
        update = Update(
            _KEY, set={"until": until}, condition="attribute_not_exists(#until) OR #until < :until_set", create=True
        )
        try:
            self.table.update(update)
        except ConditionFailed:
            return
