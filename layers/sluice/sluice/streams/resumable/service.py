"""Streams that outlive their connection: beginning one, following it, stopping it, and taking it over."""

from __future__ import annotations

import json
import os
import time
from base64 import b32encode
from collections.abc import Mapping
from dataclasses import dataclass

from sluice.access.guard import Caller, Guard
from sluice.deadline import Deadline
from sluice.errors import ConditionFailed, Conflict, InvalidRequest, NotFound
from sluice.settings import StreamSettings
from sluice.streams.call_log import CallLog, CallReport, Payer
from sluice.streams.connect import Connector, UpstreamCall
from sluice.streams.headers import passing_headers
from sluice.streams.relay import OpenStream
from sluice.streams.response import Body, Response, whole
from sluice.streams.resumable.log_reader import LogReader
from sluice.streams.resumable.log_writer import LogSchedule, LogWriter
from sluice.streams.resumable.relay import Continuations, ResumableRelay
from sluice.streams.resumable.table import StoredRequest, StreamState, StreamTable

_LEASE_SECONDS = range(5, 601)
_JSON = {"content-type": "application/json"}
_EVENTS = {"content-type": "text/event-stream; charset=utf-8", "cache-control": "no-cache"}
# A comment, which readers of events pass over: they see an answer that ends well and has no event.
_NOTHING_MORE = b": end\n\n"


@dataclass(frozen=True, slots=True)
class KeepOptions:
    """What a client has asked of its stream: to be kept, to be continued when cut, to end without a renewed lease."""

    kept: bool
    continues: bool
    lease_seconds: int | None


def read_keep_options(headers: Mapping[str, str], settings: StreamSettings) -> KeepOptions | None:
    """Read what the headers of a call ask for; None where they ask for nothing. Raises InvalidRequest."""
    continues = headers.get("sluice-continue") == "true"
    wish = headers.get("sluice-keep", "true" if continues or settings.keep_streams == "always" else "false")
    if wish not in ("true", "false"):
        raise InvalidRequest('The header "sluice-keep" is "true" or "false".')
    if wish == "true" and settings.keep_streams == "off":
        raise InvalidRequest("This stack keeps no streams (template parameter KeepStreams).")
    lease = headers.get("sluice-lease")
    if lease is not None and (not lease.isascii() or not lease.isdigit() or int(lease) not in _LEASE_SECONDS):
        raise InvalidRequest(
            f'The header "sluice-lease" is a number of seconds, {_LEASE_SECONDS[0]} to {_LEASE_SECONDS[-1]}.'
        )
    if wish == "false" and lease is None:
        return None
    return KeepOptions(wish == "true", continues and wish == "true", int(lease) if lease else None)


