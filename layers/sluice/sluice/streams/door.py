"""The streaming door: from the event of a Function URL to a response that streams."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from typing import Any, Protocol

from sluice.access.guard import Caller, Guard
from sluice.access.store import KeyStore
from sluice.aws.dynamodb import Table
from sluice.aws.stdlib_client import AwsAccess, DynamoDb, SecretsManager
from sluice.claude.key import ClaudeKey
from sluice.deadline import Deadline
from sluice.errors import AccountError, Conflict
from sluice.http.cors import cors_headers, preflight_headers
from sluice.settings import StreamSettings
from sluice.streams.call_log import CallLog, CallReport, Log, note_try
from sluice.streams.connect import CallRefused, Connector
from sluice.streams.errors import StreamCut
from sluice.streams.incident_watch import IncidentWatch
from sluice.streams.messages import MessageCall, Messages
from sluice.streams.request import Request, find_route, parse_event
from sluice.streams.response import Response, error_response, whole
from sluice.streams.resumable.service import ResumableStreams
from sluice.streams.resumable.table import StreamTable
from sluice.streams.timeouts import stream_deadline
from sluice.streams.upstream import Upstream


class Context(Protocol):
    """What the door asks of a Lambda context."""

    @property
    def aws_request_id(self) -> str: ...

    def get_remaining_time_in_millis(self) -> int: ...


class Door:
    """One copy of the function: its connections, and what it remembers between calls."""

    def __init__(
        self,
        settings: StreamSettings,
        guard: Guard,
        messages: Messages,
        resumable: ResumableStreams,
        call_log: CallLog,
    ) -> None:
        self._origins = settings.allowed_origins
        self._guard = guard
        self._messages = messages
        self._resumable = resumable
        self._call_log = call_log

    @classmethod
    def open(cls, settings: StreamSettings, access: AwsAccess, log: Log) -> Door:
        """Build a door. Nothing is called before the first request is."""
        table = Table(DynamoDb(access), settings.table)
        guard = Guard(settings.auth_mode, KeyStore(table))
        key = ClaudeKey(SecretsManager(access), settings.claude_secret)
        note = partial(note_try, log) if settings.log_level == "DEBUG" else None
        connector = Connector(Upstream(settings.claude_base_url), key, settings.connect_retry_seconds, note=note)
        call_log = CallLog(guard, log, settings.service, IncidentWatch(table).note_end)
        streams = StreamTable(table, int(settings.stream_ttl_hours * 3600))
        resumable = ResumableStreams(settings, streams, connector, guard, call_log)
        messages = Messages(settings, connector, guard, call_log, resumable)
        return cls(settings, guard, messages, resumable, call_log)

    def answer(self, event: Mapping[str, Any], context: Context) -> Response:
        """Answer one call. Whatever is wrong, with it or with us, is said in the API's own error shape."""
        report = CallReport(context.aws_request_id)
        deadline = stream_deadline(context.get_remaining_time_in_millis())
        try:
            request = parse_event(event)
        except Exception as error:  # noqa: BLE001  no caller is left without an answer
            return self._refuse(error, report, None)
        if request.is_preflight:
            return whole(200, preflight_headers(request.headers, self._origins), b"ok\n")
        response = self._answer(request, deadline, report)
        cors = cors_headers(request.headers.get("origin"), self._origins)
        return replace(response, headers={**response.headers, **cors})

    def _answer(self, request: Request, deadline: Deadline, report: CallReport) -> Response:
        caller: Caller | None = None
        try:
            route = find_route(request)
            report.route = route.name
            caller = self._guard.identify(request.headers, request.context)
            report.caller = caller.owner
            return self._dispatch(MessageCall(request, route, caller, deadline, report))
        except Exception as error:  # noqa: BLE001  no caller is left without an answer
            return self._refuse(error, report, caller)

    def _dispatch(self, call: MessageCall) -> Response:
        route, caller = call.route, call.caller
        if route.name == "messages" and call.request.headers.get("last-event-id"):
            return self._follow_again(call)
        if route.name not in ("stream", "lease"):
            return self._messages.answer(call)
        if route.name == "stream" and call.request.method == "GET":
            return self._resumable.follow(caller, route.stream_id, call.request.headers, call.deadline, call.report)
        act = self._resumable.stop if route.name == "stream" else self._resumable.renew_lease
        response = act(caller, route.stream_id)
        call.report.stream_id, call.report.status, call.report.outcome = route.stream_id, response.status, "succeeded"
        self._call_log.record(call.report, caller)
        return response

    def _follow_again(self, call: MessageCall) -> Response:
        """Go on with a kept stream for a client that lost it and posts its request again, instead of asking anew."""
        stream_id = call.request.headers.get("sluice-stream-id", "")
        if not stream_id:
            raise Conflict(
                "With a Last-Event-ID, this call would ask for the same answer again, and pay for it. The stream goes "
                "on at GET /v1/streams/{id}, or here with the header sluice-stream-id, as its answer had it."
            )
        return self._resumable.follow(call.caller, stream_id, call.request.headers, call.deadline, call.report)

    def _refuse(self, error: Exception, report: CallReport, caller: Caller | None) -> Response:
        failure = error
        if isinstance(error, (CallRefused, StreamCut)) and error.failure is not None:
            failure = error.failure
        if isinstance(failure, AccountError) and failure.error_type == "authentication_error":
            report.note_failure(failure, "refused")
            response = error_response(failure, report.request_id)
        elif isinstance(error, CallRefused):
            report.note_failure(error.failure, "refused")
            response = whole(error.status, error.headers, error.body)
        else:
            report.note_failure(error, "refused")
            response = error_response(error, report.request_id)
        report.status = response.status
        self._call_log.record(report, caller)
        return response
