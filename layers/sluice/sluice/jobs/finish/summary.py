"""``summary.json``: what became of a job, for machines. Times as RFC 3339 text, costs in US dollars."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from sluice.jobs.collect.decide import MOST_SENTENCES, Example
from sluice.jobs.collect.usage import LengthHistograms
from sluice.jobs.collect.write import WaveStats
from sluice.jobs.finish.totals import Totals
from sluice.jobs.model import Job, JobStatus, Tokens
from sluice.jobs.outbox import Manifest
from sluice.timestamps import rfc3339

_KINDS = ("input", "output", "cache_write", "cache_read")


@dataclass(frozen=True, slots=True)
class JobSummary:
    """All that is told of a job at its end. ``files`` maps what each file is to where it lies."""

    job: Job
    status: JobStatus
    finished_at: float
    totals: Totals
    manifest: Manifest
    prices_date: str
    batch_ids: tuple[str, ...]
    collected_at: float | None
    lengths: LengthHistograms
    examples: Mapping[str, Sequence[Example]]
    files: Mapping[str, str]

    @property
    def seconds(self) -> float:
        return self.finished_at - self.job.received_at

    @property
    def steps(self) -> dict[str, float]:
        """Seconds of planning, of sending and waiting for Claude, and of finishing."""
        job = self.job
        started = job.started_at or job.received_at
        collected = max(self.collected_at or started, started)
        return {
            "plan": started - job.received_at,
            "run": collected - started,
            "finish": max(self.finished_at - collected, 0.0),
        }

    @property
    def notes(self) -> tuple[str, ...]:
        """Sentences about what is out of the ordinary."""
        lost = self.totals.tally.lost_table
        return (*self.manifest.notes, *([lost] if lost else []))

    @property
    def tokens(self) -> Tokens:
        return sum(self.totals.tokens.values(), Tokens())


def add_up(stats: Iterable[WaveStats]) -> tuple[LengthHistograms, dict[str, list[Example]]]:
    """Add up the histograms of all waves, and the examples of errors: one of each sentence, most frequent first."""
    lengths, said = LengthHistograms(), dict[str, dict[str, Example]]()
    for each in stats:
        lengths += each.lengths
        for name, some in each.examples.items():
            kept = said.setdefault(name, {})
            for example in some:
                known = kept.get(example.message, Example(example.custom_id, example.message, 0))
                kept[example.message] = Example(known.custom_id, known.message, known.count + example.count)
    return lengths, {name: _most_frequent(kept.values()) for name, kept in said.items()}


def _most_frequent(examples: Iterable[Example]) -> list[Example]:
    return sorted(examples, key=lambda each: -each.count)[:MOST_SENTENCES]


def write_summary(account: JobSummary) -> bytes:
    """Encode the summary of a job."""
    job, tally, tokens = account.job, account.totals.tally, account.tokens
    summary: dict[str, Any] = {
        "job_id": job.job_id,
        "status": str(account.status),
        "input": asdict(job.upload),
        "lines": tally.lines,
        "succeeded": tally.succeeded,
        "errored": tally.errored,
        "rejected": tally.rejected,
        "answered": tally.answered,
        "incomplete": dict(tally.incomplete),
        "misfits": dict(tally.misfits),
        "totals": {
            "equation": f"{tally.lines} = {tally.succeeded} + {tally.errored} + {tally.rejected}",
            "balanced": tally.balanced,
            "problems": list(account.totals.problems),
        },
        "errors": dict(tally.errors),
        "error_messages": {
            name: {each.message: each.count for each in some} for name, some in account.examples.items()
        },
        "rejected_reasons": dict(account.manifest.reasons),
        "notes": list(account.notes),
        "waves": [{"wave": number, **asdict(wave)} for number, wave in sorted(account.totals.waves.items())],
        "batch_ids": list(account.batch_ids),
        "tokens": {kind: getattr(tokens, kind) for kind in _KINDS},
        "models": {model: _model(each) for model, each in sorted(account.totals.tokens.items())},
        "estimated_cost_usd": round(tally.cost, 6),
        "prices_date": account.prices_date,
        "times": _times(account),
        "files": dict(account.files),
    }
    return json.dumps(summary, indent=2, ensure_ascii=False).encode() + b"\n"


def _model(tokens: Tokens) -> dict[str, Any]:
    return {**{kind: getattr(tokens, kind) for kind in _KINDS}, "estimated_cost_usd": round(tokens.cost, 6)}


def _times(account: JobSummary) -> dict[str, Any]:
    moments = {"received_at": account.job.received_at, "started_at": account.job.started_at}
    moments["finished_at"] = account.finished_at
    times: dict[str, Any] = {name: rfc3339(moment, "seconds") for name, moment in moments.items() if moment is not None}
    times["seconds"] = round(account.seconds, 3)
    times["step_seconds"] = {step: round(seconds, 3) for step, seconds in account.steps.items()}
    return times
