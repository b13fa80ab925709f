"""What a key with a budget or a list of models may send: what Sluice can price, and nothing else.

What is not known is refused by name. Otherwise a param, a tool or a beta of tomorrow would be paid for by nobody's
budget, or run a model that the key may not use.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from sluice.access.store import KeyTerms
from sluice.claude.prices import shipped_prices
from sluice.claude.worst_case import models_in
from sluice.errors import Forbidden

# Claude API: Messages. Left out are those by which somebody else pays, or which continue what is kept at Claude's.
_PARAMS = frozenset(
    "cache_control compaction container context_management diagnostics fallbacks inference_geo max_tokens mcp_servers "
    "messages metadata model output_config output_format prefill service_tier speed stop_sequences stream system "
    "temperature thinking tool_choice tools top_k top_p".split()
)
# Types of tools, without their dates.
_TOOLS = frozenset(
    "advisor bash browser_toolset code_execution computer computer_toolset custom mcp_toolset memory text_editor "
    "tool_search_tool_bm25 tool_search_tool_regex web_fetch web_search".split()
)
# Values of anthropic-beta, without their dates: those of the API's documentation, and those that Claude Code sends.
_BETAS = frozenset(
    "adaptive-thinking advanced-tool-use advisor-tool cache-diagnosis claude-code code-execution compact computer-use "
    "context-1m context-management dev-full-thinking effort extended-cache-ttl fast-mode files-api "
    "fine-grained-tool-streaming inline-tools interleaved-thinking mcp-client message-batches "
    "mid-conversation-output-config mid-conversation-system-clear-at mid-conversation-tool-changes "
    "model-context-window-exceeded oauth output-128k output-300k pdfs prompt-caching prompt-caching-scope "
    "redact-thinking server-side-fallback skills structured-outputs task-budgets thinking-binding-controls "
    "thinking-display-updates thinking-token-count token-counting token-efficient-tools tool-examples web-fetch "
    "web-search".split()
)
_DATE = re.compile(r"[-_](?:\d{8}|\d{4}-\d{2}-\d{2})$")


def check_known(params: Mapping[str, Any], headers: Mapping[str, str], terms: KeyTerms) -> None:
    """Check what a call sends against the terms of its key; ``headers`` have lower-cased names. Raises Forbidden."""
    if unknown := sorted(set(map(str, params)) - _PARAMS):
        raise _refusal(terms, f"the param {unknown[0]!r}")
    for tool in params["tools"] if isinstance(params.get("tools"), list) else ():
        kind = tool.get("type", "custom") if isinstance(tool, Mapping) else "custom"
        if not isinstance(kind, str) or _DATE.sub("", kind) not in _TOOLS:
            raise _refusal(terms, f"a tool of the type {kind!r}")
    for beta in filter(None, (each.strip() for each in headers.get("anthropic-beta", "").split(","))):
        if _DATE.sub("", beta) not in _BETAS:
            raise _refusal(terms, f"the anthropic-beta {beta!r}")
    for model in sorted(models_in(params)):
        _check_model(model, params, terms)


def _check_model(model: str, params: Mapping[str, Any], terms: KeyTerms) -> None:
    if not terms.allows(model):
        raise Forbidden(f"The key {terms.name!r} may not use the model {model[:100]!r}, which the request names.")
    if terms.budget is None:
        return
    price = shipped_prices().find(model)
    if price is None:
        raise Forbidden(
            f"The key {terms.name!r} has a budget, and Sluice's own list has no price of {model[:100]!r} to hold "
            "against it."
        )
    if params.get("speed") == "fast" and price.fast is None:
        raise Forbidden(f"The key {terms.name!r} has a budget, and no price of {model[:100]!r} in fast mode is known.")


def _refusal(terms: KeyTerms, what: str) -> Forbidden:
    return Forbidden(
        f"The key {terms.name!r} has a budget or a list of models, and Sluice does not know what {what[:120]} would "
        "cost or run. Leave it out, or use a key without such terms."
    )
