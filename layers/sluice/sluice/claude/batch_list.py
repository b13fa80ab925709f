"""Reading Claude's list of batches: newest first, a thousand to a page (Claude API: Message Batches, list).

The list is read while others add to it and delete from it. A page is asked for by the last batch of the one before, so
new batches shift nothing; a batch seen twice does no harm. It is also late at times: a batch that was made is listed
some time after it.
"""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from sluice.claude.batches import BatchPage, ClaudeApi, MessageBatch
from sluice.errors import AccountError, ClaudeError, PermanentError, TransientError

# Between our clock and Claude's. Both are kept within milliseconds of the truth; a machine that was suspended, or a
# clock that was stepped, is off by seconds. Five minutes cost a page more at worst.
CLOCK_SKEW_SECONDS = 300.0
# So few batches are cheaper to ask for one by one than to look for in further pages of other people's.
FEW = 20


def batches_since(claude: ClaudeApi, moment: float) -> Iterator[MessageBatch]:
    """Yield all batches made at or after a moment of our clock. Raises ClaudeError where the list cannot be read."""
    earliest = moment - CLOCK_SKEW_SECONDS
    for page in _pages(claude):
        yield from (batch for batch in page.batches if batch.created_at >= earliest)
        if page.batches and page.batches[-1].created_at < earliest:
            return


@dataclass(slots=True)
class Sighting:
    """What was seen of the batches that were looked for. ``failure`` is why it is not all that could be seen."""

    batches: dict[str, MessageBatch] = field(default_factory=dict)
    gone: set[str] = field(default_factory=set)
    failure: ClaudeError | None = None


def look_for(claude: ClaudeApi, wanted: Iterable[str], since: float) -> Sighting:
    """Look for batches, none of them older than a moment of our clock: about one call for each thousand of them.

    Few that are not on the pages where the others are, are asked for one by one; ``gone`` are those that Claude does
    not know. What could be read before a failure counts.
    """
    missing, sighting = set(wanted), Sighting()
    if not missing:
        return sighting
    try:
        _read_pages(claude, missing, since - CLOCK_SKEW_SECONDS, sighting)
        _ask_for_each(claude, missing, sighting)
    except ClaudeError as failure:
        sighting.failure = failure
    return sighting


def _read_pages(claude: ClaudeApi, missing: set[str], earliest: float, sighting: Sighting) -> None:
    for page in _pages(claude):
        seen = {batch.id: batch for batch in page.batches if batch.id in missing}
        sighting.batches |= seen
        missing.difference_update(seen)
        past = bool(page.batches) and page.batches[-1].created_at < earliest
        if not missing or past or (not seen and len(missing) <= FEW):
            return


def _ask_for_each(claude: ClaudeApi, missing: set[str], sighting: Sighting) -> None:
    """Ask for what the pages did not show or, where that is much, for some of it, others each time."""
    for batch_id in random.sample(sorted(missing), min(FEW, len(missing))):
        try:
            sighting.batches[batch_id] = claude.retrieve_batch(batch_id)
        except AccountError as failure:
            if failure.http_status != 404:
                raise
            sighting.gone.add(batch_id)


def _pages(claude: ClaudeApi) -> Iterator[BatchPage]:
    after: str | None = None
    while True:
        try:
            page = claude.list_batches(after)
        except (AccountError, PermanentError) as failure:
            if after is None or failure.http_status not in (400, 404):
                raise
            # The batch that the page was asked for by was deleted in the meantime.
            raise TransientError(str(failure), http_status=failure.http_status) from failure
        yield page
        if not page.has_more or page.last_id in (None, after):
            return
        after = page.last_id
