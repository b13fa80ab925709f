"""What callers of the API get, in the shape of Claude's own API."""

from __future__ import annotations

import time
from typing import Any

import boto3
import pytest

from simulator.client import Refuse
from sluice.access.store import KeyStore, KeyTerms
from sluice.access.usage import AnswerUsage, add_usage
from sluice.aws.dynamodb import Key, Update
from tests.world.lambdas import sample

from .door import Answer, TaskDoor


def assert_error(answer: Answer, status: int, error_type: str) -> None:
    assert answer.status == status
    assert answer.body["type"] == "error"
    assert answer.body["error"]["type"] == error_type
    assert answer.body["error"]["message"]
    assert answer.body["request_id"] == answer.headers["request-id"]


@pytest.mark.parametrize(
    ("event", "status"),
    [
        ("create_task", 202),
        ("create_prompt", 202),
        ("create_with_key", 202),
        ("read_task", 404),
        ("list_tasks", 200),
        ("cancel_task", 404),
        ("redeliver_task", 404),
        ("release_incident", 404),
    ],
)
def test_each_sample_event_gets_its_answer(stack: TaskDoor, event: str, status: int) -> None:
    assert stack.invoke_api(sample(f"serve_api_{event}")).status == status


@pytest.mark.parametrize(
    ("method", "path", "body", "status", "error_type"),
    [
        ("POST", "/v1/tasks", "{", 400, "invalid_request_error"),
        ("POST", "/v1/tasks", {}, 400, "invalid_request_error"),
        (
            "POST",
            "/v1/tasks",
            {"prompt": "x", "callback_url": "https://169.254.169.254/"},
            400,
            "invalid_request_error",
        ),
        ("POST", "/v1/tasks", "x" * (6 * 1024 * 1024 + 1), 413, "request_too_large"),
        ("GET", "/v1/tasks?status=lost", None, 400, "invalid_request_error"),
        ("GET", "/v1/tasks?limit=0", None, 400, "invalid_request_error"),
        ("GET", "/v1/tasks?limit=many", None, 400, "invalid_request_error"),
        ("GET", "/v1/tasks/task_unknown", None, 404, "not_found_error"),
        ("GET", "/v1/nothing", None, 404, "not_found_error"),
        ("PUT", "/v1/tasks", {}, 404, "not_found_error"),
        ("POST", "/v1/incidents/billing_error/release", None, 404, "not_found_error"),
    ],
)
def test_an_error_has_the_shape_of_the_api(
    stack: TaskDoor, method: str, path: str, body: object, status: int, error_type: str
) -> None:
    assert_error(stack.call(method, path, body), status, error_type)


