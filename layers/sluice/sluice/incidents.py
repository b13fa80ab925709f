"""Incidents: what stops all work until a person acts, kept in the table so that exactly one function tells of it.

A function that meets a systemic failure opens an incident of that kind, or joins the one that is open. Of all that do,
one gets to tell a person. While it is open, work of that kind waits. It ends when a person releases it, or when an
answer of Claude's shows that its cause is gone. All doors share incidents; ``claude.errors`` names their kinds.

Openings and ends are counted, by one counter for all kinds. Whoever is about to ask Claude reads it first: what was
asked before an incident ended can then not open it anew, and an answer ends only what was open before it was asked for,
whatever the clocks of two machines say.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from sluice.aws.dynamodb import Table, Update
from sluice.backoff import INCIDENT_NOTICE, INCIDENT_PROBE, MOST_NOTICE_TRIES
from sluice.errors import ConditionFailed
from sluice.table_keys import INCIDENTS_VERSION_KEY, OPEN_INCIDENTS, incident_key, open_at


@dataclass(frozen=True, slots=True)
class Incident:
    """``kind`` is as ``claude.errors.kind_of_failure`` names it; times in epoch seconds.

    ``number`` is what the counter said when it was opened: no other incident has it, and later ones have higher ones.
    """

    kind: str
    message: str
    opened_at: float
    probe_at: float
    number: int = 0  #: 0 where it was opened by a version that did not count.
    notified: bool = False
    notified_on: tuple[str, ...] = ()  #: The channels that have its notice, where not all do.
    notify_tries: int = 0
    notifying_at: float = 0.0

    @classmethod
    def from_item(cls, item: dict[str, Any]) -> Incident:
        return cls(
            kind=item["kind"],
            message=item["message"],
            opened_at=float(item["opened_at"]),
            probe_at=float(item["probe_at"]),
            number=int(item.get("number", 0)),
            notified="notified_at" in item,
            notified_on=tuple(item.get("notified_on", ())),
            notify_tries=int(item.get("notify_tries", 0)),
            notifying_at=float(item.get("notifying_at", 0.0)),
        )


@dataclass(frozen=True, slots=True)
class IncidentView:
    """What was known of incidents before something was asked: how far they had been counted, and what was open."""

    version: int
    open: tuple[Incident, ...]

    def find(self, kind: str, number: int) -> Incident | None:
        return next((each for each in self.open if (each.kind, each.number) == (kind, number)), None)


@dataclass(frozen=True, slots=True)
class Incidents:
    """Each method is a few calls of the table; raises AwsError as that does."""

    table: Table
    now: Callable[[], float] = time.time

    # Reading

    def version(self) -> int:
        """Return how many openings and ends there were so far."""
        return int((self.table.get(INCIDENTS_VERSION_KEY) or {}).get("version", 0))

    def list_open(self) -> tuple[Incident, ...]:
        """Read what is open, oldest first (eventually consistent)."""
        return tuple(map(Incident.from_item, self.table.open(OPEN_INCIDENTS)))

    def look(self) -> IncidentView:
        """Look at all that is open, before something is asked that may open or end it."""
        return IncidentView(self.version(), self.list_open())

    def is_over(self, kind: str, number: int) -> bool:
        """Return whether the incident of that kind with that number has ended, whatever has been opened since."""
        return self._find_open(kind, number) is None

    def _find_open(self, kind: str, number: int | None = None) -> Incident | None:
        item = self.table.get(incident_key(kind)) or {}
        if item.get("open") != OPEN_INCIDENTS:
            return None
        incident = Incident.from_item(item)
        return incident if number in (None, incident.number) else None

    # Opening and telling

    def open_incident(self, kind: str, message: str, seen: int) -> Incident | None:
        """Open an incident, or join the one that is open. Whoever does should notify a person (``claim_notifying``).

        ``seen`` is the ``version`` that was read before the call began that failed. None: an incident of that kind has
        ended since, so that the failure may say nothing of what is now; ask again.
        """
        item = self.table.get(incident_key(kind)) or {}
        if item.get("open") == OPEN_INCIDENTS:
            return Incident.from_item(item)
        if item.get("ended", 0) > seen:
            return None
        now, number = self.now(), self._count()
        fresh = {"open": OPEN_INCIDENTS, "open_at": open_at(now), "kind": kind, "message": message, "opened_at": now}
        fresh |= {"number": number, "probe_at": now + INCIDENT_PROBE.delay(0)}
        opening = Update(
            incident_key(kind),
            set=fresh,
            remove=("notified_at", "notifying_at", "notified_on", "notify_tries"),
            where={"open": None, "ended": item.get("ended")},
            create=True,
        )
        try:
            return Incident.from_item(self.table.update(opening))
        except ConditionFailed:
            return self._find_open(kind)

    def claim_notifying(self, incident: Incident) -> bool:
        """Ask to tell of an incident. True: the caller has to tell, then ``mark_notified``.

        False where somebody has, or began to lately, or where it was tried in vain too often.
        """
        now, tries = self.now(), incident.notify_tries
        due_at = incident.notifying_at + INCIDENT_NOTICE.delay(max(tries, 1)) if incident.notifying_at else 0.0
        if incident.notified or tries >= MOST_NOTICE_TRIES or now < due_at:
            return False
        where = {**_present(incident), "notified_at": None, "notify_tries": tries or None}
        claiming = Update(incident_key(incident.kind), set={"notifying_at": now}, add={"notify_tries": 1}, where=where)
        return self._changed(claiming)

    def mark_notified_on(self, incident: Incident, channels: Sequence[str]) -> None:
        """Note which channels have the notice, where another did not take it: that one is tried again."""
        update = Update(incident_key(incident.kind), set={"notified_on": list(channels)}, where=_present(incident))
        self._changed(update)

    def mark_notified(self, incident: Incident) -> None:
        """Note that a person was told of this incident, not of a later one."""
        update = Update(incident_key(incident.kind), set={"notified_at": self.now()}, where=_present(incident))
        self._changed(update)

    # Ending

    def claim_probe(self, incident: Incident) -> bool:
        """Ask to let one piece of work through. Of all that ask, one gets True each time a probe is due."""
        now = self.now()
        if incident.probe_at > now:
            return False
        next_probe = now + INCIDENT_PROBE.delay(now - incident.opened_at)
        where = {**_present(incident), "probe_at": incident.probe_at}
        return self._changed(Update(incident_key(incident.kind), set={"probe_at": next_probe}, where=where))

    def return_probe(self, incident: Incident) -> None:
        """Let the next one probe at once: this one has failed for its own sake, which says nothing of the incident."""
        self._changed(Update(incident_key(incident.kind), set={"probe_at": self.now()}, where=_present(incident)))

    def release(self, kind: str, number: int | None = None) -> bool:
        """End the incident that is open or, with ``number``, that one alone. False: it was not open."""
        incident = self._find_open(kind, number)
        if incident is None:
            return False
        # Counted first: what reads the counter afterwards and asks, asks after the person who releases has acted.
        changes = {"released_at": self.now(), "ended": self._count()}
        removed = ("open", "open_at", "probe_at")
        return self._changed(Update(incident_key(kind), set=changes, remove=removed, where=_present(incident)))

    def end_disproved(self, view: IncidentView, disproves: Callable[[str], bool]) -> int:
        """End what was open before an answer was asked for, and whose cause that answer shows to be gone.

        ``disproves`` says so of each kind. Returns how many have ended.
        """
        return sum(self.release(each.kind, each.number) for each in view.open if disproves(each.kind))

    def _count(self) -> int:
        return int(self.table.update(Update(INCIDENTS_VERSION_KEY, add={"version": 1}, create=True))["version"])

    def _changed(self, update: Update) -> bool:
        try:
            self.table.update(update)
        except ConditionFailed:
            return False
        return True


def _present(incident: Incident) -> dict[str, object]:
    """Return the condition under which this very incident is open still."""
    return {"open": OPEN_INCIDENTS, "number": incident.number or None}
