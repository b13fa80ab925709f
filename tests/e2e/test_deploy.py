"""The template deploys, the built layers hold all that the functions import, and a stack leaves nothing behind."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

import pytest

from local.build import BUILDS, built, target_of_this_machine
from local.facts import read_facts
from local.servers import python_environ
from local.stack import Stack
from local.template import ROOT, load_template
from tests.e2e.conftest import STATE_DIR

FUNCTIONS = list(load_template().functions)
# Lambda: Quotas. Unpacked, a function with all of its layers.
UNPACKED_BYTES = 250 * 1024 * 1024
# What an import may find in its environment, as on Lambda; the values are of no matter.
LAMBDA = {"AWS_DEFAULT_REGION": "us-east-1", "AWS_ACCESS_KEY_ID": "x", "AWS_SECRET_ACCESS_KEY": "x"}


@pytest.fixture(scope="module")
def build(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    with built(target_of_this_machine(), BUILDS, tmp_path_factory.mktemp("logs")) as directory:
        yield directory


def layers_of(build: Path, function: str) -> list[Path]:
    return [build / layer for layer in load_template().layers(function)]


def default_of(value: object) -> str:
    """What a variable of a function holds when nobody chose anything; anything for what AWS gives a name to."""
    parameter = load_template().parameters.get(value["Ref"]) if isinstance(value, dict) and "Ref" in value else None
    return str(parameter["Default"]) if parameter else "x"


@pytest.mark.parametrize("function", FUNCTIONS)
def test_a_handler_is_imported_with_the_built_layers_alone(build: Path, function: str) -> None:
    paths = [str(build / function), *(str(layer / "python") for layer in layers_of(build, function))]
    code = f"import sys; sys.path[:0] = {paths!r}; import handler; print(callable(handler.handler))"
    environ = {name: default_of(value) for name, value in load_template().environment(function).items()} | LAMBDA
    # -I and -S: neither this environment's packages nor its variables.
    imported = subprocess.run(
        [sys.executable, "-I", "-S", "-c", code], env=environ, capture_output=True, text=True, check=False
    )
    assert imported.stdout.splitlines()[-1:] == ["True"], imported.stderr


@pytest.mark.parametrize("function", FUNCTIONS)
def test_a_function_with_its_layers_is_within_the_limit_of_lambda(build: Path, function: str) -> None:
    folders = [build / function, *layers_of(build, function)]
    assert sum(path.stat().st_size for folder in folders for path in folder.rglob("*")) < UNPACKED_BYTES


def test_every_module_of_a_layer_has_byte_code_that_no_time_stamp_makes_stale(build: Path) -> None:
    sources = list(build.glob("*Layer/python/**/*.py"))
    assert sources
    for source in sources:
        [compiled] = source.parent.glob(f"__pycache__/{source.stem}.{sys.implementation.cache_tag}.pyc")
        # PEP 552: the flags are 1 for byte code that is taken by its name alone.
        assert compiled.read_bytes()[4:8] == (1).to_bytes(4, "little")


def test_the_packages_of_a_layer_keep_their_licences(build: Path) -> None:
    for layer in ("DependenciesLayer", "SdkLayer"):
        assert list((build / layer / "python").glob("*.dist-info/METADATA"))


def test_the_facts_say_how_every_door_is_reached(stack: Stack) -> None:
    facts = json.loads((STATE_DIR / "stack.json").read_text())
    assert facts == asdict(stack.facts)
    assert [name for name, value in facts.items() if not value] == []


def test_the_notifications_of_the_topic_can_be_read(stack: Stack) -> None:
    stack.client("sns").publish(TopicArn=stack.facts.completion_topic_arn, Subject="S", Message="hello")
    queue = stack.facts.notifications_queue_url
    [message] = stack.client("sqs").receive_message(QueueUrl=queue, WaitTimeSeconds=10)["Messages"]
    stack.client("sqs").delete_message(QueueUrl=queue, ReceiptHandle=message["ReceiptHandle"])
    assert json.loads(message["Body"])["Message"] == "hello"


def test_a_drop_in_the_inbox_reaches_the_queue_of_the_planner(stack: Stack) -> None:
    configuration = stack.client("s3").get_bucket_notification_configuration(Bucket=stack.facts.inbox_bucket)
    [queue] = configuration["QueueConfigurations"]
    assert queue["QueueArn"].rsplit(":", 1)[1] in stack.deployment.outputs["PlanQueueUrl"]


def test_the_made_webhook_secret_is_the_base64_of_24_bytes(stack: Stack) -> None:
    assert re.fullmatch(r"whsec_[A-Za-z0-9]{32}", stack.facts.webhook_secret)


def test_the_poller_is_fired_and_does_not_fail(stack: Stack) -> None:
    log_group = "/aws/lambda/sluice/poll_batches"
    logs, deadline = stack.client("logs"), time.monotonic() + 60
    while time.monotonic() < deadline and not logs.describe_log_streams(logGroupName=log_group)["logStreams"]:
        time.sleep(0.5)
    assert logs.describe_log_streams(logGroupName=log_group)["logStreams"]
    assert (Path(stack.facts.log_dir) / "schedule_PollBatches.log").read_text() == ""


@pytest.fixture
def foreground(tmp_path: Path, stack: Stack) -> Iterator[tuple[subprocess.Popen[bytes], Path]]:
    """`python -m local` beside the running stack, with state of its own; it is up."""
    environ = {
        **python_environ(),
        "SLUICE_STATE_DIR": str(tmp_path),
        "SLUICE_CLAUDE_BASE_URL": stack.facts.claude_base_url,
        "SLUICE_PARAM_AuthMode": "iam",
    }
    with (tmp_path / "output").open("wb") as output:
        process = subprocess.Popen([sys.executable, "-m", "local"], cwd=ROOT, env=environ, stdout=output, stderr=output)
    try:
        while process.poll() is None and not (tmp_path / "stack.json").exists():
            time.sleep(0.1)
        yield process, tmp_path
    finally:
        process.kill()
        process.wait()


def processes_that_mention(text: str) -> list[str]:
    """Command lines and environments of the processes that have this text in them, but for our own."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            mentioned = (folder / "cmdline").read_bytes() + (folder / "environ").read_bytes()
        except OSError:
            continue
        if text.encode() in mentioned and int(folder.name) != os.getpid():
            found.append(mentioned.replace(b"\0", b" ").decode(errors="replace"))
    return found


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_a_second_stack_runs_beside_the_first_and_leaves_no_process(
    foreground: tuple[subprocess.Popen[bytes], Path], stack: Stack, number: signal.Signals
) -> None:
    process, state_dir = foreground
    assert process.poll() is None, (state_dir / "output").read_text()
    facts = read_facts(state_dir / "stack.json")
    assert facts.aws_endpoint_url != stack.facts.aws_endpoint_url
    # Given a server to call, it starts no simulator; signed doors need no key.
    assert facts.claude_base_url == stack.facts.claude_base_url
    assert not (Path(facts.log_dir) / "simulator.log").exists()
    assert facts.client_key is None
    process.send_signal(number)
    process.wait()
    if number == signal.SIGKILL:
        # What it started notices by itself.
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline and processes_that_mention(str(state_dir)):
            time.sleep(0.1)
    else:
        assert process.returncode == 0
        assert not (state_dir / "stack.json").exists()
    assert processes_that_mention(str(state_dir)) == []


def test_a_start_that_fails_half_way_says_why_and_leaves_no_process(tmp_path: Path) -> None:
    # The emulator and the simulator run by the time that the parameters are looked at.
    environ = {**python_environ(), "SLUICE_STATE_DIR": str(tmp_path), "SLUICE_PARAM_AuthMode": "nonsense"}
    failed = subprocess.run(
        [sys.executable, "-m", "local"], cwd=ROOT, env=environ, capture_output=True, text=True, check=False
    )
    assert failed.returncode == 1
    assert "Parameter 'AuthMode' value 'nonsense' is not in AllowedValues" in failed.stderr
    assert not (tmp_path / "stack.json").exists()
    assert processes_that_mention(str(tmp_path)) == []