class ResumableStreams:
    """The streams of one stack, as one copy of the function sees them."""

    def __init__(
        self,
        settings: StreamSettings,
        table: StreamTable,
        connector: Connector,
        guard: Guard,
        call_log: CallLog,
        schedule: LogSchedule | None = None,
    ) -> None:
        self._settings = settings
        self._table = table
        self._connector = connector
        self._guard = guard
        self._call_log = call_log
        self._schedule = schedule or LogSchedule()

    def begin(self, caller: Caller, upstream_call: UpstreamCall, terms: KeepOptions) -> LogWriter:
        """Begin to keep a stream, in the background, while Claude is asked."""
        now = round(time.time(), 3)
        state = StreamState(
            id=f"stream_{b32encode(os.urandom(15)).decode('ascii').lower()}",
            owner=caller.owner,
            status="running",
            epoch=1,
            alive_until=now + self._schedule.alive,
            created_at=now,
            kept=terms.kept,
            lease_seconds=terms.lease_seconds,
        )
        log_writer = LogWriter(self._table, state, schedule=self._schedule)
        log_writer.create(
            StoredRequest(upstream_call.target, passing_headers(upstream_call.headers), upstream_call.body)
            if terms.kept
            else None
        )
        return log_writer

    def relay(
        self,
        log_writer: LogWriter,
        stream: OpenStream,
        upstream_call: UpstreamCall,
        terms: KeepOptions,
        payer: Payer,
    ) -> Body:
        """Return the body of a stream that is kept or leased."""
        # Not earlier: while Claude is asked, the client does not know the stream's id, and could not renew anything.
        log_writer.start_lease()
        relay = ResumableRelay(
            log_writer,
            payer.report,
            lambda: self._call_log.record(payer.report, payer.caller),
            self._continuations(upstream_call.deadline, payer),
            StoredRequest(upstream_call.target, upstream_call.headers, upstream_call.body),
            continues=terms.continues,
        )
        return Body(relay.relay(stream), relay.end, drains=lambda: terms.kept)

    def follow(
        self, caller: Caller, stream_id: str, headers: Mapping[str, str], deadline: Deadline, report: CallReport
    ) -> Response:
        """Return what is kept of a stream behind ``last-event-id``, and then what comes.

        Raises NotFound, and TooManyRequests: a reader may have a copy of the function for a quarter of an hour.
        """
        state = self._find(caller, stream_id)
        if not state.kept:
            raise NotFound(f"The stream {stream_id} is not kept; it cannot be resumed.")
        after = _last_event_id(headers)
        self._guard.take_turn(caller)
        report.mode, report.stream_id = "resume", stream_id
        if state.status != "running" and after and not self._has_events(stream_id, after):
            report.status, report.outcome = 200, "succeeded"
            self._call_log.record(report, None)
            return whole(200, {**_EVENTS, "sluice-stream-id": stream_id, "sluice-stream-ended": "true"}, _NOTHING_MORE)
        report.status = 200
        log_reader = LogReader(
            self._continuations(deadline, Payer(self._guard, caller, report, has_turn=True)),
            state,
            after,
            report,
            lambda: self._call_log.record(report, caller),
            self._schedule,
        )
        body = Body(log_reader.chunks(), log_reader.end, drains=log_reader.writes, blank=_NOTHING_MORE)
        return Response(200, {**_EVENTS, "sluice-stream-id": stream_id}, body)

    def stop(self, caller: Caller, stream_id: str) -> Response:
        """End a stream. Raises NotFound."""
        state = self._find(caller, stream_id)
        if state.status == "running":
            self._table.request_stop(stream_id)
            if state.alive_until < time.time():
                self._finish_abandoned(state)
        status = "stopped" if state.status == "running" else state.status
        return _json({"type": "stream", "id": stream_id, "status": status})

    def renew_lease(self, caller: Caller, stream_id: str) -> Response:
        """Let a leased stream go on for as long as its lease. Raises NotFound, Conflict."""
        state = self._find(caller, stream_id)
        if state.lease_seconds is None:
            raise Conflict(f'The stream {stream_id} has no lease: ask for one with the header "sluice-lease".')
        try:
            self._table.renew_lease(stream_id, round(time.time() + state.lease_seconds, 3))
        except ConditionFailed:
            raise Conflict(f"The stream {stream_id} has ended.") from None
        return _json({"type": "stream_lease", "id": stream_id, "seconds": state.lease_seconds})

    def _has_events(self, stream_id: str, after: int) -> bool:
        """Return whether anything follows: ids that were only skipped are nothing that a client could be sent."""
        return any(entry.data for entry in self._table.read_log(stream_id, after))

    def _continuations(self, deadline: Deadline, payer: Payer) -> Continuations:
        return Continuations(self._settings, self._table, self._connector, deadline, payer)

    def _find(self, caller: Caller, stream_id: str) -> StreamState:
        state = self._table.find(stream_id)
        if state is None or state.owner != caller.owner:
            raise NotFound(f"There is no stream {stream_id}.")
        return state

    def _finish_abandoned(self, state: StreamState) -> None:
        try:
            self._table.finish(state.id, state.epoch, "stopped")
        except ConditionFailed:
            return  # A reader has just taken it over, and will find that it has to stop.


def _last_event_id(headers: Mapping[str, str]) -> int:
    text = headers.get("last-event-id", "") or "0"
    if not text.isascii() or not text.isdigit() or len(text) > 9:
        raise InvalidRequest('The header "last-event-id" is the id of an event of this stream, a number.')
    return int(text)


def _json(values: Mapping[str, object]) -> Response:
    return whole(200, _JSON, json.dumps(values, separators=(",", ":")).encode())
