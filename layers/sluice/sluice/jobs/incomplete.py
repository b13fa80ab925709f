"""Answers that are none, or only a part of one, although the request succeeded and is paid for. Pure.

Claude says so in ``stop_reason`` (Claude API: Stop reasons). Counts are by that word; the row of a table has a status.
So has an answer that is whole and does not have the form that was asked for.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

CUT_OFF, REFUSED, UNFINISHED, SCHEMA_MISMATCH = "cut_off", "refused", "unfinished", "schema_mismatch"


@dataclass(frozen=True, slots=True)
class Incomplete:
    """One way in which an answer is not whole: its ``status`` in a table, what it is, and what to do about it."""

    status: str
    what: str
    advice: str


INCOMPLETE: Mapping[str, Incomplete] = {
    "max_tokens": Incomplete(
        CUT_OFF,
        "cut off by max_tokens",
        "Raise max_tokens, or set retry_max_tokens, which asks again for these alone.",
    ),
    "model_context_window_exceeded": Incomplete(
        CUT_OFF,
        "cut off where the model's context window was full",
        "Shorten these prompts, or ask a model with a larger context window.",
    ),
    "refusal": Incomplete(
        REFUSED,
        "refused by Claude",
        "Look at what these rows ask; say in the prompt what the answers are for, or try another model.",
    ),
    "pause_turn": Incomplete(
        UNFINISHED,
        "left unfinished while a tool was at work",
        "The half answers are in results.jsonl: send each back as the assistant's turn, and Claude goes on.",
    ),
    # Whole, and no stop reason: the table, which reads each answer, finds it.
    SCHEMA_MISMATCH: Incomplete(
        SCHEMA_MISMATCH,
        "not of the form that the schema asks for",
        "The column error says what does not fit; the answers are in results.jsonl as they came.",
    ),
}


def row_problem(stop_reason: str | None, max_tokens: int, explanation: str = "") -> tuple[str, str] | None:
    """Return the status of a row whose answer is not whole, and why it is not; None for any other row."""
    found = INCOMPLETE.get(stop_reason or "")
    if found is None:
        return None
    if stop_reason == "max_tokens":
        return found.status, f"The answer was cut off: raise max_tokens ({max_tokens}) or set retry_max_tokens."
    said = f" Claude says: {explanation}" if explanation else ""
    return found.status, f"The answer was {found.what}.{said} {found.advice}"


def ranked_incomplete(counts: Mapping[str, int]) -> list[tuple[Incomplete, int]]:
    """Return what the counts by stop reason are of, most frequent first."""
    ranked = sorted(counts.items(), key=lambda each: (-each[1], each[0]))
    return [(INCOMPLETE[reason], number) for reason, number in ranked if reason in INCOMPLETE]


def describe(counts: Mapping[str, int]) -> str:
    """Say in a few words how many answers are not whole, and why; empty where all are."""
    return ", ".join(f"{number:,} {each.what}" for each, number in ranked_incomplete(counts))


def incomplete_by_status(counts: Mapping[str, int]) -> dict[str, int]:
    """Add up counts by stop reason to counts by the status in a table, most frequent first."""
    totals = Counter[str]()
    for each, number in ranked_incomplete(counts):
        totals[each.status] += number
    return dict(totals.most_common())
