"""Work through a batch of SQS messages, all at once, and report those that have to come again."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Protocol

from aws_lambda_powertools import Logger, Metrics
from aws_lambda_powertools.metrics import MetricUnit
from aws_lambda_powertools.utilities.batch import AsyncBatchProcessor, EventType
from aws_lambda_powertools.utilities.batch.types import PartialItemFailureResponse
from aws_lambda_powertools.utilities.data_classes.sqs_event import SQSRecord

from sluice.aws.sqs import Sqs
from sluice.backoff import TASK_STEP_FAILED
from sluice.errors import AwsError, describe_error

# Lambda: at most ten messages of a queue to an invocation, unless it waits to gather more.
_THREADS = 10


class LambdaContext(Protocol):
    def get_remaining_time_in_millis(self) -> int: ...


@dataclass(frozen=True, slots=True)
class TaskBatch:
    """``act`` gets a task id and the seconds that are left, and returns a word for what it did.

    A task mostly waits for Claude or for a receiver. So the messages of a batch are worked on in threads at the same
    time; one after the other, the last would find no time left. ``metric`` begins the name of what is counted.
    """

    act: Callable[[str, float], str]
    queues: Sqs
    queue_url: str
    metric: str
    logger: Logger
    metrics: Metrics

    def process(self, event: dict[str, Any], context: LambdaContext) -> PartialItemFailureResponse:
        """Handle an SQS event and return its partial failures (Lambda: ReportBatchItemFailures)."""
        self.metrics.add_metric(f"{self.metric}Received", MetricUnit.Count, len(event["Records"]))
        processor = AsyncBatchProcessor(event_type=EventType.SQS, raise_on_entire_batch_failure=False)
        with ThreadPoolExecutor(_THREADS) as threads:

            async def handle(record: SQSRecord) -> None:
                loop = asyncio.get_running_loop()
                outcome = await loop.run_in_executor(threads, self._handle, record, context)
                self.metrics.add_metric(f"{self.metric}{outcome.capitalize()}", MetricUnit.Count, 1)

            with processor(event["Records"], handle):
                processor.async_process()
        return processor.response()

    def _handle(self, record: SQSRecord, context: LambdaContext) -> str:
        try:
            task_id = str(record.json_body["task_id"])
            outcome = self.act(task_id, context.get_remaining_time_in_millis() / 1000)
        except Exception as error:
            self._put_off(record, error)
            raise
        self.logger.info("A message was handled.", task_id=task_id, outcome=outcome)
        return outcome

    def _put_off(self, record: SQSRecord, error: Exception) -> None:
        self.logger.error("A message comes again.", **describe_error(error))
        try:
            self.queues.change_visibility(self.queue_url, record.receipt_handle, TASK_STEP_FAILED.delay(1))
        except AwsError as failure:
            self.logger.warning("The message comes again after its visibility timeout.", error=str(failure))
