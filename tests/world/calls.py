"""Every call to the outside: seen, counted, and, where a test asks for it, the last that a function makes.

AWS is watched where all of boto3's clients meet, Claude where all connections of httpx2 and of http.client do, so that
a call that is added to a function later is covered without anyone remembering.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.client import HTTPConnection
from typing import Any

import httpx2
import pytest
from botocore.client import BaseClient
from botocore.exceptions import ClientError

_READS = ("Get", "Head", "List", "Query", "Describe")


class Crash(BaseException):
    """A function ends here, as when its machine dies: nothing that it does afterwards reaches anyone."""


@dataclass(frozen=True, slots=True)
class Call:
    """``name`` such as "dynamodb.PutItem" or "claude.POST /v1/messages/batches"."""

    name: str
    step: str

    @property
    def changes(self) -> bool:
        """Whether it may change anything; of a call that is not known, it is said that it may."""
        service, _, operation = self.name.partition(".")
        return not operation.startswith("GET " if service == "claude" else _READS)


@dataclass
class WatchedCalls:
    """``step`` is the function that is running; None: nobody, and calls are the test's own.

    ``points`` are the places before and after each call, in their order, where a function may die; it does at the one
    with the number ``last_point``. ``interrupt`` has what happens right before the call with a number, by another's
    hand. ``instead`` of some of AWS's operations, something of the test's own happens. ``listeners`` hear of the calls
    of AWS that succeeded, by operation; ``watchers`` of all, by service and operation, with a failure's code, or "".
    """

    step: str | None = None
    made: list[Call] = field(default_factory=list)
    crashes: dict[int, bool] = field(default_factory=dict)
    crashed: bool = False
    points: list[str] = field(default_factory=list)
    last_point: int | None = None
    interrupt: dict[int, Callable[[], None]] = field(default_factory=dict)
    listeners: list[Callable[[str, dict[str, Any]], None]] = field(default_factory=list)
    watchers: list[Callable[[str, dict[str, Any], str], None]] = field(default_factory=list)
    instead: dict[str, Callable[[dict[str, Any]], None]] = field(default_factory=dict)

    def crash(self, *crashes: tuple[int, bool]) -> None:
        """Let the calls with these numbers be the last of their functions: carried out or, with True, not."""
        self.crashes = dict(crashes)

    def around(self, name: str, call: Callable[[], Any]) -> Any:
        """Carry a call out, or crash."""
        if self.step is None:
            return call()
        if self.crashed:
            raise Crash
        number = len(self.made)
        self.made.append(Call(name, self.step))
        if meanwhile := self.interrupt.pop(number, None):
            meanwhile()
        self._pass_point(f"before {name}", self.crashes.get(number) is True)
        try:
            return call()
        finally:
            # Not where the call itself has led to the end, within which it was made.
            if not self.crashed:
                self._pass_point(f"after {name}", self.crashes.get(number) is False)

    @contextmanager
    def running(self, step: str) -> Iterator[None]:
        """Calls in this block are a function's. A crash ends it."""
        before, self.step, self.crashed = self.step, step, False
        try:
            yield
        finally:
            self.step = before

    def _pass_point(self, point: str, is_last: bool) -> None:
        self.points.append(point)
        if is_last or len(self.points) - 1 == self.last_point:
            self.crashed = True
            raise Crash


@contextmanager
def watched_aws() -> Iterator[WatchedCalls]:
    """Watch all calls to AWS in this process."""
    calls = WatchedCalls()
    client: Any = BaseClient
    aws_call = client._make_api_call

    def call_aws(self: Any, operation: str, params: dict[str, Any]) -> Any:
        name = f"{self.meta.service_model.service_name}.{operation}"

        def carry_out() -> Any:
            error_code = ""
            try:
                if operation in calls.instead:
                    return calls.instead[operation](params) or {}
                answer = aws_call(self, operation, params)
            except ClientError as error:
                error_code = error.response["Error"]["Code"]
                raise
            finally:
                for watcher in calls.watchers:
                    watcher(name, params, error_code)
            for listener in calls.listeners:
                listener(operation, params)
            return answer

        return calls.around(name, carry_out)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(BaseClient, "_make_api_call", call_aws)
        yield calls


@contextmanager
def watched() -> Iterator[WatchedCalls]:
    """Watch all calls to AWS and to Claude in this process."""
    claude_call, download = httpx2.HTTPTransport.handle_request, HTTPConnection.request

    def call_claude(self: httpx2.HTTPTransport, request: httpx2.Request) -> httpx2.Response:
        def carry_out() -> httpx2.Response:
            return claude_call(self, request)

        if request.url.path.startswith("/_simulator"):
            return carry_out()
        answer: httpx2.Response = calls.around(f"claude.{request.method} {request.url.path}", carry_out)
        return answer

    def download_from_claude(self: HTTPConnection, method: str, url: str, *args: Any, **kwargs: Any) -> None:
        calls.around(f"claude.{method} {url}", lambda: download(self, method, url, *args, **kwargs))

    with watched_aws() as calls, pytest.MonkeyPatch.context() as patch:
        patch.setattr(HTTPConnection, "request", download_from_claude)
        patch.setattr(httpx2.HTTPTransport, "handle_request", call_claude)
        yield calls
