"""Failures, as the Runtime API wants them told.

RuntimeFailure
├── HandlerNotLoaded      the function's module cannot be imported, or has no such handler
├── EventNotUnderstood    the event is not JSON
└── AnswerNotEncodable    what the handler returned fits neither JSON nor the streaming contract
"""

from __future__ import annotations

import json

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import TracebackType

MAX_MESSAGE_CHARACTERS = 4_096
MAX_STACK_FRAMES = 32
MAX_TYPE_CHARACTERS = 256
# As base64, with the type beside it and the names of both fields, trailers of less than 3 KB. The Runtime API is
# written in Go, whose net/http refuses trailers that do not fit into its buffer of 4 KiB; Lambda then knows neither the
# type nor that the response ended on purpose.
MAX_SHORT_DOCUMENT_BYTES = 1_900
OWN_FOLDER = __file__.rpartition("/")[0] + "/"


class RuntimeFailure(Exception):
    """A failure that the runtime client itself found. `error_type` is one of Lambda's own `Runtime.…` names."""

    def __init__(self, error_type: str, message: str) -> None:
        super().__init__(message)
        self.error_type = error_type


class HandlerNotLoaded(RuntimeFailure):
    """The function cannot start."""


class EventNotUnderstood(RuntimeFailure):
    """The Runtime API handed over an event that is not JSON."""

    def __init__(self, message: str) -> None:
        super().__init__("Runtime.UnmarshalError", message)


class AnswerNotEncodable(RuntimeFailure):
    """The handler returned something that cannot be sent."""

    def __init__(self, message: str) -> None:
        super().__init__("Runtime.MarshalError", message)


class Failure:
    """An exception in the Runtime API's words: a type, and a JSON document, whole for the `error` calls and the log."""

    __slots__ = ("described", "error_type")

    def __init__(self, exception: BaseException) -> None:
        error_type: str = getattr(exception, "error_type", None) or type(exception).__name__
        self.error_type = error_type[:MAX_TYPE_CHARACTERS]
        self.described: dict[str, object] = {
            "errorMessage": str(exception)[:MAX_MESSAGE_CHARACTERS],
            "errorType": self.error_type,
            "stackTrace": _stack(exception.__traceback__),
        }

    @property
    def document(self) -> bytes:
        """The JSON that the Runtime API takes."""
        return json.dumps(self.described).encode("ascii")

    @property
    def short_document(self) -> bytes:
        """The same without the stack, and with as much of the message as trailers take."""
        message = str(self.described["errorMessage"])
        while True:
            document = json.dumps({"errorMessage": message, "errorType": self.error_type}).encode("ascii")
            excess = len(document) - MAX_SHORT_DOCUMENT_BYTES
            if excess <= 0 or not message:
                return document
            # A character is at most twelve bytes of JSON, a pair of escapes.
            message = message[: -max(excess // 12, 1)]


def _stack(trace: TracebackType | None) -> list[str]:
    import traceback  # costs milliseconds that only a failure should pay

    frames = [frame for frame in traceback.extract_tb(trace) if not frame.filename.startswith(OWN_FOLDER)]
    return traceback.format_list(frames[-MAX_STACK_FRAMES:])
