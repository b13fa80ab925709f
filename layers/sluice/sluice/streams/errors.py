"""How the streaming door says that something went wrong, before and after the first byte.

Before it: the API's error body with its status (Claude API: Errors). After it: the API's ``error`` event (Claude API:
Streaming), whose ``details.error_code`` says what cut the stream.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, cast, get_args

from sluice.claude.errors import TYPE_OF_STATUS
from sluice.errors import ClaudeError, TransientError
from sluice.http.errors import error_event

CutCode = Literal[
    "connection_cut",  # the connection to Claude broke
    "ended_early",  # it ended well, and the answer had not
    "stalled",  # not even pings came
    "no_content",  # pings came, and no content
    "garbage",  # what came was no event
    "claude_error",  # an error event of Claude's own
    "deadline",  # the time of the Lambda is over
    "lease_expired",  # the client did not renew its lease
    "stream_stopped",  # DELETE /v1/streams/{id}
    "not_continuable",  # cut where thinking or tool use cannot be taken up
    "taken_over",  # another reader has taken the stream over
    "writer_lost",  # the function that read from Claude has died
    "internal_error",  # a defect of our own
]
_STATUS_OF_TYPE = {error_type: status for status, error_type in TYPE_OF_STATUS.items()}
_TIMEOUTS = frozenset({"stalled", "no_content", "deadline"})
# A repeated call may do better after these; after the others it is somebody's decision, or of no use.
_RETRYABLE = frozenset({"connection_cut", "ended_early", "stalled", "no_content", "garbage", "writer_lost"})


class StreamCut(TransientError):
    """An answer that has not come to its end.

    ``frame`` is the error event as Claude sent it, where Claude did; ``failure`` is what Claude said, in one or instead
    of an answer.
    """

    def __init__(
        self,
        code: CutCode,
        message: str,
        *,
        error_type: str | None = None,
        frame: bytes = b"",
        failure: ClaudeError | None = None,
    ) -> None:
        super().__init__(message, error_type=error_type or ("timeout_error" if code in _TIMEOUTS else "api_error"))
        self.code: CutCode = code
        self.frame = frame
        self.failure = failure
        self.retryable = code in _RETRYABLE or (bool(frame) and failure is not None and failure.retryable)
        self.status = 504 if code in _TIMEOUTS else _STATUS_OF_TYPE.get(self.error_type, 502) if frame else 502

    def event(self, request_id: str) -> bytes:
        """Return the ``error`` event that ends the stream."""
        return self.frame or error_event(self.error_type, str(self), request_id, self.code)


def internal_error() -> StreamCut:
    """Return the error for a stream that a defect of our own ends. What it was is for the log."""
    return StreamCut("internal_error", "An error inside Sluice has ended the stream.")


def cut_from_event(error: Mapping[str, object]) -> StreamCut:
    """Return what cut a stream, from the ``error`` of the event that ends its log: ours, or Claude's own."""
    details = error.get("details")
    code = details.get("error_code") if isinstance(details, dict) else None
    known = cast(CutCode, code) if code in get_args(CutCode) else "claude_error"
    return StreamCut(known, str(error.get("message") or ""), error_type=str(error.get("type") or "api_error"))
