"""Calls that go to Claude: messages, token counts and models."""

from __future__ import annotations

import json
from collections.abc import Generator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from sluice.access.guard import Caller, Guard
from sluice.claude.versions import version_for
from sluice.deadline import Deadline
from sluice.settings import StreamSettings
from sluice.streams.call_log import CallLog, CallReport, Payer
from sluice.streams.connect import Connector, UpstreamCall
from sluice.streams.encoding import Encoder, EventEncoder, TextEncoder
from sluice.streams.errors import StreamCut
from sluice.streams.headers import headers_to_client
from sluice.streams.reading import error_of, read_whole
from sluice.streams.relay import OpenStream, Relay, open_stream
from sluice.streams.request import Request, Route, complete_prompt, parse_params
from sluice.streams.response import Body, Response
from sluice.streams.resumable.service import ResumableStreams, read_keep_options
from sluice.streams.timeouts import Timeouts
from sluice.streams.upstream import UpstreamResponse

_EVENT_STREAM = "text/event-stream"
# The stream was begun before Claude was asked; it is there by now, or the table is not.
_CREATION_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class MessageCall:
    """One call of a caller who has been identified."""

    request: Request
    route: Route
    caller: Caller
    deadline: Deadline
    report: CallReport


@dataclass(frozen=True, slots=True)
class WholeAnswer:
    """An answer that is not a stream, read to its end. ``values`` are its JSON."""

    answer: UpstreamResponse
    body: bytes
    values: Mapping[str, Any]


class Messages:
    """Passes calls on to Claude, and the answers back."""

    def __init__(
        self,
        settings: StreamSettings,
        connector: Connector,
        guard: Guard,
        call_log: CallLog,
        resumable: ResumableStreams,
    ) -> None:
        self._settings = settings
        self._connector = connector
        self._guard = guard
        self._call_log = call_log
        self._resumable = resumable

    def answer(self, call: MessageCall) -> Response:
        """Answer a call. Raises RequestError where the caller erred, CallRefused or TransientError where Claude did."""
        upstream_call = self._prepare(call)
        call.report.mode = call.report.mode or "whole"
        terms = read_keep_options(call.request.headers, self._settings) if call.report.mode == "stream" else None
        if terms is None:
            return self._respond(call, self._open(call, upstream_call))
        log_writer = self._resumable.begin(call.caller, upstream_call, terms)
        try:
            opened = self._open(call, upstream_call)
        except BaseException:
            log_writer.discard()
            raise
        if isinstance(opened, WholeAnswer) or not log_writer.wait_until_created(_CREATION_SECONDS):
            log_writer.discard()
            return self._respond(call, opened)
        body = self._resumable.relay(
            log_writer, opened, upstream_call, terms, Payer(self._guard, call.caller, call.report)
        )
        headers = headers_to_client(opened.answer.headers) | {"sluice-stream-id": log_writer.state.id}
        return Response(opened.answer.status, headers, body)

    def _open(self, call: MessageCall, upstream_call: UpstreamCall) -> OpenStream | WholeAnswer:
        opened, tries = self._connector.open(upstream_call, lambda answer: self._accept(answer, call.deadline))
        call.report.tries = tries
        call.report.status = opened.answer.status
        call.report.claude_request_id = opened.answer.header("request-id")
        return opened

    def _respond(self, call: MessageCall, opened: OpenStream | WholeAnswer) -> Response:
        def record() -> None:
            self._call_log.record(call.report, call.caller)

        headers = headers_to_client(opened.answer.headers)
        if isinstance(opened, WholeAnswer):
            return Response(opened.answer.status, headers, Body(_whole_body(opened, call), record))
        encoder: Encoder = EventEncoder(call.report.request_id)
        if call.report.mode == "text":
            encoder = TextEncoder()
            headers["content-type"] = "text/plain; charset=utf-8"
        relay = Relay(opened, encoder, call.report, record)
        return Response(opened.answer.status, headers, Body(relay.chunks(), relay.end))

    def _prepare(self, call: MessageCall) -> UpstreamCall:
        """Check the call, and build what Claude is asked; the report learns in which mode it is answered."""
        request = call.request
        upstream_call = UpstreamCall(
            request.method, request.target, request.headers, request.body, call.deadline, call.deadline.left()
        )
        if call.route.name == "models":
            self._guard.admit(call.caller, request.path.removeprefix("/v1/models").strip("/") or None)
            return upstream_call
        terms = call.caller.terms
        params = parse_params(request.body, refuse_repeats=bool(terms and terms.bind_params))
        if call.route.name == "messages" and (request.wants_text or (request.takes_text and "prompt" in params)):
            call.report.mode = "text"
            params = complete_prompt(params, self._settings.default_model)
            upstream_call = replace(
                upstream_call, headers=_text_headers(request.headers), body=json.dumps(params).encode()
            )
        upstream_call = replace(upstream_call, headers=_with_version(upstream_call.headers, params))
        call.report.model = str(params.get("model") or "")
        self._guard.admit(call.caller, call.report.model)
        self._guard.check_known(call.caller, params, request.headers)
        if call.route.name == "messages":
            payer = Payer(self._guard, call.caller, call.report)
            payer.reserve(params, len(upstream_call.body))
            upstream_call = replace(upstream_call, lost=payer.note_lost)
        if call.route.name == "messages" and params.get("stream") is True:
            call.report.mode = "text" if call.report.mode == "text" else "stream"
            upstream_call = replace(upstream_call, wait_seconds=self._settings.content_timeout_seconds)
        return upstream_call

    def _accept(self, answer: UpstreamResponse, deadline: Deadline) -> OpenStream | WholeAnswer:
        if (answer.header("content-type") or "").startswith(_EVENT_STREAM):
            settings = self._settings
            timeouts = Timeouts(settings.ping_timeout_seconds, settings.content_timeout_seconds, deadline)
            return open_stream(answer, timeouts)
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


def _whole_body(whole: WholeAnswer, call: MessageCall) -> Generator[bytes, None, None]:
    report = call.report
    report.note_first_byte()
    if call.route.name == "messages":
        report.model = str(whole.values.get("model") or report.model)
        report.stop_reason = whole.values.get("stop_reason")
        report.take_answer(whole.values)
    whole.answer.close()
    report.outcome = "succeeded"
    yield _allowed_models(whole, call.caller) if call.route.name == "models" else whole.body


def _allowed_models(whole: WholeAnswer, caller: Caller) -> bytes:
    """Leave the models out that the caller's key may not use: a program would offer what then answers 403."""
    found = whole.values.get("data")
    if caller.terms is None or not caller.terms.models or not isinstance(found, list):
        return whole.body
    data = [each for each in found if isinstance(each, dict) and caller.terms.allows(str(each.get("id")))]
    return json.dumps({**whole.values, "data": data}, ensure_ascii=False).encode()


def _text_headers(headers: Mapping[str, str]) -> dict[str, str]:
    """Complete the headers of a person, who sends none of the API's own."""
    return {**headers, "content-type": "application/json", "accept": _EVENT_STREAM}


def _with_version(headers: Mapping[str, str], params: Mapping[str, Any]) -> dict[str, str]:
    """Complete the headers of a caller who names no version of the API."""
    return {**headers, "anthropic-version": version_for(params, headers.get("anthropic-version"))}
