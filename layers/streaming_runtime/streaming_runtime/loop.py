"""Invocation after invocation, for as long as the process lives."""

from __future__ import annotations

import json

from streaming_runtime.context import LambdaContext
from streaming_runtime.exchange import Exchange, ResponseClosed
from streaming_runtime.failures import AnswerNotEncodable, EventNotUnderstood, Failure
from streaming_runtime.interruptions import DeadlineReached, Interruptions, Terminated
from streaming_runtime.log import log_failure, log_warning

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, MutableMapping
    from typing import Any

    from streaming_runtime.handlers import Handler
    from streaming_runtime.runtime_api import Invocation, RuntimeApi

TRACE_VARIABLE = "_X_AMZN_TRACE_ID"


class Loop:
    """Runs `handler` for what the Runtime API hands out. `environ` is what the handler sees as its environment."""

    def __init__(
        self, api: RuntimeApi, handler: Handler, interruptions: Interruptions, environ: MutableMapping[str, str]
    ) -> None:
        self._api = api
        self._handler = handler
        self._interruptions = interruptions
        self._environ = environ

    def run(self) -> None:
        """Serves until SIGTERM. Raises OSError or RuntimeApiError when the Runtime API is gone."""
        try:
            while True:
                with self._interruptions.open_idle():
                    invocation = self._api.next_invocation()
                self.serve(invocation)
        except Terminated:
            return

    def serve(self, invocation: Invocation) -> None:
        """Answers one invocation, whatever happens in it, and closes the body of its response.

        Only what must end the process passes through: Terminated, SystemExit and the like.
        """
        exchange = Exchange(self._api, self._interruptions, invocation)
        response: Any = None
        try:
            with self._interruptions.open_until(invocation.deadline_ms):
                response = self._handler(*self._arguments(invocation))
                _answer(exchange, response)
        except ResponseClosed as closed:
            log_warning("Runtime.ResponseClosed", str(closed), invocation.request_id)
        except (Exception, DeadlineReached) as error:  # noqa: BLE001 - a handler may raise anything, and is told on
            _report(exchange, invocation.request_id, error)
        except BaseException as error:
            _report(exchange, invocation.request_id, error)
            raise
        finally:
            _close_body(response, invocation.request_id)

    def _arguments(self, invocation: Invocation) -> tuple[Any, LambdaContext]:
        if invocation.trace_id:
            self._environ[TRACE_VARIABLE] = invocation.trace_id
        else:
            self._environ.pop(TRACE_VARIABLE, None)
        try:
            event = json.loads(invocation.event)
        except ValueError as error:
            raise EventNotUnderstood("the event is not JSON") from error
        context = LambdaContext(invocation.request_id, invocation.deadline_ms, invocation.function_arn, self._environ)
        return event, context


def _answer(exchange: Exchange, response: Any) -> None:
    if hasattr(response, "body"):
        _stream(exchange, response)
        return
    try:
        document = json.dumps(response, ensure_ascii=False, separators=(",", ":")).encode("utf-8")
    except (TypeError, ValueError) as error:
        raise AnswerNotEncodable(
            f"the handler returned {type(response).__name__}, which is neither JSON nor a response with a body: {error}"
        ) from error
    exchange.send_whole(document)


def _stream(exchange: Exchange, response: Any) -> None:
    """The head waits for the first chunk, so that a failure until then is still a failed invocation.

    A body that yields an empty chunk first sends its head at once.
    """
    chunks: Iterator[bytes] = iter(response.body)
    exchange.start(response.status, response.headers, response.cookies, next(chunks, b""))
    for data in chunks:
        exchange.write(data)
    exchange.finish()


def _report(exchange: Exchange, request_id: str, error: BaseException) -> None:
    failure = Failure(error)
    log_failure(failure, request_id)
    exchange.fail(failure)


def _close_body(response: Any, request_id: str) -> None:
    close = getattr(getattr(response, "body", None), "close", None)
    if close is None:
        return
    try:
        close()
    except Exception as error:  # noqa: BLE001 - the answer is out: what closing raises can only be logged
        log_failure(Failure(error), request_id)
