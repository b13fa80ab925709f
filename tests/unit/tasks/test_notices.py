from __future__ import annotations

import json
from dataclasses import replace

import pytest

from sluice.notify.notice import MAX_MESSAGE_BYTES
from sluice.tasks.notices import event_document, task_notice

from .samples import DONE, QUEUED, answer


def test_half_a_letter_in_an_answer_does_not_stop_its_callback() -> None:
    document = event_document(DONE, answer("ä \ud83d"), 24 * 1024)
    assert json.loads(document.encode())["data"]["text"] == "ä ?"


TOLD = replace(DONE, callback_url=None, topic_attribute="billing")


def test_an_answer_that_is_too_large_is_left_to_the_status_url() -> None:
    document = event_document(DONE, answer("word " * 20_000), 24 * 1024)
    assert len(document.encode()) <= 24 * 1024
    data = json.loads(document)["data"]
    assert data["answer_left_out"]
    assert data["status_url"] == QUEUED.status_url


@pytest.mark.parametrize("queue_message", ["x", "я", "漢", "🌊", '"', "\n"])
def test_an_answer_of_any_letters_is_told_on_the_topic_up_to_what_sns_takes(queue_message: str) -> None:
    left_out = []
    for length in range(1000, 41_000, 2000):
        notice = task_notice(TOLD, answer(queue_message * length))
        assert len(notice.message().encode()) < MAX_MESSAGE_BYTES
        assert json.loads(notice.message())["default"] == notice.text
        left_out.append("answer_left_out" in notice.detail["data"])
    assert not left_out[0]
    assert left_out[-1]
    assert left_out == sorted(left_out)


def test_an_answer_that_is_left_out_of_the_topic_is_said_to_be_elsewhere() -> None:
    notice = task_notice(TOLD, answer("é" * 100_000))
    assert notice.detail["data"]["answer_left_out"]
    assert "too long" in notice.text
    assert TOLD.status_url in notice.text
    assert notice.attributes["topic_attribute"] == "billing"
    assert "too long" not in task_notice(TOLD, answer("é")).text
