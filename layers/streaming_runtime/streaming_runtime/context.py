"""What a handler is told about its invocation, besides the event."""

from __future__ import annotations

import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping


class LambdaContext:
    """The context object of Lambda's Python runtimes, with the deadline as the Runtime API gives it.

    `deadline_ms` is in milliseconds since the epoch. Names: "Using the Lambda context object" of AWS's documentation.
    """

    __slots__ = (
        "aws_request_id",
        "deadline_ms",
        "function_name",
        "function_version",
        "invoked_function_arn",
        "log_group_name",
        "log_stream_name",
        "memory_limit_in_mb",
    )

    def __init__(self, request_id: str, deadline_ms: int, function_arn: str, environ: Mapping[str, str]) -> None:
        self.aws_request_id = request_id
        self.deadline_ms = deadline_ms
        self.invoked_function_arn = function_arn
        self.function_name = environ.get("AWS_LAMBDA_FUNCTION_NAME", "")
        self.function_version = environ.get("AWS_LAMBDA_FUNCTION_VERSION", "")
        self.memory_limit_in_mb = int(environ.get("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "0"))
        self.log_group_name = environ.get("AWS_LAMBDA_LOG_GROUP_NAME", "")
        self.log_stream_name = environ.get("AWS_LAMBDA_LOG_STREAM_NAME", "")

    def get_remaining_time_in_millis(self) -> int:
        """Milliseconds until Lambda ends the invocation; never less than zero."""
        return max(0, self.deadline_ms - int(time.time() * 1000))
