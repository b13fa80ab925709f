"""The doors of a running stack as the tests use them: files dropped, notices read, the API called."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, TypeVar

import httpx2
from botocore.exceptions import ClientError

from local.stack import Stack
from simulator.client import Simulator
from sluice.access.keys import KeyText
from sluice.access.store import KeyStore, KeyTerms
from sluice.aws.dynamodb import Table
from sluice.jobs.model import Upload

T = TypeVar("T")

# For what takes a second or two on a machine that has nothing else to do.
PATIENCE = 60.0
_ENDS = ("job.finished", "job.finished_with_errors", "job.failed", "job.cancelled")


def wait_until(ask: Callable[[], T | None], what: str, seconds: float = PATIENCE, pause: float = 0.1) -> T:
    """Ask until there is an answer that is not empty, and return it; AssertionError once the time is over."""
    deadline = time.monotonic() + seconds
    while True:
        if answer := ask():
            return answer
        assert time.monotonic() < deadline, f"waited {seconds:g} s in vain for {what}"
        time.sleep(pause)


@dataclass(frozen=True)
class Notice:
    """One message of the completion topic, as an SQS subscriber gets it."""

    body: dict[str, Any]
    attributes: dict[str, str]

    @property
    def event(self) -> str:
        return self.attributes.get("event", "")

    @property
    def text(self) -> str:
        return str(self.body["text"])

    @property
    def subject(self) -> str:
        return str(self.body["subject"])


@dataclass
class Doors:
    """A running stack, and the simulator behind it. ``notices`` are all that were read so far."""

    stack: Stack
    simulator: Simulator
    notices: list[Notice] = field(default_factory=list)

    @cached_property
    def s3(self) -> Any:
        return self.stack.client("s3")

    @cached_property
    def sqs(self) -> Any:
        return self.stack.client("sqs")

    @cached_property
    def api(self) -> httpx2.Client:
        """The API door, with the key of the stack."""
        facts = self.stack.facts
        headers = {"x-api-key": facts.client_key or ""}
        return httpx2.Client(base_url=facts.api_url, headers=headers, timeout=60, trust_env=False)

    @cached_property
    def streams(self) -> httpx2.Client:
        """The streaming door, with the key of the stack."""
        facts = self.stack.facts
        headers = {"x-api-key": facts.client_key or "", "anthropic-version": "2023-06-01"}
        return httpx2.Client(base_url=facts.stream_url, headers=headers, timeout=60, trust_env=False)

    @cached_property
    def table(self) -> Table:
        """The stack's table."""
        return Table(self.stack.client("dynamodb"), self.stack.facts.table)

    def close(self) -> None:
        self.api.close()
        self.streams.close()

    # The Inbox and the Outbox

    def drop(self, key: str, body: bytes) -> Upload:
        """Put a file into the Inbox; ``job_id`` of what is returned names the job."""
        bucket = self.stack.facts.inbox_bucket
        answer = self.s3.put_object(Bucket=bucket, Key=key, Body=body)
        return Upload(bucket, key, answer["VersionId"], answer["ETag"].strip('"'), len(body))

    def outbox(self, job_id: str, name: str) -> bytes:
        answer = self.s3.get_object(Bucket=self.stack.facts.outbox_bucket, Key=f"{job_id}/{name}")
        return bytes(answer["Body"].read())

    def lines(self, job_id: str, name: str) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.outbox(job_id, name).splitlines()]

    def summary(self, job_id: str) -> dict[str, Any]:
        summary: dict[str, Any] = json.loads(self.outbox(job_id, "summary.json"))
        return summary

    def has_output(self, job_id: str) -> bool:
        try:
            self.s3.head_object(Bucket=self.stack.facts.outbox_bucket, Key=f"{job_id}/summary.json")
        except ClientError:
            return False
        return True

    # Keys

    def make_key(self, name: str, **terms: Any) -> KeyText:
        """Make a client key."""
        return KeyStore(self.table).create(KeyTerms(name, **terms))

    # Jobs

    def job(self, job_id: str) -> dict[str, Any]:
        answer = self.api.get(f"/v1/jobs/{job_id}")
        assert answer.status_code in (200, 404), answer.text
        job: dict[str, Any] = answer.json()
        return job

    def until_status(self, job_id: str, status: str, seconds: float = PATIENCE) -> dict[str, Any]:
        wait_until(lambda: self.job(job_id).get("status") == status, f"job {job_id} to be {status}", seconds)
        return self.job(job_id)

    def end_of(self, job_id: str, seconds: float = PATIENCE) -> Notice:
        """Wait for the notice of a job's end."""
        return self.notice(lambda each: each.body.get("job_id") == job_id and each.event in _ENDS, job_id, seconds)

    def hold_of(self, job_id: str) -> Notice:
        """Wait for the notice that a job is held."""
        return self.notice(lambda each: each.body.get("job_id") == job_id and each.event == "job.held", job_id)

    # The completion topic

    def notice(self, wanted: Callable[[Notice], bool], what: str, seconds: float = PATIENCE) -> Notice:
        """Wait for a notice, the first of those that are wanted; it may have been read already."""

        def look() -> Notice | None:
            # Reading waits for a message that is new, so what was read before comes first.
            found = next(filter(wanted, self.notices), None)
            if found is None:
                self.read_notices()
            return found

        return wait_until(look, f"a notice about {what}", seconds, pause=0.0)

    def notices_of(self, job_id: str) -> list[Notice]:
        self.read_notices(wait_seconds=0)
        return [each for each in self.notices if each.body.get("job_id") == job_id]

    def read_notices(self, wait_seconds: int = 1) -> None:
        """Read all that the topic has told by now."""
        url = self.stack.facts.notifications_queue_url
        while True:
            answer = self.sqs.receive_message(QueueUrl=url, WaitTimeSeconds=wait_seconds, MaxNumberOfMessages=10)
            messages = answer.get("Messages", [])
            for message in messages:
                self.sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
                self.notices.append(_notice(json.loads(message["Body"])))
            if len(messages) < 10:
                return

    def dead_letters(self) -> dict[str, list[str]]:
        """Read the dead-letter queues; those without a message are left out."""
        outputs = self.stack.deployment.outputs
        queues = {name: url for name, url in outputs.items() if name.endswith("DeadLetterQueueUrl")}
        return {name: found for name, url in queues.items() if (found := list(self._bodies(url)))}

    def _bodies(self, url: str) -> Iterator[str]:
        answer = self.sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10, VisibilityTimeout=0)
        yield from (message["Body"] for message in answer.get("Messages", []))


def _notice(envelope: dict[str, Any]) -> Notice:
    attributes = {name: str(each["Value"]) for name, each in envelope.get("MessageAttributes", {}).items()}
    return Notice(json.loads(envelope["Message"]), attributes)


def request_line(custom_id: str | None, prompt: str = "Say hello.", **params: object) -> bytes:
    """One line of a .jsonl file; ``params`` over the usual ones, None leaves one out."""
    question = {"role": "user", "content": prompt}
    whole = {"model": "claude-haiku-5-5", "max_tokens": 300, "messages": [question], **params}
    line: dict[str, object] = {"params": {name: value for name, value in whole.items() if value is not None}}
    if custom_id is not None:
        line = {"custom_id": custom_id, **line}
    return json.dumps(line).encode()


def jsonl(*lines: bytes) -> bytes:
    return b"".join(line + b"\n" for line in lines)
