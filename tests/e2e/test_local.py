"""`make local` as a user runs it: what it takes from the environment, what it prints, what it says when it cannot."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import boto3
import httpx2
import pytest

from local.facts import StackFacts, read_facts
from local.servers import python_environ
from local.template import ROOT
from tests.e2e.doors import wait_until
from tests.world.ports import ports_in_a_row


def start(state_dir: Path, output: Path, **environ: str) -> subprocess.Popen[bytes]:
    inherited = {name: value for name, value in python_environ().items() if not name.startswith(("MAKE", "MFLAGS"))}
    with output.open("wb") as file:
        return subprocess.Popen(
            ["make", "local"],
            cwd=ROOT,
            env={**inherited, "SLUICE_STATE_DIR": str(state_dir), **environ},
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=subprocess.STDOUT,
        )


@dataclass(frozen=True)
class Local:
    """A `make local` that is up."""

    process: subprocess.Popen[bytes]
    base: int
    facts: StackFacts
    output: Path
    children: tuple[int, ...]


def children_of(pid: int) -> tuple[int, ...]:
    """The processes below a process, at any depth."""
    found = [int(each) for task in Path(f"/proc/{pid}/task").glob("*/children") for each in task.read_text().split()]
    return (*found, *(below for child in found for below in children_of(child)))


def is_running(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Local]:
    folder = tmp_path_factory.mktemp("local")
    base, output = ports_in_a_row(3), folder / "output"
    environ = {"SLUICE_PORT_BASE": str(base), "SLUICE_PARAM_DefaultModel": "claude-sonnet-5-5"}
    process = start(folder / "state", output, **environ)
    try:
        facts = folder / "state/stack.json"
        wait_until(lambda: facts.exists() or process.poll() is not None, "the stack to be up", 110)
        assert process.poll() is None, output.read_text()
        wait_until(lambda: "Logs: " in output.read_text(), "the guide")
        yield Local(process, base, read_facts(facts), output, children_of(process.pid))
    finally:
        process.terminate()
        process.wait(30)


@pytest.mark.timeout(180)
def test_the_ports_are_those_that_were_asked_for(running: Local) -> None:
    facts = running.facts
    urls = (facts.aws_endpoint_url, facts.claude_base_url, facts.stream_url)
    assert [urlsplit(url).port for url in urls] == [running.base, running.base + 1, running.base + 2]
    assert facts.api_url.startswith(facts.aws_endpoint_url)


def test_a_parameter_of_the_template_reaches_the_functions(running: Local) -> None:
    headers = {"x-api-key": running.facts.client_key or ""}
    with httpx2.Client(headers=headers, timeout=60, trust_env=False) as client:
        task = client.post(f"{running.facts.api_url}/v1/tasks", json={"prompt": "Which model?"}).json()
        answer = wait_until(lambda: _answer(client, task["status_url"]), "the answer")
    assert answer["model"] == "claude-sonnet-5-5"


def _answer(client: httpx2.Client, url: str) -> dict[str, object] | None:
    message: dict[str, object] | None = client.get(url).json().get("message")
    return message


def test_the_calls_that_it_prints_work_as_they_are_printed(running: Local, tmp_path: Path) -> None:
    guide = running.output.read_text()
    exports = "\n".join(re.findall(r"^  (export .+)$", guide, re.MULTILINE))
    stream, make_task, list_tasks = re.findall(r"^  (curl .+?(?:\\\n.+)?)$", guide, re.MULTILINE)
    make_file = re.search(r"^  (echo .+)$", guide, re.MULTILINE)
    drop = re.search(r"Without the AWS CLI: (curl -T [^;]+); (curl \S+)", guide)
    assert make_file
    assert drop
    assert "sky" in shell(f"{exports}\n{stream}", tmp_path)
    assert '"status": "queued"' in shell(f"{exports}\n{make_task}", tmp_path)
    assert '"data": [{' in shell(f"{exports}\n{list_tasks}", tmp_path)
    shell(f"{make_file[1]}\n{drop[1]}", tmp_path)
    wait_until(lambda: "/results.jsonl" in shell(drop[2], tmp_path), "the results in the outbox")


def shell(script: str, folder: Path) -> str:
    environ = {"PATH": os.environ["PATH"], "no_proxy": "127.0.0.1"}
    done = subprocess.run(
        ["bash", "-e", "-c", script], cwd=folder, env=environ, capture_output=True, text=True, check=False, timeout=60
    )
    assert done.returncode == 0, f"{script}\n{done.stderr}"
    return done.stdout


def test_the_guide_says_what_claude_is_and_where_to_look(running: Local) -> None:
    guide = running.output.read_text()
    assert f"Claude is a simulator at {running.facts.claude_base_url}" in guide
    assert f"Logs: {running.facts.log_dir}" in guide
    assert "Traceback" not in guide


def test_its_client_can_be_any_that_speaks_to_aws(running: Local) -> None:
    sqs = boto3.client("sqs", endpoint_url=running.facts.aws_endpoint_url, region_name=running.facts.region)
    assert "Attributes" in sqs.get_queue_attributes(QueueUrl=running.facts.notifications_queue_url)


def test_a_second_start_on_the_same_ports_says_which_are_taken(running: Local, tmp_path: Path) -> None:
    environ = {**python_environ(), "SLUICE_STATE_DIR": str(tmp_path), "SLUICE_PORT_BASE": str(running.base)}
    failed = subprocess.run(
        [sys.executable, "-m", "local"], cwd=ROOT, env=environ, capture_output=True, text=True, check=False, timeout=90
    )
    assert failed.returncode == 1
    assert f"port {running.base} of 127.0.0.1 is taken" in failed.stderr
    assert "SLUICE_PORT_BASE" in failed.stderr
    assert "Traceback" not in failed.stdout + failed.stderr
    assert not (tmp_path / "stack.json").exists()


@pytest.mark.parametrize(
    ("name", "value", "says"),
    [
        ("SLUICE_PARAM_MaxWave", "3", "SLUICE_PARAM_MaxWave: template.yaml has no such parameter; it has "),
        ("SLUICE_PORT_BASE", "eighty", 'SLUICE_PORT_BASE is "eighty"; it must be a port from 1024 to 65533'),
        ("SLUICE_PORT_BASE", "80", 'SLUICE_PORT_BASE is "80"'),
        ("SLUICE_CLAUDE_BASE_URL", "localhost:9000", 'SLUICE_CLAUDE_BASE_URL is "localhost:9000"'),
        ("SLUICE_CLAUDE_BASE_URL", "http://127.0.0.1:9/v1", 'SLUICE_CLAUDE_BASE_URL is "http://127.0.0.1:9/v1"'),
    ],
)
def test_what_cannot_be_used_is_refused_before_anything_starts(
    tmp_path: Path, name: str, value: str, says: str
) -> None:
    environ = {**python_environ(), "SLUICE_STATE_DIR": str(tmp_path), name: value}
    failed = subprocess.run(
        [sys.executable, "-m", "local"], cwd=ROOT, env=environ, capture_output=True, text=True, check=False, timeout=60
    )
    assert failed.returncode == 1
    assert failed.stderr.startswith(f"make local: {says}")
    assert failed.stderr.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


def test_told_to_stop_it_takes_all_that_it_started_with_it(running: Local) -> None:
    facts = running.output.parent / "state/stack.json"
    assert len(running.children) >= 4
    running.process.send_signal(signal.SIGTERM)
    # make passes the signal on, waits for what it started, and dies of it as well.
    assert running.process.wait(30) == -signal.SIGTERM
    assert [pid for pid in running.children if is_running(pid)] == []
    assert not facts.exists()
    assert running.output.read_text().endswith("Stopping …\nStopped.\n")