def test_a_defect_is_answered_counted_and_tells_nothing(
    stack: TaskDoor, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def stumble(*_: object) -> None:
        raise ZeroDivisionError("with a prompt in it")

    monkeypatch.setattr("sluice.tasks.operations.new_task_id", stumble)
    answer = stack.call("POST", "/v1/tasks", {"prompt": "x"})
    assert_error(answer, 500, "api_error")
    assert "prompt" not in answer.body["error"]["message"]
    assert '"Defects":[1.0]' in capsys.readouterr().out


def test_a_repeated_call_gets_the_first_task(stack: TaskDoor) -> None:
    key = {"idempotency-key": "order-1"}
    first = stack.call("POST", "/v1/tasks", {"prompt": "x"}, key)
    again = stack.call("POST", "/v1/tasks", {"prompt": "x"}, key)
    other = stack.call("POST", "/v1/tasks", {"prompt": "x"}, {"idempotency-key": "order-2"})
    assert first.body["id"] == again.body["id"] != other.body["id"]
    assert again.status == 202
    stack.run()
    assert len(stack.simulator.requests("messages")) == 2
    assert stack.call("POST", "/v1/tasks", {"prompt": "x"}, key).body["status"] == "succeeded"


def test_a_key_used_for_another_body_is_a_conflict(stack: TaskDoor) -> None:
    key = {"idempotency-key": "order-1"}
    stack.call("POST", "/v1/tasks", {"prompt": "x"}, key)
    assert_error(stack.call("POST", "/v1/tasks", {"prompt": "y"}, key), 409, "conflict_error")


def test_a_body_that_sqs_would_not_take_goes_through_s3(stack: TaskDoor) -> None:
    prompt = "sky " * 1_400_000
    task_id = stack.submit(prompt=prompt, callback_url=None)
    (stored,) = boto3.client("s3").list_objects_v2(Bucket=stack.outbox)["Contents"]
    assert stored["Key"] == f"work/tasks/{task_id}/request.json"
    stack.run()
    (asked,) = stack.simulator.requests("messages")
    assert asked.body_bytes > len(prompt)


def test_tasks_of_others_are_not_found(stack: TaskDoor) -> None:
    task_id = stack.submit()
    theirs = sample("serve_api_read_task")
    theirs["rawPath"] = f"/v1/tasks/{task_id}"
    theirs["requestContext"]["authorizer"]["iam"]["userArn"] = "arn:aws:iam::123456789012:user/eve"
    assert_error(stack.invoke_api(theirs), 404, "not_found_error")
    for method, path in (("DELETE", f"/v1/tasks/{task_id}"), ("POST", f"/v1/tasks/{task_id}/redeliver")):
        theirs["rawPath"] = path
        theirs["requestContext"]["http"] |= {"method": method, "path": path}
        assert_error(stack.invoke_api(theirs), 404, "not_found_error")
    theirs = sample("serve_api_list_tasks")
    theirs["requestContext"]["authorizer"]["iam"]["userArn"] = "arn:aws:iam::123456789012:user/eve"
    assert stack.invoke_api(theirs).body["data"] == []


@pytest.mark.parametrize(("user", "status"), [("ada", 200), ("eve", 403)])
def test_what_belongs_to_the_stack_takes_a_user_whom_the_parameter_names(
    stack: TaskDoor, user: str, status: int
) -> None:
    event = sample("serve_api_list_tasks")
    event["requestContext"]["authorizer"]["iam"]["userArn"] = f"arn:aws:iam::123456789012:user/{user}"
    event["rawPath"] = event["requestContext"]["http"]["path"] = "/v1/incidents"
    assert stack.invoke_api(event).status == status
    event["rawPath"] = event["requestContext"]["http"]["path"] = "/v1/tasks"
    assert stack.invoke_api(event).status == 200


def test_a_list_is_paged_newest_first(stack: TaskDoor) -> None:
    made = [stack.submit(prompt=str(number)) for number in range(5)]
    seen: list[str] = []
    query = "limit=2"
    while True:
        page = stack.call("GET", f"/v1/tasks?{query}").body
        assert len(page["data"]) <= 2
        seen += [task["id"] for task in page["data"]]
        if not page["has_more"]:
            break
        query = f"limit=2&after_id={page['last_id']}"
    assert seen == made[::-1]


def test_a_list_by_status_finds_only_those(stack: TaskDoor) -> None:
    ids = [stack.submit(prompt=str(number)) for number in range(3)]
    stack.call("DELETE", f"/v1/tasks/{ids[1]}")
    cancelled = stack.call("GET", "/v1/tasks?status=cancelled").body
    assert [task["id"] for task in cancelled["data"]] == [ids[1]]
    assert not cancelled["has_more"]


def test_a_cancelled_task_never_runs(stack: TaskDoor) -> None:
    task_id = stack.submit()
    assert stack.call("DELETE", f"/v1/tasks/{task_id}").body["status"] == "cancelled"
    assert stack.call("DELETE", f"/v1/tasks/{task_id}").body["status"] == "cancelled"
    stack.run()
    assert not stack.simulator.requests()
    assert not stack.receiver.calls


def test_a_task_that_has_started_cannot_be_cancelled(stack: TaskDoor) -> None:
    task_id = stack.submit()
    stack.run()
    assert_error(stack.call("DELETE", f"/v1/tasks/{task_id}"), 409, "conflict_error")


def test_a_delayed_task_waits_and_then_runs(stack: TaskDoor) -> None:
    task_id = stack.submit(delay_seconds=900)
    assert stack.delays("TASK") == [900]
    stack.turn("TASK")
    assert stack.delays("TASK") == [900, 900]
    assert not stack.simulator.requests()
    stack.run()
    assert stack.read(task_id)["status"] == "succeeded"


def test_an_expired_task_is_not_found(stack: TaskDoor) -> None:
    task_id = stack.submit()
    stack.table.update(Update(Key(f"TASK#{task_id}", "TASK"), set={"expires_at": 1}))
    assert_error(stack.call("GET", f"/v1/tasks/{task_id}"), 404, "not_found_error")
    assert stack.call("GET", "/v1/tasks").body["data"] == []


def test_a_task_that_could_not_be_queued_is_not_run_behind_the_callers_back(
    stack: TaskDoor, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setenv("SLUICE_TASK_QUEUE_URL", "https://sqs.us-east-1.amazonaws.com/123456789012/missing")
        stack.cold_start()
        assert_error(stack.call("POST", "/v1/tasks", {"prompt": "x"}), 503, "api_error")
        keyed = stack.call("POST", "/v1/tasks", {"prompt": "x"}, {"idempotency-key": "order-1"})
        assert_error(keyed, 503, "api_error")
    stack.cold_start()
    # The one without a key is cancelled; the one with a key waits for the call to be repeated.
    assert [task["status"] for task in stack.call("GET", "/v1/tasks").body["data"]] == ["queued", "cancelled"]
    stack.call("POST", "/v1/tasks", {"prompt": "x"}, {"idempotency-key": "order-1"})
    stack.run()
    assert len(stack.simulator.requests("messages")) == 1


class TestWithKeys:
    @pytest.fixture
    def keys(self, stack: TaskDoor, monkeypatch: pytest.MonkeyPatch) -> TaskDoor:
        monkeypatch.setenv("SLUICE_AUTH_MODE", "keys")
        monkeypatch.setenv("SLUICE_ALLOWED_ORIGINS", "https://app.example.com")
        stack.cold_start()
        return stack

    def make_key(self, stack: TaskDoor, **terms: Any) -> dict[str, str]:
        return {"x-api-key": KeyStore(stack.table).create(KeyTerms("test", **terms)).text}

    def test_a_call_without_a_key_is_refused(self, keys: TaskDoor) -> None:
        assert_error(keys.invoke_api(sample("serve_api_create_with_key")), 401, "authentication_error")
        assert_error(keys.call("GET", "/v1/tasks"), 401, "authentication_error")
        assert_error(keys.call("GET", "/v1/nothing"), 401, "authentication_error")

    def test_tasks_belong_to_their_key(self, keys: TaskDoor) -> None:
        mine, theirs = self.make_key(keys), self.make_key(keys)
        task_id = keys.call("POST", "/v1/tasks", {"prompt": "x"}, mine).body["id"]
        assert keys.call("GET", f"/v1/tasks/{task_id}", headers=mine).status == 200
        assert_error(keys.call("GET", f"/v1/tasks/{task_id}", headers=theirs), 404, "not_found_error")

    @pytest.mark.parametrize(
        ("method", "path", "status"),
        [
            ("GET", "/v1/incidents", 200),
            ("POST", "/v1/incidents/billing_error/release", 404),
        ],
    )
    def test_what_belongs_to_the_stack_takes_an_operators_key(
        self, keys: TaskDoor, method: str, path: str, status: int
    ) -> None:
        assert_error(keys.call(method, path, headers=self.make_key(keys)), 403, "permission_error")
        assert keys.call(method, path, headers=self.make_key(keys, operator=True)).status == status

    def test_a_key_is_held_to_its_models_and_its_budget(self, keys: TaskDoor) -> None:
        key = self.make_key(keys, models=("claude-haiku-*",), budget=0.01)
        params = {"model": "claude-opus-5-5", "max_tokens": 5, "messages": [{"role": "user", "content": "x"}]}
        assert_error(keys.call("POST", "/v1/tasks", {"params": params}, key), 403, "permission_error")
        assert keys.call("POST", "/v1/tasks", {"prompt": "Why is the sky blue?"}, key).status == 202
        advisor = {"type": "advisor_20260301", "name": "advisor", "model": "claude-opus-5-5"}
        asked = params | {"model": "claude-haiku-5-5", "tools": [advisor]}
        assert_error(keys.call("POST", "/v1/tasks", {"params": asked}, key), 403, "permission_error")
        keys.run()
        spent = AnswerUsage(succeeded=True, cost=0.01)
        add_usage(keys.table, key["x-api-key"].split("-")[2], spent, time.time())
        keys.cold_start()
        assert_error(keys.call("POST", "/v1/tasks", {"prompt": "x"}, key), 402, "billing_error")

    def test_a_page_of_an_allowed_origin_may_call(self, keys: TaskDoor) -> None:
        preflight = keys.invoke_api(sample("serve_api_preflight"))
        assert preflight.status == 204
        assert preflight.headers["access-control-allow-origin"] == "https://app.example.com"
        assert preflight.headers["access-control-allow-headers"] == "content-type,idempotency-key,traceparent"
        allowed = keys.call("GET", "/v1/tasks", headers={"origin": "https://app.example.com"})
        assert allowed.headers["access-control-allow-origin"] == "https://app.example.com"
        answer = keys.call("GET", "/v1/tasks", headers={"origin": "https://evil.example.com"})
        assert "access-control-allow-origin" not in answer.headers


def test_the_prompt_is_in_no_log(
    stack: TaskDoor, caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    task_id = stack.submit(prompt="an unmistakable prompt")
    stack.simulator.fail(Refuse(status=529, message="an unmistakable message"), times=1)
    stack.receiver.statuses = [500, 200]
    stack.run()
    written = capsys.readouterr().out + "".join(str(vars(record)) for record in caplog.records)
    assert task_id in written
    answer = stack.read(task_id)["text"]
    for secret in ("unmistakable", answer, "sk-ant-simulator", "whsec_", stack.receiver.url):
        assert secret not in written


@pytest.mark.parametrize("path", ["/v1/v1/tasks", "/tasks", "//v1/tasks", "/v1/tasks/"])
def test_a_path_that_can_only_mean_one_thing_is_taken_for_it(stack: TaskDoor, path: str) -> None:
    assert stack.call("GET", path).status == 200


@pytest.mark.parametrize(
    ("method", "path", "where"),
    [
        ("POST", "/v1/messages", "StreamUrl"),
        ("GET", "/v1/files", "by their URL"),
        ("PUT", "/v1/tasks", "docs/tasks.md"),
    ],
)
def test_a_call_that_belongs_elsewhere_is_told_where(stack: TaskDoor, method: str, path: str, where: str) -> None:
    answer = stack.call(method, path)

    assert_error(answer, 404, "not_found_error")
    assert where in answer.body["error"]["message"]
    assert answer.headers["x-should-retry"] == "false"
