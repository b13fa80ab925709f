"""From a request to the first byte of its answer: the only time in which anything is tried again."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TypeVar

from sluice.backoff import CONNECT
from sluice.claude.connection import CONNECTION_ERRORS
from sluice.claude.errors import error_from_response, parse_retry_after
from sluice.claude.key import ClaudeKey
from sluice.deadline import Deadline
from sluice.errors import ClaudeError, SluiceError, TransientError
from sluice.streams.errors import StreamCut
from sluice.streams.headers import headers_to_claude, headers_to_client
from sluice.streams.reading import read_whole
from sluice.streams.timeouts import deadline_cut
from sluice.streams.upstream import NotConnected, Upstream, UpstreamResponse

_Accepted = TypeVar("_Accepted")


def _nothing() -> None:
    return


@dataclass(frozen=True, slots=True)
class UpstreamCall:
    """What Claude is asked; ``headers`` are the client's. ``wait_seconds`` bounds the wait for an answer's head.

    ``lost`` is called for each try whose answer Claude may have written, and charged for, and that was not read.
    """

    method: str
    target: str
    headers: Mapping[str, str]
    body: bytes
    deadline: Deadline
    wait_seconds: float
    lost: Callable[[], None] = _nothing

    @property
    def is_repeated(self) -> bool:
        """Whether the client has asked before, and tries again by itself: two that both do so would multiply."""
        return self.headers.get("x-stainless-retry-count", "0") != "0"


class CallRefused(SluiceError):
    """Claude's own error answer, which passes as it is."""

    def __init__(self, status: int, headers: dict[str, str], body: bytes, failure: ClaudeError) -> None:
        super().__init__(str(failure))
        self.status = status
        self.headers = headers
        self.body = body
        self.failure = failure


class Connector:
    """Asks Claude, and asks again while that may help and ``retry_seconds`` are not over.

    ``note`` is told of each try that is followed by another: the failure, the number of the try, the seconds of wait.
    """

    def __init__(
        self,
        upstream: Upstream,
        key: ClaudeKey,
        retry_seconds: float,
        sleep: Callable[[float], None] = time.sleep,
        note: Callable[[SluiceError, int, float], None] | None = None,
    ) -> None:
        self._note = note
        self._upstream = upstream
        self._key = key
        self._retry_seconds = retry_seconds
        self._sleep = sleep

    def open(
        self, upstream_call: UpstreamCall, accept: Callable[[UpstreamResponse], _Accepted]
    ) -> tuple[_Accepted, int]:
        """Return what ``accept`` makes of a good answer, and the number of tries.

        ``accept`` may raise StreamCut: nothing has reached the client yet. Raises CallRefused with Claude's own answer,
        StreamCut or TransientError where there was none, InvalidRequest for headers that cannot be passed on.
        """
        give_up_at = upstream_call.deadline.clock() + self._retry_seconds
        tries = 0
        while True:
            tries += 1
            try:
                return self._try(upstream_call, accept), tries
            except (CallRefused, TransientError) as failure:
                if isinstance(failure, CallRefused) and failure.status == 401 and self._key.renew():
                    continue
                wait = _wait_before_retry(failure, tries)
                if wait is None or (upstream_call.is_repeated and isinstance(failure, CallRefused)):
                    raise
                if upstream_call.deadline.clock() + wait > min(give_up_at, upstream_call.deadline.at):
                    raise
                if self._note is not None:
                    self._note(failure, tries, wait)
            self._sleep(wait)

    def _try(self, upstream_call: UpstreamCall, accept: Callable[[UpstreamResponse], _Accepted]) -> _Accepted:
        left = min(upstream_call.wait_seconds, upstream_call.deadline.left())
        if left <= 0:
            raise deadline_cut()
        headers = headers_to_claude(upstream_call.headers, self._key.current())
        try:
            answer = self._upstream.send(upstream_call.method, upstream_call.target, headers, upstream_call.body, left)
        except NotConnected as error:
            if isinstance(error.__cause__, TimeoutError):
                raise _no_answer(upstream_call.deadline) from None
            raise StreamCut("connection_cut", f"Claude could not be reached ({error}).") from None
        except TimeoutError:
            upstream_call.lost()
            raise _no_answer(upstream_call.deadline) from None
        except CONNECTION_ERRORS as error:
            upstream_call.lost()
            raise StreamCut("connection_cut", f"Claude could not be reached ({type(error).__name__}).") from None
        except ValueError:
            # The text of the error quotes what could not be written: it may be the key. What clients send is checked.
            raise SluiceError("The Claude key or its base URL cannot be written in a request; look at both.") from None
        try:
            if answer.status >= 400:
                raise _refusal(answer, upstream_call.deadline)
            return accept(answer)
        except BaseException as error:
            answer.abandon()
            # Claude charges for no answer that is an error, but for one that it wrote and nobody read.
            if answer.status < 400 and not (isinstance(error, StreamCut) and error.code == "claude_error"):
                upstream_call.lost()
            raise


def _no_answer(deadline: Deadline) -> StreamCut:
    return deadline_cut() if deadline.left() <= 0 else StreamCut("stalled", "Claude did not answer in time.")


def _refusal(answer: UpstreamResponse, deadline: Deadline) -> CallRefused:
    body = read_whole(answer, deadline)
    try:
        decoded = json.loads(body)
    except (ValueError, RecursionError):
        decoded = None
    failure = error_from_response(
        answer.status,
        decoded,
        retry_after=parse_retry_after(answer.header("retry-after")),
        request_id=answer.header("request-id"),
    )
    if (should_retry := answer.header("x-should-retry")) in ("true", "false"):
        failure.retryable = should_retry == "true"
    return CallRefused(answer.status, headers_to_client(answer.headers), body, failure)


def _wait_before_retry(failure: CallRefused | TransientError, tries: int) -> float | None:
    """Return the seconds to wait, or None where trying again is of no use."""
    cause = failure.failure if isinstance(failure, CallRefused) else failure
    if not cause.retryable:
        return None
    return CONNECT.delay(tries, cause.retry_after)
