"""Calls that go to Claude: messages, token counts and models."""

from __future__ import annotations

import json
from collections.abc import Generator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from sluice.access.guard import Caller, Guard
from sluice.streams.accounts import Accounts, Report
from sluice.streams.clocks import Clocks, Deadline
from sluice.streams.encoding import Encoder, EventEncoder, TextEncoder
from sluice.streams.faults import StreamCut
from sluice.streams.headers import headers_to_client
from sluice.streams.keeping import Keeping, check_nothing_asked, read_terms
from sluice.streams.opening import Ask, Opener
from sluice.streams.reading import error_of, read_whole
from sluice.streams.relay import OpenStream, Relay, open_stream
from sluice.streams.request import DEFAULT_VERSION, Request, Route, complete_prompt, parse_params
from sluice.streams.response import Body, Response
from sluice.streams.settings import StreamSettings
from sluice.streams.upstream import Answer

_EVENT_STREAM = "text/event-stream"
# The stream was begun before Claude was asked; it is there by now, or the table is not.
_CREATION_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class Call:
    """One call of a caller who has been identified."""

    request: Request
    route: Route
    caller: Caller
    deadline: Deadline
    report: Report


@dataclass(frozen=True, slots=True)
class WholeAnswer:
    """An answer that is not a stream, read to its end. ``values`` are its JSON."""

    answer: Answer
    body: bytes
    values: Mapping[str, Any]


class Messages:
    """Passes calls on to Claude, and the answers back."""

    def __init__(
        self, settings: StreamSettings, opener: Opener, guard: Guard, accounts: Accounts, keeping: Keeping
    ) -> None:
        self._settings = settings
        self._opener = opener
        self._guard = guard
        self._accounts = accounts
        self._keeping = keeping

    def answer(self, call: Call) -> Response:
        """Answer a call. Raises RequestError for what the caller did, Refused or PassingFailure for what Claude did."""
        ask, streams = self._prepare(call)
        call.report.mode = "text" if call.request.wants_text else "stream" if streams else "whole"
        if call.report.mode != "stream" and call.route.name == "messages":
            check_nothing_asked(call.request.headers)
        terms = read_terms(call.request.headers, self._settings) if call.report.mode == "stream" else None
        if terms is None:
            return self._respond(call, self._open(call, ask))
        keeper = self._keeping.begin(call.caller, ask, terms)
        try:
            opened = self._open(call, ask)
        except BaseException:
            keeper.discard()
            raise
        if isinstance(opened, WholeAnswer) or not keeper.wait_until_created(_CREATION_SECONDS):
            keeper.discard()
            return self._respond(call, opened)
        body = self._keeping.relay(keeper, opened, ask, terms, call.caller, call.report)
        headers = headers_to_client(opened.answer.headers) | {"sluice-stream-id": keeper.state.id}
        return Response(opened.answer.status, headers, body)

    def _open(self, call: Call, ask: Ask) -> OpenStream | WholeAnswer:
        opened, tries = self._opener.open(ask, lambda answer: self._accept(answer, call.deadline))
        call.report.tries = tries
        call.report.status = opened.answer.status
        call.report.claude_request_id = opened.answer.header("request-id")
        return opened

    def _respond(self, call: Call, opened: OpenStream | WholeAnswer) -> Response:
        def settle() -> None:
            self._accounts.settle(call.report, call.caller)

        headers = headers_to_client(opened.answer.headers)
        if isinstance(opened, WholeAnswer):
            return Response(opened.answer.status, headers, Body(_whole_body(opened, call), settle))
        encoder: Encoder = EventEncoder(call.report.request_id)
        if call.report.mode == "text":
            encoder = TextEncoder()
            headers["content-type"] = "text/plain; charset=utf-8"
        relay = Relay(opened, encoder, call.report, settle)
        return Response(opened.answer.status, headers, Body(relay.chunks(), relay.end))

    def _prepare(self, call: Call) -> tuple[Ask, bool]:
        """Check the call and build what Claude is asked; also say whether a stream is wanted."""
        request = call.request
        ask = Ask(request.method, request.target, request.headers, request.body, call.deadline, call.deadline.left())
        if call.route.name == "models":
            self._guard.admit(call.caller)
            return ask, False
        terms = call.caller.terms
        params = parse_params(request.body, refuse_repeats=bool(terms and terms.models))
        if call.route.name == "messages" and request.wants_text:
            params = complete_prompt(params, self._settings.default_model)
            ask = replace(ask, headers=_text_headers(request.headers), body=json.dumps(params).encode())
        call.report.model = str(params.get("model") or "")
        self._guard.admit(call.caller, call.report.model)
        streams = call.route.name == "messages" and params.get("stream") is True
        if streams:
            ask = replace(ask, wait_seconds=self._settings.content_timeout_seconds)
        return ask, streams

    def _accept(self, answer: Answer, deadline: Deadline) -> OpenStream | WholeAnswer:
        if (answer.header("content-type") or "").startswith(_EVENT_STREAM):
            settings = self._settings
            clocks = Clocks(settings.ping_timeout_seconds, settings.content_timeout_seconds, deadline)
            return open_stream(answer, clocks)
        body = read_whole(answer, deadline)
        try:
            values = json.loads(body)
        except (ValueError, RecursionError):
            values = None
        if not isinstance(values, dict):
            raise StreamCut("garbage", "What came from Claude was not an answer: it is not a JSON object.")
        if values.get("type") == "error":
            error = values.get("error")
            raise error_of(error if isinstance(error, dict) else {}, body)
        return WholeAnswer(answer, body, values)


def _whole_body(whole: WholeAnswer, call: Call) -> Generator[bytes, None, None]:
    report = call.report
    report.note_first_byte()
    if call.route.name == "messages":
        report.model = str(whole.values.get("model") or report.model)
        report.stop_reason = whole.values.get("stop_reason")
        report.usage.take(whole.values.get("usage"))
    whole.answer.close()
    report.outcome = "succeeded"
    yield whole.body


def _text_headers(headers: Mapping[str, str]) -> dict[str, str]:
    """Complete the headers of a person, who sends none of the API's own."""
    own = {"anthropic-version": DEFAULT_VERSION, **headers}
    return own | {"content-type": "application/json", "accept": _EVENT_STREAM}
