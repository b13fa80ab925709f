"""The calls of the Lambda Runtime API, version 2018-06-01. An answer to an invocation is in `exchange`."""

from __future__ import annotations

from streaming_runtime.connection import Connection
from streaming_runtime.wire import request_head

TYPE_CHECKING = False
if TYPE_CHECKING:
    from streaming_runtime.failures import Failure
    from streaming_runtime.wire import AnswerReader

ROOT = "/2018-06-01/runtime"
ERROR_TYPE_FIELD = "Lambda-Runtime-Function-Error-Type"
ERROR_BODY_FIELD = "Lambda-Runtime-Function-Error-Body"
INVOCATION_ID_FIELD = "Lambda-Runtime-Invocation-Id"


class RuntimeApiError(Exception):
    """The Runtime API refused a call that the function cannot do without; the process must end."""


class Invocation:
    """One event, still as JSON, and what the Runtime API says about it. `deadline_ms` is epoch milliseconds.

    `echo` are the fields that every answer to it has to carry: by the invocation's own id, which differs even where a
    request is retried under the same request id, Lambda refuses an answer that comes too late (AWS's client for Python,
    awslambdaric, from 4.0.2). Where Lambda sends none, there are none.
    """

    __slots__ = ("deadline_ms", "echo", "event", "function_arn", "request_id", "trace_id")

    def __init__(self, answer: AnswerReader) -> None:
        headers = answer.headers
        try:
            self.request_id = headers["lambda-runtime-aws-request-id"]
            self.deadline_ms = int(headers["lambda-runtime-deadline-ms"])
        except (KeyError, ValueError) as error:
            raise RuntimeApiError("the Runtime API handed out an invocation without its id or deadline") from error
        self.function_arn = headers.get("lambda-runtime-invoked-function-arn", "")
        self.trace_id = headers.get("lambda-runtime-trace-id", "")
        invocation_id = headers.get(INVOCATION_ID_FIELD.lower())
        self.echo = ((INVOCATION_ID_FIELD, invocation_id),) if invocation_id else ()
        self.event = answer.body


class RuntimeApi:
    """The Runtime API at `authority` (`host:port`). Network failures leave as OSError, refusals as RuntimeApiError."""

    __slots__ = ("connection",)

    def __init__(self, authority: str) -> None:
        self.connection = Connection(authority)

    def next_invocation(self) -> Invocation:
        """Waits, for as long as it takes, until there is something to do."""
        answer = self._get(f"{ROOT}/invocation/next")
        return Invocation(answer)

    def await_restore(self) -> None:
        """SnapStart: says that the function is ready for its snapshot, and waits until it runs from one."""
        self._get(f"{ROOT}/restore/next")
        self.connection.close()

    def report_init_failure(self, failure: Failure) -> None:
        """Says that the function cannot start; the process must end after it."""
        self._post_failure(f"{ROOT}/init/error", failure)

    def report_failure(self, invocation: Invocation, failure: Failure) -> None:
        """Says that an invocation failed; only allowed while its answer has not begun."""
        self._post_failure(f"{ROOT}/invocation/{invocation.request_id}/error", failure, invocation.echo)

    def _post_failure(self, path: str, failure: Failure, echo: tuple[tuple[str, str], ...] = ()) -> None:
        document = failure.document
        fields = [
            ("Content-Type", "application/json"),
            (ERROR_TYPE_FIELD, failure.error_type),
            ("Content-Length", str(len(document))),
            *echo,
        ]
        self._call(request_head("POST", path, self.connection.authority, fields) + document)

    def _get(self, path: str) -> AnswerReader:
        answer = self._call(request_head("GET", path, self.connection.authority))
        if answer.status != 200:
            raise RuntimeApiError(f"GET {path} was answered with status {answer.status}")
        return answer

    def _call(self, request: bytes) -> AnswerReader:
        self.connection.begin(request)
        return self.connection.read_answer()
