"""What no call of Claude's gets past until a person acts, in each form that the simulator can give it."""

from __future__ import annotations

from collections.abc import Mapping

from simulator.faults import CauseName

# The incident that each opens, in every door.
INCIDENT_OF_CAUSE: Mapping[CauseName, str] = {
    "no_credit": "billing_error",
    "no_credit_402": "billing_error",
    "own_spend_limit": "spend_limit_reached",
    "workspace_spend_limit": "spend_limit_reached",
    "tier_spend_limit": "enforced_spend_limit_reached",
    "contract_spend_limit": "contract_spend_limit_reached",
    "organization_on_hold": "organization_on_hold",
    "cmek_key_disabled": "cmek_key_disabled",
    "cmek_key_unreachable": "cmek_key_unreachable",
    "human_review_disabled": "workspace_human_review_disabled",
    "key_refused": "authentication_error",
}
# What passes by itself, and what may be one request's own.
NO_INCIDENT: tuple[CauseName, ...] = ("ramp_limit", "no_permission", "unknown_refusal")
