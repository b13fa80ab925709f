"""Every error that Sluice raises on purpose, with the status and the type that a caller over HTTP gets for it.

    SluiceError                    500 api_error              what should not be: a defect, or data that do not fit
    ├── RequestError               400 invalid_request_error  what a caller of a door sent
    │   ├── InvalidRequest         400 invalid_request_error  it cannot be read, or asks for what is not possible
    │   ├── Unauthenticated        401 authentication_error   it shows no key or signature that is good
    │   ├── BudgetSpent            402 billing_error          its key has spent its budget
    │   ├── Forbidden              403 permission_error       its key or role may not do this
    │   ├── NotFound               404 not_found_error        there is no such thing, or it is somebody else's
    │   ├── MethodNotAllowed       405 invalid_request_error  with the methods that are allowed
    │   ├── Conflict               409 conflict_error         not in the state that things are in
    │   ├── RequestTooLarge        413 request_too_large      it is larger than the door takes
    │   └── TooManyRequests        429 rate_limit_error       retryable, with the seconds to wait
    ├── InputError                 400 invalid_request_error  the settings for a dropped file; holds the job
    │   └── UnreadableInput        400 invalid_request_error  the file itself: nothing in it can run; fails the job
    ├── ClaudeError                502 api_error              Claude said no, or nothing
    │   ├── TransientError         502 api_error              retryable: the same call may work later
    │   │   ├── OutcomeUnknown     502 api_error              retryable once reconciled: the call may have been done
    │   │   ├── ResultsUnreadable  502 api_error              retryable: results that came cut or garbled
    │   │   └── StreamCut          502 api_error              retryable by its code; timeouts are 504 timeout_error
    │   ├── PermanentError         502 api_error              the same request will never work
    │   └── AccountError           502 api_error              no request will work until a person acts; 503 for a key
    │       └── ModelError         502 api_error              no request to one model will
    ├── CallRefused                500 api_error              Claude's own error answer, which passes as it is
    ├── AwsError                   500 api_error              an AWS service said no, or nothing
    │   ├── ConditionFailed        500 api_error              a conditional write found another state
    │   ├── ObjectNotFound         500 api_error              the object, or that version of it, is not there
    │   ├── AwsUnavailable         503 api_error              retryable: throttled, timed out, conflicted
    │   └── _RangeEmpty            500 api_error              the range is behind the end; never leaves aws/s3.py
    ├── ForeignResults             500 api_error              the results of a batch are not those of its shard
    ├── DiskFull                   500 api_error              the results of a batch do not fit the disk
    ├── NotDelivered               500 api_error              retryable: a callback got no answer
    └── BadWebhookSecret           500 api_error              the secret that callbacks are signed with is no good

Most are here; one that a single module raises is in that module. ``error_type`` is the API's ``error.type``
(Claude API: Errors): of a ClaudeError, the one that Claude gave. ``code`` is the answer's ``error.details.error_code``,
where it has one. ``retryable``: whether the same call may succeed later. ``http/errors.py`` makes the answer of them.
"""

from __future__ import annotations

from typing import Any


class SluiceError(Exception):
    retryable = False
    status = 500
    error_type = "api_error"
    code: str | None = None


class RequestError(SluiceError):
    status = 400
    error_type = "invalid_request_error"


class InvalidRequest(RequestError):
    pass


class Unauthenticated(RequestError):
    status = 401
    error_type = "authentication_error"


class BudgetSpent(RequestError):
    status = 402
    error_type = "billing_error"


class Forbidden(RequestError):
    status = 403
    error_type = "permission_error"


class NotFound(RequestError):
    status = 404
    error_type = "not_found_error"


class MethodNotAllowed(RequestError):
    """``allow`` is the header that lists what is allowed."""

    status = 405

    def __init__(self, message: str, allow: str) -> None:
        super().__init__(message)
        self.allow = allow


class Conflict(RequestError):
    status = 409
    error_type = "conflict_error"


class RequestTooLarge(RequestError):
    status = 413
    error_type = "request_too_large"


class TooManyRequests(RequestError):
    retryable = True
    status = 429
    error_type = "rate_limit_error"

    def __init__(self, message: str, retry_after: float) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class InputError(SluiceError):
    status = 400
    error_type = "invalid_request_error"


class UnreadableInput(InputError):
    pass


class ClaudeError(SluiceError):
    """``error_type`` is Claude's word; ``http_status`` is None where no answer came; ``retry_after`` in seconds."""

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
    status = 503


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
