"""What an incident's notice says: what is wrong, what waits, what to do and how to let it go on."""

from __future__ import annotations

import pytest

from sluice.incidents import Incident
from sluice.notify.incident_notice import Affected, HeldJob, incident_notice
from sluice.notify.notice import Notice

JOB = HeldJob("rivers-1a2b", "inbox", "reviews/rivers.jsonl")
TASK = Affected(tasks=("task-1",))


def told(kind: str, message: str = "no", affected: Affected = TASK) -> Notice:
    return incident_notice(Incident(kind, message, 1_800_000_000.25, 1_800_000_015.0), affected)


@pytest.mark.parametrize(
    ("kind", "subject", "remedy"),
    [
        ("authentication_error", "Claude refuses the API key (authentication_error)", "ClaudeSecretId"),
        ("billing_error", "Claude cannot bill the account (billing_error)", "billing page"),
        ("rate_limit_error", "The Claude account has reached its spend limit (rate_limit_error)", "Raise the limit"),
        ("permission_error", "The API key may not use what it is asked for (permission_error)", "workspace"),
        (
            "permission_error:claude-opus-5-5",
            "The API key may not use the model claude-opus-5-5 (permission_error)",
            "workspace",
        ),
        (
            "not_found_error:claude-haiku-5-5",
            "Claude does not find the model claude-haiku-5-5 (not_found_error)",
            "DefaultModel",
        ),
        ("new_error", "Claude refuses the work of this stack (new_error)", "the cause that Claude names"),
    ],
)
def test_a_notice_says_what_is_wrong_and_what_to_do(kind: str, subject: str, remedy: str) -> None:
    notice = told(kind, "What Claude answered.")

    problem, error_type = subject.removesuffix(")").split(" (")
    assert notice.subject == f"Stopped: {subject}"
    assert notice.text.startswith(f"{problem}. ")
    assert f"- {error_type}: What Claude answered." in notice.text
    assert remedy in notice.text
    assert f"POST /v1/incidents/{kind}/release" in notice.text


def test_what_concerns_one_model_is_not_said_to_stop_the_others() -> None:
    assert (
        "jobs and tasks for claude-opus-5-5 wait; those for other models go on."
        in told("permission_error:claude-opus-5-5").text
    )
    assert "other models" not in told("billing_error").text


def test_jobs_and_tasks_give_the_same_fields() -> None:
    of_job, of_task = told("billing_error", affected=Affected(jobs=(JOB,))), told("billing_error")

    differing = {"jobs", "job_count", "tasks"}
    assert of_job.detail.keys() == of_task.detail.keys()
    assert {k: v for k, v in of_job.detail.items() if k not in differing} == {
        k: v for k, v in of_task.detail.items() if k not in differing
    }
    assert (of_job.subject, of_job.detail_type, of_job.attributes) == (
        of_task.subject,
        "Sluice Incident Opened",
        {"event": "incident.opened", "outcome": "held", "kind": "billing_error"},
    )
    assert of_job.detail["jobs"] == [{"job_id": JOB.job_id, "bucket": "inbox", "key": JOB.key}]
    assert of_task.detail["tasks"] == ["task-1"]


def test_machines_read_which_model_and_since_when() -> None:
    detail = told("permission_error:claude-opus-5-5").detail
    assert (detail["error_type"], detail["model"]) == ("permission_error", "claude-opus-5-5")
    assert detail["opened_at"] == 1_800_000_000.25
    assert told("billing_error").detail["model"] is None


def test_a_job_that_waits_can_be_released_without_the_api_and_a_task_cannot() -> None:
    command = f"aws s3api put-object --bucket inbox --key {JOB.job_id}.release"
    assert command in told("billing_error", affected=Affected(jobs=(JOB,))).text
    assert "put-object" not in told("billing_error").text


def test_a_long_message_and_long_names_fit_the_topic() -> None:
    jobs = tuple(HeldJob(f"job-{number}", "inbox", "🌊" * 250) for number in range(50))
    notice = told("billing_error", "漢" * 100_000, Affected(jobs=jobs))
    assert notice.fits_topic()
    assert notice.detail["job_count"] == 50
    assert notice.detail["jobs"]


def test_a_notice_that_comes_twice_has_one_id_and_the_next_incident_has_another() -> None:
    first, again = told("billing_error"), told("billing_error", affected=Affected(jobs=(JOB,)))
    later = incident_notice(Incident("billing_error", "no", 1_800_000_100.25, 1_800_000_115.0), TASK)
    assert first.detail["notification_id"] == again.detail["notification_id"] != later.detail["notification_id"]
