"""Ask Claude once, reading the answer as a stream, so that a long one does not run into a timeout.

The SDK puts the events together. What it does not do is done here: nothing is retried (the queue does that), the answer
counts only if ``message_stop`` was seen, cuts and garbage that surface as raw errors are named, no answer outlives the
function, pings or not, and of one that is cut it is known what it cost.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator, Mapping
from contextvars import ContextVar
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import httpx2

from sluice.claude.connection import end_read
from sluice.claude.errors import error_from_response, parse_retry_after
from sluice.claude.key import ClaudeKey
from sluice.claude.versions import version_for
from sluice.errors import ClaudeError, PermanentError, TransientError
from sluice.tasks.answer import Answer
from sluice.version import USER_AGENT

if TYPE_CHECKING:
    from anthropic import Anthropic, APIStatusError
    from anthropic.lib.streaming import MessageStream

_CONNECT_SECONDS = 5.0
# A read that ends with the time ends just after it, so that what ended it is plain.
_PAST_THE_END = 0.01


class UnfinishedAnswer(Exception):
    """Part of an answer came, which is paid for, and then ``failure``."""

    def __init__(self, failure: ClaudeError, begun: Answer) -> None:
        super().__init__(str(failure))
        self.failure = failure
        self.begun = begun


@dataclass(slots=True)
class _Timeouts:
    """``until`` and ``content_until`` are times of ``time.monotonic``; content moves the second one on."""

    seconds: float
    until: float
    content_seconds: float
    content_until: float

    @classmethod
    def start(cls, seconds: float, content_seconds: float) -> _Timeouts:
        now = time.monotonic()
        return cls(seconds, now + seconds, content_seconds, now + content_seconds)

    def note_content(self) -> None:
        self.content_until = time.monotonic() + self.content_seconds

    @property
    def left(self) -> float:
        """Return the seconds that are left of the call's own time."""
        return self.until - time.monotonic()

    def check(self) -> None:
        if time.monotonic() > min(self.until, self.content_until):
            raise TransientError("Claude's answer took too long.", error_type="timeout_error")


_TIMEOUTS_OF_CALL: ContextVar[_Timeouts] = ContextVar("clocks")


class _TimedStream(httpx2.SyncByteStream):
    """Looks at the clocks for each piece that arrives: the SDK swallows pings, and so would wait behind them.

    A read that waits when the time is over is ended from outside: how long one may wait is fixed before the first.
    """

    def __init__(self, response: httpx2.Response, timeouts: _Timeouts) -> None:
        assert isinstance(response.stream, httpx2.SyncByteStream)
        self._inner = response.stream
        self._timeouts = timeouts
        connection = response.extensions["network_stream"].get_extra_info("socket")
        self._end = threading.Timer(max(timeouts.left, 0.0) + _PAST_THE_END, end_read, [connection])
        self._end.daemon = True
        self._end.start()

    def __iter__(self) -> Iterator[bytes]:
        for chunk in self._inner:
            self._timeouts.check()
            yield chunk

    def close(self) -> None:
        self._end.cancel()
        self._inner.close()


class _TimedTransport(httpx2.HTTPTransport):
    def handle_request(self, request: httpx2.Request) -> httpx2.Response:
        timeouts = _TIMEOUTS_OF_CALL.get()
        most = max(timeouts.left, 0.0) + _PAST_THE_END
        waits = request.extensions["timeout"]
        request.extensions["timeout"] = {
            name: most if wait is None else min(wait, most) for name, wait in waits.items()
        }
        response = super().handle_request(request)
        response.stream = _TimedStream(response, timeouts)
        return response


