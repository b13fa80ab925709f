"""The pause that one refused submission gives to all of them.

Claude's API limits how many requests wait in the batches of an account (Claude API: Rate limits). A job with many
shards meets that limit for hours. Without a pause in common, each of its shards would send its hundreds of megabytes
again and again to be told the same.
"""

from __future__ import annotations

from dataclasses import dataclass

from sluice.aws.dynamodb import Table, Update
from sluice.errors import ConditionFailed
from sluice.table_keys import PAUSE_KEY


@dataclass(frozen=True, slots=True)
class SubmissionPause:
    """Until when no batch is to be created. Each method is one call of the table."""

    table: Table

    def until(self) -> float:
        """Return the end of the pause in epoch seconds; 0 where there never was one."""
        item = self.table.get(PAUSE_KEY)
        return float(item["until"]) if item else 0.0

    def extend(self, until: float) -> None:
        """Wait at least until then."""
        update = Update(
            PAUSE_KEY,
            set={"until": until},
            condition="attribute_not_exists(#until) OR #until < :until_set",
            create=True,
        )
        try:
            self.table.update(update)
        except ConditionFailed:
            return
