"""The callbacks of jobs: when one is due it is sent to the courier, who takes, tells and ends it by this book."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from sluice.aws.sqs import Sqs
from sluice.callbacks.courier import MAX_CALLBACK_BYTES, ClaimedCallback, EndState
from sluice.errors import ConditionFailed
from sluice.jobs.model import Job
from sluice.jobs.table import JobTable
from sluice.jobs.views import costs_view, job_view
from sluice.timestamps import rfc3339


@dataclass(frozen=True, slots=True)
class JobCallbacks:
    """A ``CallbackBook``."""

    table: JobTable

    def claim(self, subject_id: str, now: float, until: float) -> ClaimedCallback[Job]:
        job = self.table.claim_callback(subject_id, now, until)
        if not job.calls_back or job.ticket is None:
            raise ConditionFailed("Nobody is to be called back.")
        webhook_id = f"msg_{job.job_id}_{job.callback_event}"
        url, attempts = job.ticket.callback_url, job.callback_attempts
        return ClaimedCallback(
            job, job.job_id, job.owner or "", webhook_id, url, attempts, job.callback_since, job.callback_error
        )

    def body(self, claimed: ClaimedCallback[Job]) -> bytes:
        document = json.dumps(event_view(claimed.subject), ensure_ascii=False).encode(errors="replace")
        assert len(document) <= MAX_CALLBACK_BYTES
        return document

    def publish(self, claimed: ClaimedCallback[Job]) -> Callable[[], None]:
        raise NotImplementedError("A job calls back to a URL alone.")

    def put_back(
        self, claimed: ClaimedCallback[Job], now: float, due_at: float, error: str, *, uncounted: bool = False
    ) -> None:
        self.table.put_back_callback(claimed.subject, now, due_at, error, uncounted=uncounted)

    def close(self, claimed: ClaimedCallback[Job], state: EndState, now: float, error: str | None = None) -> None:
        self.table.close_callback(claimed.subject, state, now, error)

    def due_at(self, subject_id: str) -> float | None:
        job = self.table.find(subject_id)
        return job.callback_due_at if job and job.calls_back else None

    def message(self, subject_id: str) -> Mapping[str, object]:
        return {"job_id": subject_id}


def event_view(job: Job) -> dict[str, Any]:
    """Build what a callback tells (Standard Webhooks: payload structure)."""
    event = (job.callback_event or "").partition("-")[0]
    data = {**job_view(job), "costs": costs_view(job, 0.0)}
    data.pop("callback")
    return {"type": f"job.{event}", "timestamp": rfc3339(job.callback_since), "data": data}


def send_callback(sqs: Sqs, queue_url: str, job: Job) -> None:
    """Have a job's caller called back, if one is to be. Raises AwsUnavailable; the poller makes up for it.

    A function without the queue's URL leaves it to the poller.
    """
    if queue_url and job.calls_back:
        sqs.send(queue_url, {"job_id": job.job_id})


def is_callback_due(job: Job, now: float) -> bool:
    """Return whether a callback waits whose message is not under way, as far as one can say."""
    return job.calls_back and now >= job.callback_look_at
