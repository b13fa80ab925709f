from __future__ import annotations

import pytest

from sluice.tasks.task import event_view, task_view

from .samples import DONE, QUEUED, answer


def test_a_queued_task_says_when_it_is_tried() -> None:
    view = task_view(QUEUED)
    assert view["next_attempt_at"] == "2027-01-15T08:01:00.000Z"
    assert view["metadata"] == {"ticket": "A-1042"}
    assert view["callback"] == {"url": "https://hooks.example.com/", "status": "pending", "attempts": 0}
    assert not {"caller", "text", "error", "timings"} & view.keys()


def test_a_done_task_has_its_answer_its_cost_and_its_times() -> None:
    view = task_view(DONE, answer())
    assert view["text"] == "Because of Rayleigh."
    assert view["usage"] == {"input_tokens": 1000, "output_tokens": 100}
    assert view["estimated_cost_usd"] == pytest.approx((1000 * 0.1 + 100 * 0.5) / 1e6)
    assert view["timings"] == {"queued_seconds": 61.5, "running_seconds": 1.5, "total_seconds": 63.0}


def test_a_callback_tells_what_happened_and_not_about_itself() -> None:
    event = event_view(DONE, answer())
    assert event["type"] == "task.succeeded"
    assert event["timestamp"] == "2027-01-15T08:01:03.000Z"
    assert "callback" not in event["data"]
