"""What an error of Claude's API means for the one who asked, and for everybody else: one table for all doors.

An error is of one of four classes. *transient*: the same call may work later. *request*: this request will never work,
and others are not concerned. *model*: no request to its model will work until a person acts. *account*: nothing will.
The class follows from ``error.details.error_code`` where there is one that is known, then from the message where Claude
says it nowhere else, then from ``error.type`` (Claude API: Errors; the codes are those of ``anthropic`` 2.14,
``types/**/*_error_details.py``). Unknown types with a 5xx status pass, other unknown types are the request's own:
re-sending what was refused for a reason that we do not know costs money.
"""

from __future__ import annotations

import re
from typing import Literal

from sluice.errors import AccountError, ClaudeError, ModelError, PermanentError, TransientError

ErrorClass = Literal["transient", "request", "model", "account"]

TRANSIENT_TYPES = frozenset({"api_error", "overloaded_error", "timeout_error", "rate_limit_error", "conflict_error"})
ACCOUNT_TYPES = frozenset({"authentication_error", "billing_error"})
# What may be missing or forbidden is a model, or something that this one request names; of a call that is no message,
# such as the making of a batch, it is all that the key may do.
MODEL_TYPES = frozenset({"permission_error", "not_found_error"})

CREDIT_CAUSE, SPEND_LIMIT_CAUSE, DISABLED_CAUSE = "billing_error", "spend_limit_reached", "organization_disabled"

# Claude has no type and no code for these: they come as invalid_request_error, inside batches too. They are whole
# sentences of the API's, so that a request which is quoted in an error cannot pass for one.
_ACCOUNT_MESSAGES = (
    (re.compile(r"Your credit balance is too low"), CREDIT_CAUSE),
    (re.compile(r"You have reached your specified (?:\w+ )?API usage limits"), SPEND_LIMIT_CAUSE),
    (re.compile(r"This organization has been disabled"), DISABLED_CAUSE),
)
_DISGUISES = frozenset({"invalid_request_error", "permission_error", "rate_limit_error"})
# "model: claude-x", "… does not have access to model …", and the API's sentence for a 403 that says nothing else.
_NAMES_MODEL = re.compile(r"\bmodel\b|does not have permission to use the specified resource|and no explanation", re.I)
_MISSING_MODEL = re.compile(r"model:")

