"""Ask Claude once, reading the answer as a stream, so that a long one does not run into a timeout.

The SDK puts the events together. What it does not do is done here: nothing is retried (the queue does that), the answer
counts only if ``message_stop`` was seen, cuts and garbage that surface as raw errors are named, and no answer outlives
the function, pings or not.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping
from contextvars import ContextVar
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import httpx2

from sluice.claude.failures import failure_from_response, parse_retry_after
from sluice.claude.secret import ClaudeKey
from sluice.errors import ClaudeError, PassingFailure
from sluice.tasks.answers import Answer
from sluice.version import USER_AGENT

if TYPE_CHECKING:
    from anthropic import Anthropic, APIStatusError

_CONNECT_SECONDS = 5.0


@dataclass(slots=True)
class _Clocks:
    """``until`` and ``content_until`` are times of ``time.monotonic``; content moves the second one on."""

    until: float
    content_seconds: float
    content_until: float

    @classmethod
    def start(cls, seconds: float, content_seconds: float) -> _Clocks:
        now = time.monotonic()
        return cls(now + seconds, content_seconds, now + content_seconds)

    def note_content(self) -> None:
        self.content_until = time.monotonic() + self.content_seconds

    def check(self) -> None:
        if time.monotonic() > min(self.until, self.content_until):
            raise PassingFailure("Claude's answer took too long.", error_type="timeout_error")


_CLOCKS: ContextVar[_Clocks] = ContextVar("clocks")


class _TimedStream(httpx2.SyncByteStream):
    """Looks at the clocks for each piece that arrives: the SDK swallows pings, and so would wait behind them."""

    def __init__(self, inner: httpx2.SyncByteStream, clocks: _Clocks) -> None:
        self._inner = inner
        self._clocks = clocks

    def __iter__(self) -> Iterator[bytes]:
        for chunk in self._inner:
            self._clocks.check()
            yield chunk

    def close(self) -> None:
        self._inner.close()


class _TimedTransport(httpx2.HTTPTransport):
    def handle_request(self, request: httpx2.Request) -> httpx2.Response:
        response = super().handle_request(request)
        assert isinstance(response.stream, httpx2.SyncByteStream)
        response.stream = _TimedStream(response.stream, _CLOCKS.get())
        return response


class Claude:
    """``ping_seconds``: silence, pings included, that counts as a cut. ``content_seconds``: the same without pings."""

    def __init__(self, base_url: str, key: ClaudeKey, *, ping_seconds: float, content_seconds: float) -> None:
        self._base_url = base_url
        self._key = key
        self._content_seconds = content_seconds
        timeout = httpx2.Timeout(ping_seconds, connect=_CONNECT_SECONDS)
        self._http = httpx2.Client(transport=_TimedTransport(), timeout=timeout)
        self._client: Anthropic | None = None

    def ask(self, params: Mapping[str, Any], headers: Mapping[str, str], seconds: float) -> Answer:
        """Ask once and read the whole answer within ``seconds``. Raises a fitting ClaudeError."""
        clocks = _Clocks.start(seconds, self._content_seconds)
        _CLOCKS.set(clocks)
        try:
            return self._read(self._sdk(), params, headers, clocks)
        except ClaudeError as failure:
            if failure.error_type == "authentication_error" and self._key.renew():
                raise PassingFailure("The key for Claude has just been rotated.", error_type="api_error") from failure
            raise
        except (httpx2.HTTPError, UnicodeDecodeError, json.JSONDecodeError) as error:
            # None of these is an error of the SDK's; a cut stream surfaces as one of them.
            raise PassingFailure(f"Claude's answer was cut ({type(error).__name__}).") from error

    def _read(self, sdk: Anthropic, params: Mapping[str, Any], headers: Mapping[str, str], clocks: _Clocks) -> Answer:
        from anthropic import APIError, APIStatusError

        ended = False
        try:
            # All params go as they came: the API checks them, not the signature of the SDK's method.
            with sdk.messages.stream(
                model=params["model"],
                max_tokens=params["max_tokens"],
                messages=params["messages"],
                extra_body=dict(params),
                extra_headers=dict(headers),
            ) as stream:
                for event in stream:
                    clocks.note_content()
                    ended = ended or event.type == "message_stop"
                if not ended:
                    raise PassingFailure("Claude's answer ended early, without message_stop.")
                message = stream.current_message_snapshot.to_dict(mode="json")
                return Answer.of_message(message, stream.request_id)
        except APIStatusError as error:
            raise _failure(error) from error
        except APIError as error:
            raise PassingFailure(f"Claude could not be reached ({type(error).__name__}).") from error

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


def _failure(error: APIStatusError) -> ClaudeError:
    """Read an error answer, or an ``error`` event inside an answer with status 200."""
    details = {"error_code": error.error_code}
    body = {"error": {"type": error.type, "message": error.api_message, "details": details}}
    return failure_from_response(
        error.status_code,
        body,
        retry_after=parse_retry_after(error.response.headers.get("retry-after")),
        request_id=error.request_id,
    )
