"""The streaming door: from the event of a Function URL to a response that streams."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Protocol

from sluice.access.guard import Caller, Guard
from sluice.access.register import Register
from sluice.aws.light import Access, DynamoDb, SecretsManager
from sluice.aws.table import Table
from sluice.claude.secret import ClaudeKey
from sluice.errors import SluiceError
from sluice.streams.accounts import Accounts, Log, Report
from sluice.streams.clocks import Deadline
from sluice.streams.headers import cors_headers, preflight_headers
from sluice.streams.keeping import Keeping
from sluice.streams.messages import Call, Messages
from sluice.streams.opening import Opener, Refused
from sluice.streams.request import Request, find_route, parse_event
from sluice.streams.response import Response, error_response, whole
from sluice.streams.settings import StreamSettings
from sluice.streams.table import StreamTable
from sluice.streams.upstream import Upstream


class Context(Protocol):
    """What the door asks of a Lambda context."""

    @property
    def aws_request_id(self) -> str: ...

    def get_remaining_time_in_millis(self) -> int: ...


class Door:
    """One copy of the function: its connections, and what it remembers between calls."""

    def __init__(
        self, settings: StreamSettings, guard: Guard, messages: Messages, keeping: Keeping, accounts: Accounts
    ) -> None:
        self._origins = settings.allowed_origins
        self._guard = guard
        self._messages = messages
        self._keeping = keeping
        self._accounts = accounts

    @classmethod
    def open(cls, settings: StreamSettings, access: Access, log: Log) -> Door:
        """Build a door. Nothing is called before the first request is."""
        table = Table(DynamoDb(access), settings.table)
        guard = Guard(settings.auth_mode, Register(table))
        key = ClaudeKey(SecretsManager(access), settings.claude_secret)
        opener = Opener(Upstream(settings.claude_base_url), key, settings.connect_retry_seconds)
        accounts = Accounts(guard, log, settings.service)
        streams = StreamTable(table, int(settings.stream_ttl_hours * 3600))
        keeping = Keeping(settings, streams, opener, accounts)
        messages = Messages(settings, opener, guard, accounts, keeping)
        return cls(settings, guard, messages, keeping, accounts)

    def answer(self, event: Mapping[str, Any], context: Context) -> Response:
        """Answer one call. Whatever is wrong, with it or with us, is said in the API's own error shape."""
        report = Report(context.aws_request_id)
        deadline = Deadline.in_milliseconds(context.get_remaining_time_in_millis())
        try:
            request = parse_event(event)
        except Exception as error:  # noqa: BLE001  no caller is left without an answer
            return self._refuse(error, report, None)
        if request.is_preflight:
            return whole(204, preflight_headers(request.headers, self._origins), b"")
        response = self._answer(request, deadline, report)
        cors = cors_headers(request.headers.get("origin"), self._origins)
        return replace(response, headers={**response.headers, **cors})

    def _answer(self, request: Request, deadline: Deadline, report: Report) -> Response:
        caller: Caller | None = None
        try:
            route = find_route(request)
            report.route = route.name
            caller = self._guard.identify(request.headers, request.context)
            report.caller = caller.owner
            return self._dispatch(Call(request, route, caller, deadline, report))
        except Exception as error:  # noqa: BLE001  no caller is left without an answer
            return self._refuse(error, report, caller)

    def _dispatch(self, call: Call) -> Response:
        route, caller = call.route, call.caller
        if route.name not in ("stream", "lease"):
            return self._messages.answer(call)
        if route.name == "stream" and call.request.method == "GET":
            return self._keeping.follow(caller, route.stream_id, call.request.headers, call.deadline, call.report)
        act = self._keeping.stop if route.name == "stream" else self._keeping.renew_lease
        response = act(caller, route.stream_id)
        call.report.stream_id, call.report.status, call.report.outcome = route.stream_id, response.status, "succeeded"
        self._accounts.settle(call.report, caller)
        return response

    def _refuse(self, error: Exception, report: Report, caller: Caller | None) -> Response:
        if isinstance(error, Refused):
            report.note_failure(error.failure, "refused")
            response = whole(error.status, error.headers, error.body)
        else:
            report.note_failure(error, "refused")
            response = error_response(error if isinstance(error, SluiceError) else SluiceError(), report.request_id)
        report.status = response.status
        self._accounts.settle(report, caller)
        return response
