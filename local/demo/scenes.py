"""The three doors, used as their users would: each scene raises ``FellShort`` where the stack did not do its job."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from queue import Empty
from typing import Any

import anthropic
import httpx2

from local.demo.checks import Expected, FellShort, check_summary
from local.demo.corpus import MODEL
from local.demo.display import Display
from local.demo.receiver import running_receiver
from local.demo.texts import progress_line, summary_facts
from local.stack import Stack
from sluice.jobs.model import Upload

QUESTION = "Why does a program that reads a large file line by line need less memory than one that reads it whole?"
KEY = "stdlib/questions.jsonl"
_JOB_SECONDS = 300.0
_CALLBACK_SECONDS = 120.0
_SHOWN_PAYLOAD = 1200


class Scenes:
    def __init__(self, stack: Stack, display: Display) -> None:
        self._stack = stack
        self._facts = stack.facts
        self._display = display
        headers = {"x-api-key": self._facts.client_key or ""}
        self._api = httpx2.Client(base_url=self._facts.api_url.rstrip("/"), headers=headers, timeout=30)

    def stream(self) -> None:
        """Stream one answer with the SDK, by its base_url alone."""
        self._display.say(f"> {QUESTION}\n", "bold")
        client = anthropic.Anthropic(base_url=self._facts.stream_url, api_key=self._facts.client_key or "none")
        started, first = time.monotonic(), None
        with client.messages.stream(
            model=MODEL, max_tokens=300, messages=[{"role": "user", "content": QUESTION}]
        ) as answer:
            for text in answer.text_stream:
                first = first or time.monotonic()
                self._display.write(text)
            final = answer.get_final_message()
        if first is None:
            raise FellShort("The streaming door answered without text.")
        self._display.say("\n")
        waited, took = (first - started) * 1000, time.monotonic() - started
        usage = f"{final.usage.output_tokens} tokens, first words after {waited:.0f} ms, all after {took:.1f} s"
        self._display.say(f"{usage}, from {final.model}", "dim")

    def job(self, file: bytes, expected: Expected) -> None:
        """Drop the file, follow the job to its end, and show what its owner gets."""
        upload = self._drop(file)
        self._display.say(f"s3://{upload.bucket}/{KEY}: {expected.lines} lines, {len(file) / 1000:.0f} kB\n")
        with self._display.progress() as show:
            notice = self._await_notice(upload.job_id, show)
        self._display.box(f"Mail: {notice['subject']}", notice["text"].strip())
        self._show_outbox(upload.job_id)
        summary = self._read_summary(upload.job_id)
        self._display.say("\nsummary.json", "bold")
        self._display.facts(summary_facts(summary))
        check_summary(summary, expected)

    def task(self) -> None:
        """Queue one request, and believe the callback only if it is signed."""
        with running_receiver(self._facts.webhook_secret) as receiver:
            body = {"prompt": "Name three uses of a queue, in a line each.", "callback_url": receiver.url}
            started = time.monotonic()
            answer = self._api.post("/v1/tasks", json=body)
            waited = (time.monotonic() - started) * 1000
            if answer.status_code != 202:
                raise FellShort(f"The task door answered {answer.status_code}: {answer.text}")
            self._display.say(f"202 after {waited:.0f} ms: {answer.json()['id']}")
            try:
                callback = receiver.callbacks.get(timeout=_CALLBACK_SECONDS)
            except Empty:
                raise FellShort(f"No callback arrived within {_CALLBACK_SECONDS:.0f} s.") from None
        if callback.problem:
            raise FellShort(f"The callback's signature is wrong: {callback.problem}")
        self._display.say(f"Callback after {time.monotonic() - started:.1f} s, and its signature is right.\n")
        self._display.facts([(name, value) for name, value in callback.headers.items() if name.startswith("webhook-")])
        payload = json.dumps(callback.payload, indent=2, ensure_ascii=False)
        self._display.box("Payload", payload if len(payload) <= _SHOWN_PAYLOAD else f"{payload[:_SHOWN_PAYLOAD]} ...")

    def _drop(self, file: bytes) -> Upload:
        bucket = self._facts.inbox_bucket
        answer = self._stack.client("s3").put_object(Bucket=bucket, Key=KEY, Body=file)
        return Upload(bucket, KEY, answer.get("VersionId"), answer["ETag"].strip('"'), len(file))

    def _await_notice(self, job_id: str, show: Callable[[str], None]) -> Mapping[str, Any]:
        """Show how far the job is until the topic tells of its end."""
        started, line = time.monotonic(), ""
        while (passed := time.monotonic() - started) < _JOB_SECONDS:
            line = self._progress(job_id)
            show(f"{line}  after {passed:.0f} s")
            for notice in self._read_notices():
                if notice.get("job_id") == job_id:
                    return notice
        raise FellShort(f"The job was not finished after {_JOB_SECONDS:.0f} s: {line}.")

    def _progress(self, job_id: str) -> str:
        answer = self._api.get(f"/v1/jobs/{job_id}")
        if answer.status_code == 404:
            return "uploaded"
        if answer.status_code != 200:
            raise FellShort(f"The job's status was answered with {answer.status_code}: {answer.text}")
        return progress_line(answer.json())

    def _read_notices(self) -> list[dict[str, Any]]:
        sqs, queue = self._stack.client("sqs"), self._facts.notifications_queue_url
        answer = sqs.receive_message(QueueUrl=queue, WaitTimeSeconds=1, MaxNumberOfMessages=10)
        notices = []
        for message in answer.get("Messages", ()):
            sqs.delete_message(QueueUrl=queue, ReceiptHandle=message["ReceiptHandle"])
            notices.append(json.loads(json.loads(message["Body"])["Message"]))
        return notices

    def _show_outbox(self, job_id: str) -> None:
        bucket = self._facts.outbox_bucket
        listed = self._stack.client("s3").list_objects_v2(Bucket=bucket, Prefix=f"{job_id}/").get("Contents", [])
        self._display.say(f"\ns3://{bucket}/{job_id}/", "bold")
        self._display.facts([(f"  {each['Key'].partition('/')[2]}", f"{each['Size']:>9,} bytes") for each in listed])

    def _read_summary(self, job_id: str) -> dict[str, Any]:
        key = f"{job_id}/summary.json"
        body = self._stack.client("s3").get_object(Bucket=self._facts.outbox_bucket, Key=key)["Body"].read()
        summary: dict[str, Any] = json.loads(body)
        return summary
