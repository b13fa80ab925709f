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
    """An exception in the Runtime API's words: a type, and a JSON document for the `error` calls and the trailers."""

    __slots__ = ("described", "error_type")

    def __init__(self, exception: BaseException) -> None:
        self.error_type: str = getattr(exception, "error_type", None) or type(exception).__name__
        self.described: dict[str, object] = {
            "errorMessage": str(exception)[:MAX_MESSAGE_CHARACTERS],
            "errorType": self.error_type,
            "stackTrace": _stack(exception.__traceback__),
        }

    @property
    def document(self) -> bytes:
        """The JSON that the Runtime API takes."""
        return json.dumps(self.described).encode("ascii")


def _stack(trace: TracebackType | None) -> list[str]:
    import traceback  # costs milliseconds that only a failure should pay

    frames = [frame for frame in traceback.extract_tb(trace) if not frame.filename.startswith(OWN_FOLDER)]
    return traceback.format_list(frames[-MAX_STACK_FRAMES:])
