"""What becomes of a job before anything is spent: it fails, is held for a person, or goes ahead. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from sluice.jobs.job_settings import EffectiveSettings
from sluice.jobs.model import Hold, HoldKind
from sluice.jobs.plan.checkpoint import Counts
from sluice.jobs.plan.estimate import Estimate
from sluice.jobs.wording import shorten

_SHOWN_REASONS = 3


def failure_of(counts: Counts) -> str | None:
    """Return why there is nothing to run and nothing to reject either; None where there is."""
    if not counts.filled:
        return "The file is empty."
    if counts.unreadable == counts.filled:
        return 'No line of the file is JSON. A .jsonl file has a line {"custom_id": ..., "params": {...}} a request.'
    return None


def hold_of(counts: Counts, estimate: Estimate, effective: EffectiveSettings) -> Hold | None:
    """Return why a person should look first; None where nobody has to. A job without a request costs nothing."""
    if not counts.requests:
        return None
    found = [
        hold for hold in (_bad_lines(counts, effective.max_bad_share), _cost(estimate, effective.max_cost)) if hold
    ]
    if not found:
        return None
    return Hold(found[0].kind, " ".join(shorten(hold.reason) for hold in found))


def _bad_lines(counts: Counts, max_share: float) -> Hold | None:
    share = 100 * counts.bad / counts.filled
    if share <= max_share:
        return None
    return Hold(
        HoldKind.BAD_LINES,
        f"{counts.bad} of {counts.filled} lines ({share:.1f} %) cannot run, more than {max_share:g} %: perhaps it is "
        f"the wrong file. What is wrong: {_ranked(counts.reasons)}. Released, the good lines run.",
    )


def is_beyond(estimate: Estimate, max_job_cost: float) -> bool:
    """Return whether a job may cost more than the stack's own limit, or nobody knows (US dollars; 0: no limit)."""
    return bool(max_job_cost) and (bool(estimate.unpriced) or estimate.worst_cost > max_job_cost)


def _cost(estimate: Estimate, max_cost: float) -> Hold | None:
    if not max_cost:
        return None
    if estimate.unpriced:
        names = ", ".join(estimate.unpriced[:_SHOWN_REASONS])
        return Hold(HoldKind.COST, f"No price is known for {names}: a prices.json at the top of the Inbox can give it.")
    if estimate.worst_cost <= max_cost:
        return None
    return Hold(
        HoldKind.COST,
        f"It may cost up to {estimate.worst_cost:.2f} USD, and about {estimate.expected_cost:.2f} USD are expected "
        f"(estimates); the limit is {max_cost:.2f} USD. Released, it runs.",
    )


def unbounded_note(estimate: Estimate) -> str:
    """Return what a person should know of a limit of cost that is no bound of all that is asked; empty where it is."""
    if not estimate.unbounded:
        return ""
    return (
        f"What {_and(estimate.unbounded)} bring into a prompt is not known beforehand: the limit of cost counts "
        "it as long as the model's context window, once for each request."
    )


def _and(names: Sequence[str]) -> str:
    return " and ".join(filter(None, (", ".join(names[:-1]), names[-1])))


def _ranked(reasons: Mapping[str, int]) -> str:
    ranked = sorted(reasons.items(), key=lambda entry: (-entry[1], entry[0]))[:_SHOWN_REASONS]
    return ", ".join(f"{kind} ({count})" for kind, count in ranked)
