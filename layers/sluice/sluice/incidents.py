"""Incidents: what stops all work until a person acts, kept in the table so that exactly one function tells of it.

A function that meets a systemic failure opens an incident of that kind. Only the one whose conditional write creates it
tells a person. While it is open, work of that kind waits. It ends when a person releases it, or when a probe (one
piece of work let through now and then) succeeds. Tasks and jobs share incidents.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from sluice.aws.dynamodb import Table, Update
from sluice.backoff import INCIDENT_PROBE
from sluice.errors import ConditionFailed
from sluice.table_keys import OPEN_INCIDENTS, incident_key, open_at

# A function that opened an incident and died before it told of it is replaced after this long.
NOTIFY_AGAIN_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class Incident:
    """``kind`` is as ``claude.errors.kind_of_failure`` names it; times in epoch seconds."""

    kind: str
    message: str
    opened_at: float
    probe_at: float

    @classmethod
    def from_item(cls, item: dict[str, Any]) -> Incident:
        return cls(item["kind"], item["message"], float(item["opened_at"]), float(item["probe_at"]))


@dataclass(frozen=True, slots=True)
class Incidents:
    """Each method is one or two conditional writes; raises AwsError as the table does."""

    table: Table
    now: Callable[[], float] = time.time

    def open_incident(self, kind: str, message: str) -> Incident | None:
        """Open an incident, or find it open. Whoever it is returned to has to notify, then ``mark_notified``."""
        now = self.now()
        fresh = {"open": OPEN_INCIDENTS, "open_at": open_at(now), "kind": kind, "message": message, "opened_at": now}
        fresh |= {"notifying_at": now, "probe_at": now + INCIDENT_PROBE.delay(0)}
        opening = Update(
            incident_key(kind), set=fresh, remove=("notified_at", "released_at"), where={"open": None}, create=True
        )
        try:
            return Incident.from_item(self.table.update(opening))
        except ConditionFailed:
            return self.take_over_notifying(kind)

    def take_over_notifying(self, kind: str) -> Incident | None:
        """Return an open incident that nobody has told of for a minute: the caller has to, then ``mark_notified``."""
        now = self.now()
        taking_over = Update(
            incident_key(kind),
            set={"notifying_at": now},
            where={"open": OPEN_INCIDENTS, "notified_at": None},
            condition="#notifying_at < :notifying_at",
            values={"notifying_at": now - NOTIFY_AGAIN_SECONDS},
        )
        try:
            return Incident.from_item(self.table.update(taking_over))
        except ConditionFailed:
            return None

    def mark_notified(self, kind: str) -> None:
        """Note that a person was told."""
        self._changed(Update(incident_key(kind), set={"notified_at": self.now()}, where={"open": OPEN_INCIDENTS}))

    def list_open(self) -> tuple[Incident, ...]:
        """Read what is open, oldest first (eventually consistent)."""
        return tuple(map(Incident.from_item, self.table.open(OPEN_INCIDENTS)))

    def released_since(self, kind: str, moment: float) -> bool:
        """Return whether an incident of that kind ended at or after a moment, and none is open now."""
        item = self.table.get(incident_key(kind)) or {}
        return item.get("open") != OPEN_INCIDENTS and float(item.get("released_at", 0)) >= moment

    def claim_probe(self, incident: Incident) -> bool:
        """Ask to let one piece of work through. Of all that ask, one gets True each time a probe is due."""
        now = self.now()
        if incident.probe_at > now:
            return False
        next_probe = now + INCIDENT_PROBE.delay(now - incident.opened_at)
        where = {"open": OPEN_INCIDENTS, "probe_at": incident.probe_at}
        return self._changed(Update(incident_key(incident.kind), set={"probe_at": next_probe}, where=where))

    def release(self, kind: str) -> bool:
        """End an incident. False: there was none open of that kind."""
        changes = {"released_at": self.now()}
        return self._changed(
            Update(
                incident_key(kind), set=changes, remove=("open", "open_at", "probe_at"), where={"open": OPEN_INCIDENTS}
            )
        )

    def _changed(self, update: Update) -> bool:
        try:
            self.table.update(update)
        except ConditionFailed:
            return False
        return True
