"""What the key of a job's owner lets its file ask for: the models of the key, and only what is known to run no other.

The terms are those that the key had when the job was announced.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sluice.access.known_params import check_known
from sluice.access.store import KeyTerms
from sluice.errors import Forbidden
from sluice.jobs.formats.check import ModelProblem, ParamsProblem
from sluice.jobs.model import Job


def _terms_of(job: Job) -> KeyTerms | None:
    ticket = job.ticket
    return KeyTerms(ticket.key_name, ticket.models) if ticket and ticket.models else None


def within_terms(job: Job, problem: ModelProblem) -> ModelProblem:
    """Return a check of models that also says which ones the owner's key may not use."""
    terms = _terms_of(job)
    if terms is None:
        return problem

    def check(model: str, max_tokens: int) -> str | None:
        if terms.allows(model):
            return problem(model, max_tokens)
        return f'The key "{terms.name}" may not use the model "{model[:100]}". It may use: {", ".join(terms.models)}.'

    return check


def params_problem(job: Job, betas: str | None) -> ParamsProblem | None:
    """Return a check of all that a request says beside its model; None where the owner's key is not bound."""
    terms = _terms_of(job)
    if terms is None:
        return None
    headers = {"anthropic-beta": betas or ""}

    def check(params: Mapping[str, Any]) -> str | None:
        try:
            check_known(params, headers, terms)
        except Forbidden as refusal:
            return str(refusal)
        return None

    return check