class ClaudeSdk:
    """``ping_seconds``: silence, pings included, that counts as a cut. ``content_seconds``: the same without pings."""

    def __init__(self, base_url: str, key: ClaudeKey, *, ping_seconds: float, content_seconds: float) -> None:
        self._base_url = base_url
        self._key = key
        self._content_seconds = content_seconds
        timeout = httpx2.Timeout(ping_seconds, connect=_CONNECT_SECONDS)
        self._http = httpx2.Client(transport=_TimedTransport(), timeout=timeout)
        self._client: Anthropic | None = None

    def ask(self, params: Mapping[str, Any], headers: Mapping[str, str], seconds: float) -> Answer:
        """Ask once and read the whole answer within ``seconds``.

        Raises a fitting ClaudeError, or UnfinishedAnswer where part of an answer had come.
        """
        timeouts = _Timeouts.start(seconds, self._content_seconds)
        _TIMEOUTS_OF_CALL.set(timeouts)
        try:
            return self._read(self._sdk(), params, headers, timeouts)
        except ClaudeError as failure:
            if failure.error_type == "authentication_error" and self._key.renew():
                raise TransientError("The key for Claude has just been rotated.", error_type="api_error") from failure
            raise

    def _read(
        self, sdk: Anthropic, params: Mapping[str, Any], headers: Mapping[str, str], timeouts: _Timeouts
    ) -> Answer:
        stream = None
        try:
            # All params go as they came: the API checks them, not the signature of the SDK's method.
            with sdk.messages.stream(
                model=params["model"],
                max_tokens=params["max_tokens"],
                messages=params["messages"],
                extra_body=dict(params),
                extra_headers={**headers, "anthropic-version": version_for(params, headers.get("anthropic-version"))},
            ) as stream:
                return _read_events(stream, timeouts)
        except Exception as error:
            begun = _begun(stream)
            failure = _failure_of(error, timeouts, begun)
            if failure is None:
                raise
            if begun:
                raise UnfinishedAnswer(failure, begun) from error
            if failure is error:
                raise
            raise failure from error

    def _sdk(self) -> Anthropic:
        # Importing the SDK takes a second; only a task that is really going to be asked pays for it.
        from anthropic import Anthropic

        key = self._key.current()
        if self._client is None or self._client.api_key != key:
            self._client = Anthropic(
                api_key=key,
                base_url=self._base_url,
                max_retries=0,
                http_client=self._http,
                default_headers={"user-agent": USER_AGENT},
                open_telemetry=False,
            )
        return self._client


def _read_events(stream: MessageStream[None], timeouts: _Timeouts) -> Answer:
    ended = False
    for event in stream:
        timeouts.note_content()
        ended = ended or event.type == "message_stop"
    if not ended:
        raise TransientError("Claude's answer ended early, without message_stop.")
    return Answer.of_message(stream.current_message_snapshot.to_dict(mode="json"), stream.request_id)


def _begun(stream: MessageStream[None] | None) -> Answer | None:
    """Return what had come of an answer; None before its ``message_start``, which is where it begins to cost."""
    try:
        message = stream.current_message_snapshot if stream else None
    except AssertionError:
        # What the SDK raises while there is no message.
        return None
    return Answer.of_cut_message(message.to_dict(mode="json"), stream.request_id) if stream and message else None


def _failure_of(error: Exception, timeouts: _Timeouts, begun: Answer | None) -> ClaudeError | None:
    """Name what ended a call; None for what is a defect of ours."""
    failure = _named(error)
    if failure is None and begun and isinstance(error, ValueError):
        # What the SDK raises where a tool's input is not JSON. The error's text quotes the answer.
        failure = TransientError("Claude's answer could not be read.")
    if isinstance(failure, TransientError) and failure.http_status is None and timeouts.left <= 0:
        # The answer would be as long the next time, and be paid for each time.
        return PermanentError(
            f"The answer took longer than the {timeouts.seconds:.0f} seconds that a task has for it. It is not "
            "asked for again: ask for fewer max_tokens, or use the streaming door or a batch.",
            error_type="timeout_error",
        )
    return failure


def _named(error: Exception) -> ClaudeError | None:
    from anthropic import APIError, APIStatusError

    if isinstance(error, ClaudeError):
        return error
    if isinstance(error, APIStatusError):
        return _answered(error)
    if isinstance(error, APIError):
        return TransientError(f"Claude could not be reached ({type(error).__name__}).")
    if isinstance(error, (httpx2.HTTPError, UnicodeDecodeError, json.JSONDecodeError)):
        # None of these is an error of the SDK's; a cut stream surfaces as one of them.
        return TransientError(f"Claude's answer was cut ({type(error).__name__}).")
    return None


def _answered(error: APIStatusError) -> ClaudeError:
    """Read an error answer, or an ``error`` event inside an answer with status 200."""
    details = {"error_code": error.error_code}
    body = {"error": {"type": error.type, "message": error.api_message, "details": details}}
    return error_from_response(
        error.status_code,
        body,
        retry_after=parse_retry_after(error.response.headers.get("retry-after")),
        request_id=error.request_id,
    )
