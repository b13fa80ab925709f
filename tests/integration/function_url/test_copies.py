"""Copies of the function: how many there are, and how each of them ends."""

from __future__ import annotations

import http.client
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from local.function_url import ConfigurationError, running_function_url
from tests.integration.function_url.conftest import PATIENCE_SECONDS, Function, Run

ROOT = Path(__file__).resolve().parents[3]


def is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def test_concurrent_requests_run_in_copies_of_their_own(run: Run) -> None:
    with run(copies=3) as function, ExitStack() as streams:
        gates = ("go-1", "go-2", "go-3")
        responses = [streams.enter_context(function.stream(f"/gated?{gate}")) for gate in gates]
        pids = {response.read1() for response in responses}
        assert len(pids) == 3
        throttled = function.request("/head")
        assert throttled.status == 429
        assert json.loads(throttled.body)["Reason"] == "ReservedFunctionConcurrentInvocationLimitExceeded"
        for gate in gates:
            function.open_gate(gate)
        assert [response.read() for response in responses] == [b" done"] * 3


def test_requests_behind_each_other_share_one_copy(run: Run) -> None:
    with run(copies=1) as function:
        assert len({function.json("/pid") for _ in range(20)}) == 1


def test_warm_copies_are_there_before_the_first_request(run: Run) -> None:
    with run(copies=4, warm=2) as function:
        assert len(function.logs()) == 2
        function.request("/head")
        assert len(function.logs()) == 2


def test_a_copy_that_crashed_is_replaced(run: Run) -> None:
    with run(copies=1) as function:
        before = function.json("/pid")
        assert function.request("/exit").status == 502
        assert function.json("/pid") != before


def test_a_function_that_cannot_start_is_a_bad_gateway_each_time(run: Run) -> None:
    with run("import absent_package", copies=2) as function:
        assert [function.request("/").status for _ in range(2)] == [502, 502]
        assert all("Runtime.ImportModuleError" in log for log in function.logs())


def test_a_copy_that_outlives_its_deadline_is_killed(run: Run) -> None:
    with run(copies=1, timeout_seconds=1) as function:
        with pytest.raises(http.client.IncompleteRead) as cut:
            function.request("/deaf")
        assert "Task timed out after 1.00 seconds" in function.logs()[0]
        assert function.request("/head").status == 203
        assert not is_alive(int(cut.value.partial))


def test_a_client_that_goes_away_does_not_stop_the_function(function: Function) -> None:
    with function.stream("/watched") as response:
        assert response.read1() == b"first"
    function.open_gate()
    assert function.hear() == "2000"


def test_a_client_that_goes_away_can_be_made_to_stop_the_function(run: Run) -> None:
    with run(stop_on_disconnect=True) as function:
        with function.stream("/endless") as response:
            assert response.read(1) == b"x"
        assert function.hear() == "closed"
        assert function.request("/head").status == 203


def test_no_copy_is_left_when_the_host_stops(run: Run) -> None:
    with run(copies=3) as function, ExitStack() as streams:
        idle = int(function.json("/pid"))
        running = int(streams.enter_context(function.stream("/gated")).read1())
        deaf = streams.enter_context(function.stream("/deaf"))
        pids = [idle, running, int(deaf.read1())]
        assert all(map(is_alive, pids))
    assert not any(map(is_alive, pids))


def test_a_layer_without_the_wrapper_is_a_configuration_error(folder: Path) -> None:
    running = running_function_url(task_root=folder, layers=[folder])
    with pytest.raises(ConfigurationError, match="add the streaming runtime layer"):
        running.__enter__()


@contextmanager
def command(*arguments: str) -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen(
        [sys.executable, "-m", "local.function_url", *arguments],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate(timeout=PATIENCE_SECONDS)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_command_serves_until_it_is_told_to_stop(folder: Path, number: signal.Signals) -> None:
    (folder / "environment.json").write_text(json.dumps({"GATES": str(folder)}))
    options = {"task-root": folder, "environment": folder / "environment.json", "log-dir": folder / "logs"}
    words = [word for name, value in options.items() for word in (f"--{name}", str(value))]
    with command(*words, "--port-file", str(folder / "port"), "--copies", "1", "--warm", "1") as process:
        assert process.stdout is not None
        url = process.stdout.readline().strip()
        function = Function(url, folder)
        pid = int(function.json("/pid"))
        assert url.endswith(":" + (folder / "port").read_text())
        process.send_signal(number)
        assert process.wait(PATIENCE_SECONDS) == 0
        assert process.stderr is not None
        assert process.stderr.read() == ""
    assert not is_alive(pid)


@pytest.mark.parametrize(("text", "message"), [("{", "cannot be read as JSON"), ('{"A": 1}', "values are strings")])
def test_an_unusable_environment_file_is_told_of(folder: Path, text: str, message: str) -> None:
    (folder / "environment.json").write_text(text)
    with command("--task-root", str(folder), "--environment", str(folder / "environment.json")) as process:
        assert process.wait(PATIENCE_SECONDS) == 1
        assert process.stderr is not None
        assert message in process.stderr.read()
