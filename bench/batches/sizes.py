"""Each step of a job at several sizes: its time, its memory, and what AWS would bill of it."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from bench.batches.requests import write_requests
from bench.batches.surroundings import Place
from bench.measure import Measurement
from bench.tables import megabytes, seconds, table

STEPS = ("plan", "submit", "poll", "collect", "finish")


@dataclass(frozen=True, slots=True)
class Job:
    """A job taken from the Inbox to the Outbox, step by step. Bytes of the file and of its results."""

    requests: int
    request_bytes: int
    result_bytes: int
    steps: dict[str, Measurement]

    @property
    def seconds(self) -> float:
        return sum(step.seconds for step in self.steps.values())


def run_job(place: Place, requests: int) -> Job:
    """Run one job; each step, for all of its shards one after the other, is a process of its own."""
    path, account = place.folder / "requests.jsonl", place.folder / "account"
    request_bytes = write_requests(path, requests)
    steps: dict[str, Measurement] = {}
    for step in STEPS:
        if step == "poll":
            place.end_batches()
        steps[step] = place.sluice(step, account, path)
    result_bytes = _size_of_results(account)
    place.simulator.reset()
    shutil.rmtree(account)
    path.unlink()
    return Job(requests, request_bytes, result_bytes, steps)


def _size_of_results(account: Path) -> int:
    from bench.aws.account import open_account

    with open_account(account) as opened:
        (name,) = (name for name in opened.s3.objects if name.endswith("/results.jsonl"))
        return sum(run.end - run.start for run in opened.s3.objects[name])


def describe_memory(jobs: Sequence[Job]) -> str:
    """Write the peak memory of each step at each size, and how many bytes each further request takes."""
    header = ("peak memory", *(f"{job.requests:,} requests" for job in jobs), "bytes a further request")
    return table(header, [_memory_row(step, jobs) for step in STEPS])


def growth(step: str, jobs: Sequence[Job]) -> float:
    """Return the bytes that each request takes beyond those of the job before the last one.

    A smaller job does not fill the buffers, so that what it has more is no measure of what grows.
    """
    before, last = jobs[-2:]
    more = last.steps[step].peak_bytes - before.steps[step].peak_bytes
    return more / (last.requests - before.requests)


def _memory_row(step: str, jobs: Sequence[Job]) -> list[str]:
    return [step, *(megabytes(job.steps[step].peak_bytes) for job in jobs), f"{growth(step, jobs):.1f}"]


def describe_path(job: Job) -> str:
    """Write how fast each step of a job is, and where the time goes."""
    header = ("step", "seconds", "of its own processor", "requests a second", "MB a second", "share of the time")
    rows = [_path_row(step, measured, job) for step, measured in job.steps.items()]
    total = [
        "all, one after the other",
        seconds(job.seconds),
        seconds(sum(step.cpu_seconds for step in job.steps.values())),
        f"{job.requests / job.seconds:,.0f}",
        "",
        "",
    ]
    return table(header, [*rows, total])


def _path_row(step: str, measured: Measurement, job: Job) -> list[str]:
    size = {"plan": job.request_bytes, "submit": job.request_bytes, "collect": job.result_bytes}.get(step)
    return [
        step,
        seconds(measured.seconds),
        seconds(measured.cpu_seconds),
        f"{job.requests / measured.seconds:,.0f}",
        f"{size / measured.seconds / 1e6:,.0f}" if size else "",
        f"{measured.seconds / job.seconds:.0%}",
    ]
