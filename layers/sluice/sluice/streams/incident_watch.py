"""What this copy of the streaming door knows of incidents: it opens what it meets, and ends what answers disprove.

A call that goes well must not wait for the table. So what counts as known before a call is what this copy has read
earlier, at the end of another one: at most once a minute, and after a refusal.
"""

from __future__ import annotations

import time
from contextlib import suppress
from typing import TYPE_CHECKING

from sluice.aws.dynamodb import Table
from sluice.errors import AccountError, SluiceError
from sluice.streams.call_log import CallReport

if TYPE_CHECKING:
    from sluice.incidents import Incidents, IncidentView

_LOOK_SECONDS = 60.0


class IncidentWatch:
    """Nothing that fails in it concerns the caller: the next call tries again."""

    def __init__(self, table: Table) -> None:
        self._table = table
        self._view: IncidentView | None = None
        self._looked_at = 0.0  # time.monotonic()

    def note_end(self, report: CallReport) -> None:
        """Hear of a call that is over: open the incident that it met, or end those that its answer disproves."""
        with suppress(SluiceError):
            if report.account_error is not None:
                self._open(report.account_error, report)
            elif report.route == "messages" and report.outcome == "succeeded":
                self._end_disproved(report)

    def _open(self, failure: AccountError, report: CallReport) -> None:
        """Open the incident that tasks and jobs would open; the poller tells of it.

        Where one of that kind has ended before, and this copy had not read so before the call began, the refusal may be
        of before that: then the next one opens it.
        """
        from sluice.claude.errors import kind_of_failure

        view = self._known_before(report)
        seen = view.version if view else 0
        if self._incidents.open_incident(kind_of_failure(failure), str(failure), seen) is None or view is None:
            self._look()

    def _end_disproved(self, report: CallReport) -> None:
        from sluice.claude.errors import concerns_message

        if view := self._known_before(report):
            self._incidents.end_disproved(view, lambda kind: concerns_message(kind, report.model or ""))
        if self._view is None or time.monotonic() - self._looked_at > _LOOK_SECONDS:
            self._look()

    def _known_before(self, report: CallReport) -> IncidentView | None:
        return self._view if self._looked_at <= report.started else None

    def _look(self) -> None:
        self._view = self._incidents.look()
        self._looked_at = time.monotonic()

    @property
    def _incidents(self) -> Incidents:
        # Only a failure, or the end of a call, needs it: a cold start costs the caller time to the first byte.
        from sluice.incidents import Incidents

        return Incidents(self._table)
