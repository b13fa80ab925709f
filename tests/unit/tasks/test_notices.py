from __future__ import annotations

import json
from dataclasses import replace

from sluice.tasks.notices import MAX_NOTICE_BYTES, event_document, incident_notice, task_notice

from .samples import DONE, QUEUED, answer


def test_an_answer_that_is_too_large_is_left_to_the_status_url() -> None:
    document = event_document(DONE, answer("word " * 20_000), MAX_NOTICE_BYTES)
    assert len(document.encode()) <= MAX_NOTICE_BYTES
    data = json.loads(document)["data"]
    assert data["answer_left_out"]
    assert data["status_url"] == QUEUED.status_url


def test_a_notice_of_a_task_keeps_to_what_sns_takes() -> None:
    notice = task_notice(replace(DONE, callback_url=None, topic_attribute="billing"), answer("é" * 100_000))
    assert len(json.dumps([json.dumps(dict(notice.detail))] * 6)) < 256 * 1024
    assert notice.attributes["topic_attribute"] == "billing"


def test_a_notice_of_an_incident_says_what_to_do() -> None:
    notice = incident_notice("billing_error", "no credit")
    assert "no credit" in notice.text
    assert "/v1/incidents/billing_error/release" in notice.text
