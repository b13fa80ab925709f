"""A function's work on the messages of a queue: each acted on, logged, counted, and put off where it fails.

A queue shows a message again after its visibility timeout, which has to be long enough for a function that is still at
work (Lambda: six times the function's timeout). A function that knows that it failed need not wait for that: it
shortens the wait, by a schedule of its own.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from aws_lambda_powertools import Logger, Metrics
from aws_lambda_powertools.metrics import MetricUnit
from aws_lambda_powertools.utilities.batch import AsyncBatchProcessor, BatchProcessor, EventType
from aws_lambda_powertools.utilities.batch.types import PartialItemFailureResponse
from aws_lambda_powertools.utilities.data_classes.sqs_event import SQSRecord

from sluice.aws.sqs import Sqs
from sluice.backoff import STEP_FAILED, Backoff
from sluice.deadline import Deadline, LambdaContext
from sluice.errors import AwsError, describe_error

# Lambda: at most ten messages of a queue to an invocation, unless it waits to gather more.
_THREADS = 10
# What a message may name, so that all lines about one job, shard or task are found by it.
_NAMED = ("job_id", "shard", "wave", "task_id")


@dataclass(frozen=True, slots=True)
class StepResult:
    """What a message led to: ``outcome`` in a word or two, ``facts`` for the log, ``metrics`` to be counted.

    ``problems`` are sentences about what a person has to look into; each is logged as an error.
    """

    outcome: str
    facts: Mapping[str, Any] = field(default_factory=dict)
    metrics: Mapping[str, int] = field(default_factory=dict)
    problems: tuple[str, ...] = ()


Act = Callable[[Mapping[str, Any], Deadline], StepResult]


@dataclass(frozen=True, slots=True)
class QueueStep:
    """``act`` does what a message asks, and raises where the message should be delivered again.

    ``metric`` begins the names of what is counted of all messages, where they are counted: "TasksReceived" and a count
    for each outcome. ``in_threads`` works on the messages of an event at the same time: one that mostly waits for a
    server would leave the last of them no time. Others follow one another. A message that fails is shown again by
    ``backoff``.
    """

    act: Act
    sqs: Sqs
    queue_url: str
    metric: str = ""
    in_threads: bool = False
    backoff: Backoff = STEP_FAILED
    logger: Logger = field(default_factory=Logger)
    metrics: Metrics = field(default_factory=Metrics)

    def process(self, event: dict[str, Any], context: LambdaContext) -> PartialItemFailureResponse:
        """Handle an SQS event and return its partial failures (Lambda: ReportBatchItemFailures)."""
        deadline, records = Deadline.of(context), event["Records"]
        if self.metric:
            self.metrics.add_metric(f"{self.metric}Received", MetricUnit.Count, len(records))
        return self._in_threads(records, deadline) if self.in_threads else self._in_turn(records, deadline)

    def _in_turn(self, records: list[dict[str, Any]], deadline: Deadline) -> PartialItemFailureResponse:
        processor = BatchProcessor(event_type=EventType.SQS, raise_on_entire_batch_failure=False)

        def handle(record: SQSRecord) -> None:
            # Counted at once: the function may die at the next message.
            self._count(self._handle(record, deadline))
            self._flush()

        with processor(records, handle):
            processor.process()
        return processor.response()

    def _in_threads(self, records: list[dict[str, Any]], deadline: Deadline) -> PartialItemFailureResponse:
        processor = AsyncBatchProcessor(event_type=EventType.SQS, raise_on_entire_batch_failure=False)
        with ThreadPoolExecutor(_THREADS) as threads:

            async def handle(record: SQSRecord) -> None:
                loop = asyncio.get_running_loop()
                self._count(await loop.run_in_executor(threads, self._handle, record, deadline))

            with processor(records, handle):
                processor.async_process()
        self._flush()
        return processor.response()

    def _handle(self, record: SQSRecord, deadline: Deadline) -> StepResult:
        named: dict[str, Any] = {}
        try:
            message = _parse(record.body)
            named = {name: message[name] for name in _NAMED if name in message}
            result = self.act(message, deadline)
        except Exception as failure:
            self.logger.error("A step failed; its message comes again.", **named, **describe_error(failure))
            self._show_again_soon(record)
            raise
        for problem in result.problems:
            self.logger.error("A problem that a person has to look into.", **named, problem=problem)
        self.logger.info("A message was handled.", **{**named, "outcome": result.outcome, **result.facts})
        return result

    def _show_again_soon(self, record: SQSRecord) -> None:
        receives = int(record.attributes.approximate_receive_count or 1)
        try:
            self.sqs.change_visibility(self.queue_url, record.receipt_handle, self.backoff.delay(receives))
        except AwsError as error:
            self.logger.warning("The message comes again after its visibility timeout.", error=str(error))

    def _count(self, result: StepResult) -> None:
        if self.metric:
            self.metrics.add_metric(f"{self.metric}{result.outcome.capitalize()}", MetricUnit.Count, 1)
        for name, number in result.metrics.items():
            # Only what there is: a metric costs by the hour in which it was sent (CloudWatch: Pricing).
            if number:
                self.metrics.add_metric(name, MetricUnit.Count, number)

    def _flush(self) -> None:
        if self.metrics.metric_set:
            self.metrics.flush_metrics()


def _parse(body: str) -> dict[str, Any]:
    """Read a message. Raises ValueError where it is no JSON object."""
    message = json.loads(body)
    if not isinstance(message, dict):
        raise ValueError("The message is not an object.")
    return message


Handler = Callable[[dict[str, Any], LambdaContext], PartialItemFailureResponse]


def queue_handler(build: Callable[[], QueueStep]) -> Handler:
    """Return the handler of a function on a queue. Its step is built for the first event, and kept for the next ones.

    A build that fails is tried again by the next event. All lines that the function logs name the request.
    """
    step = cache(build)

    @Logger().inject_lambda_context
    def handler(event: dict[str, Any], context: LambdaContext) -> PartialItemFailureResponse:
        return step().process(event, context)

    return handler
