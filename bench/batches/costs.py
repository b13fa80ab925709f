"""What everything but Claude costs and takes: measured work and counted requests, at list prices.

Claude's own price is not in it, nor the time that its batches take.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import msgspec

from bench.batches.lambdas import FUNCTIONS, Function, read_function
from bench.batches.sizes import Job
from bench.tables import span, table
from local.template import Template

MILLION = 1_000_000
SIZES = (MILLION, 10 * MILLION, 100 * MILLION, 1000 * MILLION)
# What planning can keep in mind of one file with the memory of its function, with a good margin.
REQUESTS_A_FILE = 50 * MILLION
_REQUESTS_A_SHARD = 100_000
_GB = 1e9
# The Outbox's lifecycle keeps work files for 31 days.
_WORK_MONTHS = 31 / 30.4
_MINUTES_A_MONTH = 43_800
# AWS Lambda: SQS event sources. Five pollers, each waiting 20 seconds for a message.
_EMPTY_RECEIVES_A_MINUTE = 15
_BILLED = ("s3_get", "s3_put", "dynamodb_read", "dynamodb_write", "sqs", "sns", "eventbridge", "lambda_request")


class Prices(msgspec.Struct, frozen=True):
    """US dollars. ``s3_put`` is the price of a PUT, COPY, POST or LIST, ``dynamodb_write`` that of a request unit."""

    date: str
    source: str
    lambda_gb_second: float
    lambda_disk_gb_second: float
    lambda_request: float
    s3_put: float
    s3_get: float
    s3_gb_month: float
    dynamodb_write: float
    dynamodb_read: float
    sqs: float
    sns: float
    eventbridge: float
    internet_gb: float
    alarm_month: float
    metric_month: float
    secret_month: float
    key_month: float

    def of(self, counts: Mapping[str, float]) -> float:
        """Return what counted requests cost."""
        return sum(counts.get(each, 0) * float(getattr(self, each)) for each in _BILLED)

    def of_lambda(self, function: Function, seconds: float) -> float:
        memory = function.memory_mb / 1024 * self.lambda_gb_second
        return seconds * (memory + function.disk_mb / 1024 * self.lambda_disk_gb_second)


@dataclass(frozen=True, slots=True)
class Step:
    """One step of a million requests. Seconds of its function in all, US dollars."""

    name: str
    function: Function
    seconds: float
    compute: float
    requests: float
    internet: float

    @property
    def cost(self) -> float:
        return self.compute + self.requests + self.internet


def read_prices() -> Prices:
    return msgspec.json.decode(Path(__file__).with_name("prices.json").read_bytes(), type=Prices)


def cost_steps(job: Job, template: Template, prices: Prices) -> list[Step]:
    """Work out what a million requests cost, from a job of any size."""
    shards = job.requests / _REQUESTS_A_SHARD
    at_claude = {"submit": (job.request_bytes, shards), "collect": (job.result_bytes, shards)}
    share, steps = MILLION / job.requests, []
    for name in FUNCTIONS:
        measured, function = job.steps[name], read_function(template, name)
        claude_bytes, claude_calls = at_claude.get(name, (0, 0))
        seconds = function.seconds(measured, claude_bytes, claude_calls) * share
        # To receive from the internet is free.
        sent = job.request_bytes / _GB * prices.internet_gb if name == "submit" else 0.0
        compute, requests = prices.of_lambda(function, seconds), prices.of(measured.found)
        steps.append(Step(name, function, seconds, compute, requests * share, sent * share))
    return steps


def work_file_cost(job: Job, prices: Prices) -> float:
    """Return what it costs to keep the work files of a million requests until they expire."""
    written = sum(job.steps[step].found.get("s3_written_bytes", 0) for step in ("plan", "submit", "collect"))
    return written / _GB * prices.s3_gb_month * _WORK_MONTHS * MILLION / job.requests


def describe_steps(job: Job, template: Template, prices: Prices) -> str:
    """Write what a million requests cost, step by step."""
    header = ("a million requests", "function seconds", "Lambda", "requests to AWS", "sent to Claude", "in all")
    steps, kept = cost_steps(job, template, prices), work_file_cost(job, prices)
    rows = [_cells(step.name, step.seconds, step.compute, step.requests, step.internet) for step in steps]
    rows.append(["work files, kept 31 days", "", "", "", "", _dollars(kept)])
    total = sum(step.cost for step in steps) + kept
    rows.append(["**in all**", "", "", "", "", f"**{_dollars(total)}**"])
    return table(header, rows)


def _cells(name: str, seconds: float, compute: float, requests: float, internet: float) -> list[str]:
    sums = map(_dollars, (compute, requests, internet, compute + requests + internet))
    return [name, f"{seconds:,.1f}", *sums]


def describe_growth(job: Job, template: Template, prices: Prices) -> str:
    """Write how time and cost grow to a billion requests."""
    steps, kept = cost_steps(job, template, prices), work_file_cost(job, prices)
    names = ("plan", "submit", "collect", "finish")
    header = ("requests", "files", "batches", *names, "all but Claude", "cost of all but Claude")
    rows = []
    for requests in SIZES:
        spans = [_time(step, requests) for step in steps if step.name in names]
        files, shards = _files(requests), math.ceil(requests / _REQUESTS_A_SHARD)
        cost = (sum(step.cost for step in steps) + kept) * requests / MILLION
        rows.append([f"{requests:,}", str(files), f"{shards:,}", *map(span, spans), span(sum(spans)), _dollars(cost)])
    return table(header, rows)


def _files(requests: int) -> int:
    return math.ceil(requests / REQUESTS_A_FILE)


def _time(step: Step, requests: int) -> float:
    """Return how long a step takes where as many of its function run at once as there is work for, and as may."""
    pieces = _files(requests) if step.name in ("plan", "finish") else math.ceil(requests / _REQUESTS_A_SHARD)
    at_once = min(pieces, step.function.side_by_side)
    return step.seconds * requests / MILLION / pieces * math.ceil(pieces / at_once)


def describe_standing(template: Template, prices: Prices) -> str:
    """Write what the stack costs in a month in which nothing is asked of it."""
    poll = read_function(template, "poll")
    # A poll that finds nothing open: start of the handler, and one query.
    seconds = 0.1
    polls = _MINUTES_A_MONTH * (prices.of_lambda(poll, seconds) + prices.lambda_request + prices.dynamodb_read)
    sources = len(template.of_type("AWS::Lambda::EventSourceMapping"))
    receives = sources * _EMPTY_RECEIVES_A_MINUTE * _MINUTES_A_MONTH
    alarms = len(template.of_type("AWS::CloudWatch::Alarm"))
    secrets = len(template.of_type("AWS::SecretsManager::Secret"))
    keys = len(template.of_type("AWS::KMS::Key"))
    rows = [
        ("a poll each minute", f"{_MINUTES_A_MONTH:,}", polls),
        ("looks into empty queues, by Lambda", f"{receives:,}", receives * prices.sqs),
        ("alarms", str(alarms), alarms * prices.alarm_month),
        ("secrets", str(secrets), secrets * prices.secret_month),
        ("keys of KMS", str(keys), keys * prices.key_month),
    ]
    total = [["**in all**", "", f"**{_dollars(sum(cost for *_, cost in rows))}**"]]
    return table(("a month of nothing", "", "cost"), [[*names, _dollars(cost)] for *names, cost in rows] + total)


def _dollars(amount: float) -> str:
    return f"${amount:,.0f}" if amount >= 100 else f"${amount:,.2f}" if amount >= 0.1 else f"${amount:.4f}"
