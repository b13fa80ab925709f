"""The runtime client's own log lines: one JSON object a line on standard error, named like Lambda's JSON logs."""

from __future__ import annotations

import json
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from streaming_runtime.failures import Failure


def log_failure(failure: Failure, request_id: str | None = None) -> None:
    """Logs what the handler raised, or why the function cannot start."""
    _write({"level": "ERROR", "requestId": request_id, **failure.described})


def log_warning(error_type: str, message: str, request_id: str) -> None:
    """Logs what ended an invocation early without being the handler's fault."""
    _write({"level": "WARN", "requestId": request_id, "errorType": error_type, "errorMessage": message})


def _write(record: dict[str, object]) -> None:
    sys.stderr.write(json.dumps(record) + "\n")
    sys.stderr.flush()
