"""Streams in the table: who owns one, who writes it, and the log of its events.

stream  running -> complete | failed | stopped
        complete | failed | stopped -> complete | failed | stopped     said again by the same writer

Only one function writes a stream. A write of events is a write of the next place in the log, and fails if that place is
taken, so that of two functions which both believe to be the writer only one goes on. ``epoch`` fences the state.

Ids rise by one, but where a writer has died: the next one takes the next place with an empty entry, and goes on far
behind it. It can take that place only as long as its epoch holds.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Literal

from sluice.aws.dynamodb import Item, Key, Put, Table, Update
from sluice.errors import ConditionFailed
from sluice.table_keys import (
    STREAM_REQUEST_PREFIX,
    stream_events_key,
    stream_key,
    stream_piece_key,
    stream_piece_prefix,
    stream_request_key,
)
from sluice.transitions import Transition, move

# DynamoDB: an item has 400 KB at most.
MAX_ITEM_BYTES = 300_000
# More than the events of any one answer.
IDS_OF_WRITER = 1_000_000

Status = Literal["running", "complete", "failed", "stopped"]

_ENDED: tuple[Status, ...] = ("complete", "failed", "stopped")
# What the epoch alone guards (``beat``, ``give_up``) is not here. It guards ``finish`` too: a writer whose call was not
# answered says again how its stream has ended.
STREAM_TRANSITIONS: Mapping[str, Transition[Status]] = {
    "claim": Transition(("running",)),
    "request_stop": Transition(("running",)),
    "renew_lease": Transition(("running",)),
    "skip_ids": Transition(("running",)),
    "finish": Transition(("running", *_ENDED), _ENDED),
}


@dataclass(frozen=True, slots=True)
class StreamState:
    """A stream. Times in epoch seconds."""

    id: str
    owner: str  #: The caller that began it: nobody else can read it.
    status: Status
    epoch: int  #: Rises with each writer; a writer with an older one can change nothing.
    alive_until: float  #: Without a beat until then, its writer has died.
    created_at: float
    kept: bool = True  #: Its events are kept, so that it can be resumed.
    stop: bool = False  #: Its owner asked for its end.
    settled: bool = False  #: The part that was written is accounted for.
    lease_seconds: int | None = None  #: How long one renewal lets it go on; None: it needs none.
    lease_until: float | None = None  #: It ends then unless it is renewed; None before its lease starts.


@dataclass(frozen=True, slots=True)
class StoredRequest:
    """What Claude was asked; ``headers`` are those of the client that may pass."""

    target: str
    headers: Mapping[str, str]
    body: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class LogEntry:
    """Whole frames with the ids ``first`` to ``last``; none where these ids were skipped."""

    first: int
    last: int
    data: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class StreamTable:
    """The transitions of streams. ``ttl_seconds`` after its creation a stream is forgotten."""

    table: Table
    ttl_seconds: int

    def create(self, state: StreamState) -> None:
        """Begin a stream."""
        values = {name: getattr(state, name) for name in StreamState.__slots__ if name != "id"}
        item = {**stream_key(state.id).attributes(), "stream_id": state.id, **values}
        self.table.put(Put({**item, "expires_at": self._expiry(state.created_at)}))

    def find(self, stream_id: str) -> StreamState | None:
        """Read the state of a stream."""
        item = self.table.get(stream_key(stream_id))
        return _state(item) if item else None

    def beat(self, stream_id: str, epoch: int, alive_until: float, lease_until: float | None = None) -> StreamState:
        """Record that the writer lives, and read what readers want; with ``lease_until``, start the lease.

        Raises ConditionFailed if the stream is another's by now.
        """
        change = {"alive_until": alive_until} | ({"lease_until": lease_until} if lease_until is not None else {})
        return self._change(stream_id, change, {"epoch": epoch})

    def finish(self, stream_id: str, epoch: int, status: Status) -> None:
        """End a stream for good. Raises ConditionFailed if it is another's by now."""
        changes: dict[str, object] = {"alive_until": 0, "settled": True}
        self._apply("finish", Update(stream_key(stream_id), set=changes, where={"epoch": epoch}), status)

    def give_up(self, stream_id: str, epoch: int) -> None:
        """Leave a stream to the next reader. Raises ConditionFailed if it is another's by now."""
        self._change(stream_id, {"alive_until": 0, "settled": True}, {"epoch": epoch})

    def claim(self, state: StreamState, alive_until: float) -> StreamState:
        """Become the writer of a stream whose writer has died. Raises ConditionFailed if another was faster."""
        found = {"epoch": state.epoch, "alive_until": state.alive_until}
        change = {"epoch": state.epoch + 1, "alive_until": alive_until, "settled": False}
        if state.lease_seconds:
            change["lease_until"] = alive_until + state.lease_seconds
        return self._apply("claim", Update(stream_key(state.id), set=change, where=found))

    def request_stop(self, stream_id: str) -> None:
        """Ask the writer to stop; nothing happens to a stream that has ended."""
        try:
            self._apply("request_stop", Update(stream_key(stream_id), set={"stop": True}))
        except ConditionFailed:
            return

    def renew_lease(self, stream_id: str, until: float) -> StreamState:
        """Let the writer go on until then. Raises ConditionFailed for a stream that has ended."""
        return self._apply("renew_lease", Update(stream_key(stream_id), set={"lease_until": until}))

    def keep_request(self, stream_id: str, request: StoredRequest, now: float) -> None:
        """Keep what Claude was asked, in as many items as it needs."""
        packed = zlib.compress(request.body, 1)
        for part, start in enumerate(range(0, len(packed), MAX_ITEM_BYTES)):
            values: dict[str, object] = {"data": packed[start : start + MAX_ITEM_BYTES]}
            if part == 0:
                values |= {"target": request.target, "headers": request.headers}
            self._put(stream_request_key(stream_id, part), values, now)

    def find_request(self, stream_id: str) -> StoredRequest | None:
        """Read what Claude was asked."""
        items = list(self.table.query(stream_key(stream_id).pk, STREAM_REQUEST_PREFIX))
        if not items:
            return None
        packed = b"".join(item["data"] for item in items)
        return StoredRequest(items[0]["target"], items[0]["headers"], zlib.decompress(packed))

    def append(self, stream_id: str, entry: LogEntry, writer: str, now: float) -> None:
        """Add to the log. Raises ConditionFailed where another writer has added there; again is as good as once."""
        values: dict[str, object] = {"last": entry.last, "writer": writer, "data": entry.data}
        if len(entry.data) > MAX_ITEM_BYTES:
            values = {"last": entry.last, "writer": writer, "pieces": self._put_pieces(stream_id, entry, writer, now)}
        key = stream_events_key(stream_id, entry.first)
        try:
            self._put(key, values, now)
        except ConditionFailed:
            # An answer that was lost looks like a write of somebody else's.
            found = self.table.get(key)
            if found is None or found["writer"] != writer:
                raise

    def skip_ids(self, stream_id: str, after: int, epoch: int, now: float) -> int:
        """Take the place behind the event ``after``, where its writer has died, and return an id far behind it.

        A client may have seen events that were not kept. Their ids are used for no other events: whoever has seen one
        of them goes on at the returned id. Raises ConditionFailed where the other writer has added there after all,
        where the stream is another's by now, and where it has ended.
        """
        next_id = (after // IDS_OF_WRITER + 1) * IDS_OF_WRITER + 1
        values = {"last": next_id - 1, "writer": f"{epoch}-skip", "data": b""}
        # In a transaction a ConditionCheck needs a permission of its own; an Update that changes nothing does not.
        ours = Update(stream_key(stream_id), set={"epoch": epoch}, where={"epoch": epoch})
        place = Put(self._item(stream_events_key(stream_id, after + 1), values, now))
        self.table.transact(place, move(ours, STREAM_TRANSITIONS["skip_ids"]))
        return next_id

    def read_log(self, stream_id: str, after: int) -> Iterator[LogEntry]:
        """Yield what is kept behind the event ``after``; the first entry may begin before it."""
        first, behind, last = (stream_events_key(stream_id, each) for each in (0, after + 1, 10**9))
        nearest = self.table.query_between(first.pk, first.sk, behind.sk, newest_first=True, limit=1)
        start = next((str(item["sk"]) for item in nearest), first.sk)
        for item in self.table.query_between(first.pk, start, last.sk):
            if item["last"] > after:
                yield self._entry(stream_id, item)

    def _entry(self, stream_id: str, item: Item) -> LogEntry:
        first = int(str(item["sk"]).partition("#")[2])
        data = item.get("data")
        if data is None:
            pieces = self.table.query(stream_key(stream_id).pk, stream_piece_prefix(first, item["writer"]))
            data = b"".join(piece["data"] for piece in pieces)
        return LogEntry(first, item["last"], data)

    def _put_pieces(self, stream_id: str, entry: LogEntry, writer: str, now: float) -> int:
        starts = range(0, len(entry.data), MAX_ITEM_BYTES)
        for number, start in enumerate(starts):
            key = stream_piece_key(stream_id, entry.first, writer, number)
            self._put(key, {"data": entry.data[start : start + MAX_ITEM_BYTES]}, now, replace=True)
        return len(starts)

    def _put(self, key: Key, values: Mapping[str, object], now: float, *, replace: bool = False) -> None:
        self.table.put(Put(self._item(key, values, now), replace=replace))

    def _item(self, key: Key, values: Mapping[str, object], now: float) -> Item:
        return {**key.attributes(), "expires_at": self._expiry(now), **values}

    def _apply(self, name: str, update: Update, to: Status | None = None) -> StreamState:
        return _state(self.table.update(move(update, STREAM_TRANSITIONS[name], to)))

    def _change(self, stream_id: str, change: Mapping[str, object], found: Mapping[str, object]) -> StreamState:
        return _state(self.table.update(Update(stream_key(stream_id), set=change, where=found)))

    def _expiry(self, now: float) -> int:
        return int(now) + self.ttl_seconds


def _state(item: Item) -> StreamState:
    names = [name for name in StreamState.__slots__ if name != "id" and name in item]
    return StreamState(id=item["stream_id"], **{name: item[name] for name in names})
