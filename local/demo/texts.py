"""What the demo says of a job, in words for a person."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def progress_line(job: Mapping[str, Any]) -> str:
    """Return in one line how far a job is, as the API describes it."""
    progress = job["progress"]
    shards = ", ".join(f"{count} {status}" for status, count in progress["shards"].items() if count)
    wave = f"wave {progress['waves'] - 1}, " if progress["waves"] else ""
    ended = f"{progress['requests_ended']} of {progress['requests']} requests have ended"
    left = "" if progress["seconds_left"] is None else f", about {progress['seconds_left']} s left"
    return f"{job['status']}: {wave}shards: {shards or 'none yet'}; {ended}{left}"


def summary_facts(summary: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Pick what a person wants to know of a job's summary."""
    tokens, times = summary["tokens"], summary["times"]
    steps = ", ".join(f"{step} {seconds:.1f} s" for step, seconds in times["step_seconds"].items())
    return [
        ("  lines", f"{summary['totals']['equation']} (succeeded, errored, rejected)"),
        ("  waves", "; ".join(_wave(wave) for wave in summary["waves"])),
        ("  tokens", f"{tokens['input']:,} in, {tokens['output']:,} out"),
        ("  cost", f"${summary['estimated_cost_usd']:.4f}, estimated with the prices of {summary['prices_date']}"),
        ("  time", f"{times['seconds']:.1f} s: {steps}"),
    ]


def _wave(wave: Mapping[str, Any]) -> str:
    sent = wave["succeeded"] + wave["errored"] + wave["retried"]
    return f"{wave['wave']}: {sent} sent, {wave['succeeded']} succeeded, {wave['retried']} to be sent again"
