"""Every error that Sluice raises on purpose.

    SluiceError
    ├── RequestError                 what a caller of a door sent; answered in the API's own error shape
    │   ├── InvalidRequest           400
    │   ├── Unauthenticated          401
    │   ├── BudgetSpent              402
    │   ├── Forbidden                403
    │   ├── NotFound                 404
    │   ├── MethodNotAllowed         405
    │   ├── Conflict                 409
    │   ├── RequestTooLarge          413
    │   └── TooManyRequests          429, with the seconds to wait
    ├── InputError                   the settings for a dropped file; holds the job
    │   └── UnreadableInput          the file itself: nothing in it can run; fails the job
    ├── ClaudeError                  Claude said no, or nothing
    │   ├── TransientError           the same call may work later                      retryable
    │   │   └── OutcomeUnknown       the call may have been carried out                retryable once reconciled
    │   ├── PermanentError         the same request will never work
    │   └── AccountError          no request will work until a person acts
    │       └── ModelError         no request to one model will
    └── AwsError                     an AWS service said no, or nothing
        ├── ConditionFailed          a conditional write found another state
        ├── ObjectNotFound           the object, or that version of it, is not there
        └── AwsUnavailable           throttled, timed out, conflicted                  retryable

``retryable`` says whether the same call may succeed later; ``status`` and ``type`` are those of the answer that
a caller over HTTP gets (Claude API: Errors).
"""

from __future__ import annotations

from typing import Any


class SluiceError(Exception):
    retryable = False
    status = 500
    type = "api_error"


class RequestError(SluiceError):
    status = 400
    type = "invalid_request_error"


class InvalidRequest(RequestError):
    pass


class Unauthenticated(RequestError):
    status = 401
    type = "authentication_error"


class BudgetSpent(RequestError):
    status = 402
    type = "billing_error"


class Forbidden(RequestError):
    status = 403
    type = "permission_error"


class NotFound(RequestError):
    status = 404
    type = "not_found_error"


class MethodNotAllowed(RequestError):
    """``allow`` is the header that lists what is allowed."""

    status = 405

    def __init__(self, message: str, allow: str) -> None:
        super().__init__(message)
        self.allow = allow


class Conflict(RequestError):
    status = 409
    type = "conflict_error"


class RequestTooLarge(RequestError):
    status = 413
    type = "request_too_large"


class TooManyRequests(RequestError):
    retryable = True
    status = 429
    type = "rate_limit_error"

    def __init__(self, message: str, retry_after: float) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class InputError(SluiceError):
    status = 400
    type = "invalid_request_error"


class UnreadableInput(InputError):
    pass


class ClaudeError(SluiceError):
    """``error_type`` and ``error_code`` are the API's words; ``http_status`` is None where no answer came.

    ``retry_after`` in seconds.
    """

    status = 502

    def __init__(
        self,
        message: str,
        *,
        error_type: str = "api_error",
        error_code: str | None = None,
        http_status: int | None = None,
        retry_after: float | None = None,
        request_id: str | None = None,
    ) -> None:
        super().__init__(message)
        self.error_type = error_type
        self.error_code = error_code
        self.http_status = http_status
        self.retry_after = retry_after
        self.request_id = request_id


class TransientError(ClaudeError):
    retryable = True


class OutcomeUnknown(TransientError):
    pass


class PermanentError(ClaudeError):
    pass


class AccountError(ClaudeError):
    """``cause`` names what it comes from, as an incident is named: the API's type, or a word that says more."""

    def __init__(
        self,
        message: str,
        *,
        cause: str = "",
        error_type: str = "api_error",
        error_code: str | None = None,
        http_status: int | None = None,
        retry_after: float | None = None,
        request_id: str | None = None,
    ) -> None:
        super().__init__(
            message,
            error_type=error_type,
            error_code=error_code,
            http_status=http_status,
            retry_after=retry_after,
            request_id=request_id,
        )
        self.cause = cause or error_type


class ModelError(AccountError):
    pass


class AwsError(SluiceError):
    pass


class ConditionFailed(AwsError):
    pass


class ObjectNotFound(AwsError):
    pass


class AwsUnavailable(AwsError):
    retryable = True


_FRAMES = 5


def describe_error(error: BaseException) -> dict[str, Any]:
    """Return what a log may have of an error: its class, the last places that it came through and, where it is one of
    Sluice's own, its text. That of others may hold what somebody has sent."""
    places, traceback = [], error.__traceback__
    while traceback:
        places.append(f"{traceback.tb_frame.f_code.co_filename}:{traceback.tb_lineno}")
        traceback = traceback.tb_next
    text = str(error) if isinstance(error, SluiceError) else ""
    return {"error_class": type(error).__name__, "error": text, "place": " > ".join(places[-_FRAMES:])}