# What needs a person at the account: its bill, its key, its encryption, what it may do.
ACCOUNT_CODES = frozenset(
    {
        "claude_code_key_creator_not_member",
        "cmek_key_disabled",
        "cmek_key_network_blocked",
        "cmek_key_unreachable",
        "contract_spend_limit_reached",
        "enforced_spend_limit_reached",
        "organization_level_scoped_api_key_required",
        "organization_on_hold",
        "organization_type_not_supported",
        "parent_organization_required",
        "sandbox_egress_restricted",
        "workspace_human_review_disabled",
    }
)
TRANSIENT_CODES = frozenset(
    {
        "cmek_context_unavailable",
        "compaction_unavailable",
        "concurrent_membership_change",
        "external_key_changed",
        "external_key_validation_timed_out",
        "ramp_limit_exceeded",
        "registration_pending",
        "request_body_timeout",
        "scan_pending",
        "thread_continue_in_flight",
    }
)
# What one request says or names: its body, its files, tools, thread, user profile and betas.
REQUEST_CODES = frozenset(
    {
        "available_tools_limit_exceeded",
        "claude_code_version_too_old",
        "compaction_block_ambiguous",
        "compaction_block_misplaced",
        "compaction_content_mismatch",
        "compaction_incomplete_turn",
        "compaction_nothing_to_summarize",
        "compaction_signature_invalid",
        "compaction_too_many_tool_references",
        "compaction_tool_changes_mismatch",
        "file_expired",
        "file_not_downloadable",
        "image_dimensions_too_large",
        "invalid_metadata",
        "linked_organization_billing_unavailable",
        "linked_organization_spend_limit_reached",
        "organization_not_enrolled_in_beta",
        "request_body_encoding_invalid",
        "request_body_encoding_unsupported",
        "request_body_too_large_after_decoding",
        "skill_read_blocked_undecryptable",
        "storage_quota_exceeded",
        "thread_already_continued",
        "thread_fingerprint_mismatch",
        "thread_not_found",
        "thread_unsupported_request",
        "tool_name_conflict",
        "tool_reference_unresolved",
        "unsupported_charset",
        "user_profile_billing_not_authorized",
        "user_profile_not_billable",
        "user_profile_not_found",
        "user_profile_required",
        "workspace_policy_violation",
    }
)
# Of endpoints that Sluice never calls (administration, plugins, environments, Slack): were they to come, they would be
# the request's own.
FOREIGN_CODES = frozenset(
    {
        "already_member",
        "api_key_scope_missing",
        "bundle_attachment_not_supported",
        "bundle_on_call",
        "cannot_invite_emails_with_unverified_domains",
        "cannot_remove_last_member",
        "cannot_sign_out_managed_member",
        "cannot_sign_out_membership_admin",
        "cannot_sign_out_owner",
        "cannot_sign_out_primary_owner",
        "cannot_sign_out_privileged_member",
        "cannot_sign_out_self",
        "claude_tag_writes_not_enabled",
        "cmek_feature_unsupported",
        "compliance_configuration_restricted",
        "email_domain_not_allowed",
        "environment_archived",
        "environment_create_disabled",
        "environment_not_found",
        "environment_update_disabled",
        "external_key_in_workspace_policy",
        "external_key_validation_failed",
        "heartbeat_precondition_failed",
        "invalid_config_type_change",
        "invite_already_exists",
        "key_profile_mismatch",
        "org_api_key_limit_exceeded",
        "org_member_limit_exceeded",
        "plugin_name_taken",
        "rbac_group_grants_owner_access",
        "rbac_group_managed_settings_not_found",
        "rbac_group_not_found",
        "rbac_group_order_limit_exceeded",
        "rbac_group_owner_access_unconfirmed",
        "rbac_role_not_found",
        "scan_failed",
        "settings_document_limit_exceeded",
        "settings_history_limit_exceeded",
        "skill_name_taken",
        "slack_channel_set_up_environment_not_found",
        "slack_channel_set_up_settings_conflict",
        "slack_channel_set_up_settings_refused",
        "spend_limits_admin_api_writes_not_enabled",
        "workspace_api_key_limit_exceeded",
        "workspace_member_limit_exceeded",
    }
)

TYPE_OF_STATUS = {
    400: "invalid_request_error",
    401: "authentication_error",
    402: "billing_error",
    403: "permission_error",
    404: "not_found_error",
    408: "timeout_error",
    409: "conflict_error",
    413: "request_too_large",
    429: "rate_limit_error",
    500: "api_error",
    504: "timeout_error",
    529: "overloaded_error",
}


def classify_error(
    error_type: str,
    error_code: str | None = None,
    http_status: int | None = None,
    message: str = "",
    *,
    of_message: bool = True,
) -> ErrorClass:
    """Return whom an error concerns, and whether it passes by itself.

    ``error_code`` is ``error.details.error_code``; ``http_status`` decides where the type is unknown. ``of_message``
    says whether one message was asked for, by itself or in a batch: other calls name no model.
    """
    if error_code in ACCOUNT_CODES or _disguised_cause(error_type, message) or error_type in ACCOUNT_TYPES:
        return "account"
    if error_code in TRANSIENT_CODES:
        return "transient"
    if error_code in REQUEST_CODES or error_code in FOREIGN_CODES:
        return "request"
    if error_type in MODEL_TYPES:
        if not of_message:
            return "account"
        names_model = _MISSING_MODEL.match(message) if error_type == "not_found_error" else _NAMES_MODEL.search(message)
        return "model" if names_model else "request"
    if error_type in TRANSIENT_TYPES or (http_status or 0) >= 500:
        return "transient"
    return "request"


def account_cause(error_type: str, error_code: str | None, message: str) -> str:
    """Name what an error of the account comes from: its code or, where it has none, its type."""
    if error_code in ACCOUNT_CODES:
        return str(error_code)
    return _disguised_cause(error_type, message) or error_type


# An incident's kind is what it comes from and, where that does not concern all work, ":" and what it concerns: a model
# or, of calls that are no message, Message Batches. One grammar for all doors.
BATCHES = "batches"


