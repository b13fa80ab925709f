"""The main paths on an emulator that enforces policies: each function has what it needs, and no more than its role."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import boto3
import httpx2
import pytest
from botocore.exceptions import ClientError

from local.options import Options
from local.stack import running_stack
from simulator.client import Break, Lose, Match, Refuse, Result, Simulator
from sluice.table_keys import incident_key
from tests.e2e.conftest import PARAMETERS, STATE_DIR
from tests.e2e.doors import Doors, jsonl, request_line, wait_until
from tests.integration.tasks.receiver import running_receiver

MODEL = "claude-haiku-5-5"
PARAMS: dict[str, Any] = {"model": MODEL, "max_tokens": 100, "messages": [{"role": "user", "content": "Why?"}]}


@pytest.fixture(scope="module")
def enforcing() -> Iterator[Doors]:
    """A stack whose functions are refused what their roles may not do."""
    options = Options(state_dir=STATE_DIR / "enforcing", parameters=PARAMETERS, enforces_policies=True)
    with running_stack(options) as stack, closing(Simulator(stack.facts.claude_base_url)) as simulator:
        simulator.set(batch_seconds=0.3)
        with closing(Doors(stack, simulator)) as doors:
            yield doors


@pytest.fixture
def claude(enforcing: Doors) -> Iterator[Simulator]:
    yield enforcing.simulator
    enforcing.simulator.heal()


def client_of(doors: Doors, function: str, service: str) -> Any:
    """A client with the credentials that a function has."""
    name = doors.stack.deployment.names[function]
    role = doors.stack.client("lambda").get_function_configuration(FunctionName=name)["Role"]
    environ = doors.stack.emulator.environ_of_role(role)
    session = boto3.Session(
        environ["AWS_ACCESS_KEY_ID"], environ["AWS_SECRET_ACCESS_KEY"], environ["AWS_SESSION_TOKEN"], "us-east-1"
    )
    client: Any = session.client(service, endpoint_url=environ["AWS_ENDPOINT_URL"])  # type: ignore[call-overload]  # the stubs know a service by a literal name only
    return client


@pytest.mark.parametrize(
    ("function", "service", "call", "arguments"),
    [
        ("PollBatches", "s3", "list_objects_v2", {"Bucket": "outbox"}),
        ("StreamMessages", "s3", "get_object", {"Bucket": "inbox", "Key": "any"}),
        ("CollectShard", "s3", "put_object", {"Bucket": "inbox", "Key": "any", "Body": b""}),
        ("PlanJob", "s3", "put_object", {"Bucket": "outbox", "Key": "job/results.jsonl", "Body": b""}),
        ("ServeApi", "secretsmanager", "get_secret_value", {"SecretId": "claude"}),
        ("DeliverCallback", "secretsmanager", "get_secret_value", {"SecretId": "claude"}),
        ("FinishJob", "dynamodb", "delete_item", {"TableName": "table", "Key": {"pk": {"S": "a"}, "sk": {"S": "a"}}}),
        ("RunTask", "sqs", "send_message", {"QueueUrl": "submit", "MessageBody": "{}"}),
    ],
)
def test_a_function_is_refused_what_it_has_no_use_for(
    enforcing: Doors, function: str, service: str, call: str, arguments: dict[str, Any]
) -> None:
    facts, outputs = enforcing.stack.facts, enforcing.stack.deployment.outputs
    real = {
        "inbox": facts.inbox_bucket,
        "outbox": facts.outbox_bucket,
        "table": facts.table,
        "claude": outputs["ClaudeSecretId"],
        "submit": outputs["SubmitQueueUrl"],
    }
    named = {name: real.get(value, value) if isinstance(value, str) else value for name, value in arguments.items()}
    with pytest.raises(ClientError) as refused:
        getattr(client_of(enforcing, function, service), call)(**named)
    assert refused.value.response["Error"]["Code"].startswith("AccessDenied")


def test_a_function_may_do_what_it_has_to(enforcing: Doors) -> None:
    facts = enforcing.stack.facts
    client_of(enforcing, "FinishJob", "s3").put_object(Bucket=facts.outbox_bucket, Key="job/results.jsonl", Body=b"")
    assert client_of(enforcing, "StreamMessages", "dynamodb").get_item(
        TableName=facts.table, Key={"pk": {"S": "a"}, "sk": {"S": "a"}}
    )


def test_a_job_with_failures_of_all_kinds_comes_to_its_end(enforcing: Doors, claude: Simulator) -> None:
    claude.fail(Result(error_type="overloaded_error"), Match(custom_id="n3"), times=1)
    claude.fail(Result(error_type="invalid_request_error"), Match(custom_id="n4"))
    claude.fail(Lose(how="reset"), Match(operation="batches.create"), times=1)
    claude.fail(Refuse(status=429, headers={"retry-after": "1"}), Match(operation="batches.create"), skip=1, times=1)
    lines = [request_line(f"n{n}") for n in range(20)] + [b"{", request_line(None)]
    job_id = enforcing.drop("all/kinds.jsonl", jsonl(*lines)).job_id
    notice = enforcing.end_of(job_id)
    assert notice.event == "job.finished_with_errors"
    assert (notice.body["succeeded"], notice.body["errored"], notice.body["rejected"]) == (20, 1, 1)
    assert enforcing.summary(job_id)["totals"]["balanced"]


def test_a_table_with_settings_is_held_released_and_written(enforcing: Doors) -> None:
    enforcing.drop("sheets/sluice.yaml", b'prompt: "Sort {text}"\nlimits: {max_cost: 0.00001}\nmax_tokens: 500\n')
    job_id = enforcing.drop("sheets/one.csv", b"id,text\n1,good\n2,bad\n").job_id
    assert enforcing.hold_of(job_id).body["hold"]["kind"] == "cost"
    enforcing.drop(f"{job_id}.release", b"")
    assert enforcing.end_of(job_id).event == "job.finished"
    assert enforcing.outbox(job_id, "results.csv").removeprefix(b"\xef\xbb\xbf").startswith(b"id,text,answer,status")


def test_a_job_is_released_and_cancelled_through_the_api(enforcing: Doors, claude: Simulator) -> None:
    claude.fail(Refuse(status=401, error_type="authentication_error"), Match(operation="batches.create"))
    job_id = enforcing.drop("stop.jsonl", jsonl(request_line("one"), request_line("two"))).job_id
    enforcing.until_status(job_id, "held")
    assert enforcing.api.post(f"/v1/jobs/{job_id}/cancel").status_code == 202
    assert enforcing.end_of(job_id).event == "job.cancelled"
    assert enforcing.api.post("/v1/incidents/authentication_error/release").status_code == 200


def test_a_job_over_https_is_made_read_run_again_and_deleted(enforcing: Doors, claude: Simulator) -> None:
    api, body = enforcing.api, jsonl(*(request_line(f"h{n}", max_tokens=500) for n in range(5)))
    rule = claude.fail(Result(error_type="invalid_request_error"), Match(custom_id="h3"))
    with running_receiver() as receiver:
        wishes = {"size": len(body), "settings": {"limits": {"max_waves": 2}}, "callback_url": receiver.url}
        made = api.post("/v1/jobs", json={"filename": "https.jsonl", "folder": "web", **wishes}).json()
        assert httpx2.put(made["upload"]["url"], content=body, trust_env=False).status_code == 200
        job_id = made["id"]
        enforcing.until_status(job_id, "finished_with_errors")
        wait_until(lambda: receiver.calls, "the callback")
        claude.heal(rule)
        page = api.get(f"/v1/jobs/{job_id}/rows?status=errored").json()
        assert [row["id"] for row in page["data"]] == ["h3"]
        led = api.get(f"/v1/jobs/{job_id}/files/errors.jsonl").headers["location"]
        assert httpx2.get(led, trust_env=False).status_code == 200
        again = api.post(f"/v1/jobs/{job_id}/retry").json()["id"]
        enforcing.until_status(again, "finished")
    parts = api.post("/v1/jobs", json={"filename": "large.jsonl", "size": 200 << 20}).json()
    assert api.post(f"/v1/jobs/{parts['id']}/upload/complete").status_code == 409
    assert api.post(f"/v1/jobs/{parts['id']}/cancel").json()["status"] == "cancelled"
    for each in (job_id, again, parts["id"]):
        assert api.delete(f"/v1/jobs/{each}").status_code == 202
        enforcing.until_status(each, "deleted")


def test_tasks_that_claude_refuses_are_told_of_and_released(enforcing: Doors, claude: Simulator) -> None:
    rule = claude.fail(Refuse(status=402, message="no credit"), Match(operation="messages"))
    task = enforcing.api.post("/v1/tasks", json={"prompt": "x", "topic_attribute": "refused"}).json()
    told = enforcing.notice(lambda each: each.body.get("kind") == "billing_error", "the credit")
    assert (told.event, told.body["tasks"]) == ("incident.opened", [task["id"]])
    claude.heal(rule)
    # The mark comes after the last channel has taken the notice.
    wait_until(lambda: (enforcing.table.get(incident_key("billing_error")) or {}).get("notified_at"), "the mark")
    assert enforcing.api.post("/v1/incidents/billing_error/release").status_code == 200


def test_files_that_cannot_run_are_told_of(enforcing: Doors) -> None:
    assert enforcing.end_of(enforcing.drop("none.jsonl", b"").job_id).event == "job.failed"


def test_an_answer_streams_is_kept_and_counted(enforcing: Doors, claude: Simulator) -> None:
    keep = {"sluice-keep": "true"}
    answer = enforcing.streams.post("/v1/messages", headers=keep, json={**PARAMS, "stream": True})
    assert "event: message_stop" in answer.text
    stream = f"/v1/streams/{answer.headers['sluice-stream-id']}"
    wait_until(lambda: "event: message_stop" in enforcing.streams.get(stream).text, "the whole stream")
    assert enforcing.streams.delete(stream).status_code == 200
    claude.fail(Break(how="close", after_events=5), Match(operation="messages"))
    assert (
        '"error_code":"connection_cut"' in enforcing.streams.post("/v1/messages", json={**PARAMS, "stream": True}).text
    )
    logs = (Path(enforcing.stack.facts.log_dir) / "stream_messages").glob("*.log")
    assert "not accounted" not in "".join(log.read_text() for log in logs)


def test_a_large_task_is_answered_called_back_and_told_of(enforcing: Doors) -> None:
    with running_receiver() as receiver:
        question = {"role": "user", "content": "blue " * 20_000}
        body = {"params": {**PARAMS, "messages": [question]}, "callback_url": receiver.url}
        task = enforcing.api.post("/v1/tasks", json=body, headers={"idempotency-key": "one"}).json()
        wait_until(lambda: receiver.calls, "the callback")
        document = receiver.calls[0].verify(enforcing.stack.facts.webhook_secret)
    assert (document["type"], document["data"]["id"]) == ("task.succeeded", task["id"])
    told = enforcing.api.post("/v1/tasks", json={"prompt": "x", "topic_attribute": "mine"}).json()
    enforcing.notice(lambda each: each.body.get("task_id") == told["id"], "the task")
    assert enforcing.api.get("/v1/tasks?status=succeeded").json()["data"]


def test_nothing_was_denied_on_these_paths(enforcing: Doors) -> None:
    assert enforcing.dead_letters() == {}
    logs = Path(enforcing.stack.facts.log_dir).glob("**/*.log")
    denied = [line for log in logs for line in log.read_text(errors="replace").splitlines() if "AccessDenied" in line]
    assert denied == []