def kind_of_failure(failure: AccountError, model: str = "") -> str:
    """Name the incident that a failure opens. ``model`` is the one that was asked for, where one was."""
    if isinstance(failure, ModelError) and model:
        return f"{failure.error_type}:{model}"
    return failure.cause


def cause_of_kind(kind: str) -> str:
    return kind.partition(":")[0]


def scope_of_kind(kind: str) -> str:
    """Return the model that an incident concerns, BATCHES, or "" where it concerns all work."""
    return kind.partition(":")[2]


def concerns_message(kind: str, model: str) -> bool:
    """Return whether no message to a model works in an incident; then one that does shows that its cause is gone."""
    return scope_of_kind(kind) in ("", model)


def is_disproved_by_batch(kind: str) -> bool:
    """Return whether Claude taking a batch shows that an incident's cause is gone. Bills are looked at later."""
    return kind == "authentication_error" or scope_of_kind(kind) == BATCHES


def is_disproved_by_refusal(kind: str) -> bool:
    """Return whether Claude refusing a request for the request's own sake shows that an incident's cause is gone."""
    return kind == "authentication_error"


def type_of_kind(kind: str) -> str:
    """Return an error type of the API's for what waits for an incident of that kind."""
    cause = cause_of_kind(kind)
    if cause in TYPE_OF_STATUS.values():
        return cause
    return "billing_error" if "spend_limit" in cause else "permission_error"


def _disguised_cause(error_type: str, message: str) -> str | None:
    if error_type not in _DISGUISES:
        return None
    return next((cause for sentence, cause in _ACCOUNT_MESSAGES if sentence.match(message)), None)


def build_error(
    error_type: str,
    message: str,
    error_code: str | None = None,
    *,
    of_message: bool = True,
    http_status: int | None = None,
    retry_after: float | None = None,
    request_id: str | None = None,
) -> ClaudeError:
    """Build the error of its class."""
    common = {"error_type": error_type, "error_code": error_code, "http_status": http_status}
    more = {"retry_after": retry_after, "request_id": request_id}
    match classify_error(error_type, error_code, http_status, message, of_message=of_message):
        case "transient":
            return TransientError(message, **common, **more)  # type: ignore[arg-type]  # as ClaudeError takes them
        case "request":
            return PermanentError(message, **common, **more)  # type: ignore[arg-type]
        case "model":
            return ModelError(message, **common, **more)  # type: ignore[arg-type]
        case _:
            cause = account_cause(error_type, error_code, message)
            if not of_message and cause in MODEL_TYPES:
                cause = f"{cause}:{BATCHES}"
            return AccountError(message, cause=cause, **common, **more)  # type: ignore[arg-type]


def error_from_response(
    http_status: int,
    body: object,
    *,
    of_message: bool = True,
    retry_after: float | None = None,
    request_id: str | None = None,
) -> ClaudeError:
    """Build the error for an answer with an error status. ``body`` is the decoded JSON, or anything else."""
    error = body.get("error") if isinstance(body, dict) else None
    error = error if isinstance(error, dict) else {}
    error_type = str(error.get("type") or TYPE_OF_STATUS.get(http_status) or "api_error")
    message = str(error.get("message") or f"Claude answered with status {http_status} and no explanation.")
    if request_id is None and isinstance(body, dict) and isinstance(body.get("request_id"), str):
        request_id = body["request_id"]
    return build_error(
        error_type,
        message,
        read_error_code(error),
        of_message=of_message,
        http_status=http_status,
        retry_after=retry_after,
        request_id=request_id,
    )


def read_error_code(error: object) -> str | None:
    """Read ``details.error_code`` of an error object; None where it has none."""
    details = error.get("details") if isinstance(error, dict) else None
    code = details.get("error_code") if isinstance(details, dict) else None
    return code if isinstance(code, str) else None


def parse_retry_after(value: str | None) -> float | None:
    """Read a ``retry-after`` header in seconds; None where it is absent or not a number of seconds."""
    try:
        seconds = float(value or "")
    except ValueError:
        return None
    return seconds if 0 <= seconds < float("inf") else None
