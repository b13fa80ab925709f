from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from local import children
from local.children import ChildFailed
from local.template import ROOT

ENVIRON = {"PATH": os.environ["PATH"]}
SLEEP = [sys.executable, "-c", "import time; print('up', flush=True); time.sleep(600)"]
DEAF = [
    sys.executable,
    "-c",
    "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('up', flush=True); time.sleep(600)",
]
WITH_GRANDCHILD = [
    sys.executable,
    "-c",
    "import subprocess, sys, time; child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)']);"
    "print(child.pid, flush=True); time.sleep(600)",
]


def eventually(what: Callable[[], bool]) -> bool:
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        if what():
            return True
        time.sleep(0.02)
    return False


def is_alive(pid: int) -> bool:
    """Return whether a process runs; one that has ended but was not waited for does not."""
    status = Path(f"/proc/{pid}/status")
    try:
        return "State:\tZ" not in status.read_text()
    except OSError:
        return False


def test_a_child_gets_the_environment_it_is_given_and_nothing_else(tmp_path: Path) -> None:
    command = [sys.executable, "-c", "import os; print(sorted(set(os.environ) - {'LC_CTYPE'}))"]
    children.run("child", command, {"ONLY": "this"}, tmp_path, tmp_path)
    assert (tmp_path / "child.log").read_text() == "['ONLY']\n"


def test_a_child_that_fails_is_reported_with_the_end_of_its_log(tmp_path: Path) -> None:
    command = [sys.executable, "-c", "import sys; print('line 1\\n' * 50 + 'the reason'); sys.exit(3)"]
    with pytest.raises(ChildFailed, match=r"build ended with exit code 3(.|\n)*the reason") as failure:
        children.run("build", command, ENVIRON, tmp_path, tmp_path)
    assert len(str(failure.value).splitlines()) == children.TAIL_LINES + 1


def test_a_child_is_gone_when_its_block_is(tmp_path: Path) -> None:
    with children.running("child", SLEEP, ENVIRON, tmp_path, tmp_path) as child:
        assert child.is_running()
    assert not is_alive(child.process.pid)


def test_a_child_is_gone_when_its_block_fails(tmp_path: Path) -> None:
    with (
        pytest.raises(KeyboardInterrupt),
        children.running("child", SLEEP, ENVIRON, tmp_path, tmp_path) as child,
    ):
        raise KeyboardInterrupt
    assert not is_alive(child.process.pid)


def test_a_child_that_does_not_listen_is_ended_all_the_same(tmp_path: Path) -> None:
    with children.running("child", DEAF, ENVIRON, tmp_path, tmp_path, grace_seconds=0.1) as child:
        assert eventually(lambda: "up" in child.log.read_text())
    assert not is_alive(child.process.pid)


def test_what_a_child_started_ends_with_it(tmp_path: Path) -> None:
    with children.running("child", WITH_GRANDCHILD, ENVIRON, tmp_path, tmp_path) as child:
        assert eventually(lambda: child.log.read_text().endswith("\n"))
    grandchild = int(child.log.read_text())
    assert eventually(lambda: not is_alive(grandchild))


def test_a_child_ends_when_its_parent_is_killed(tmp_path: Path) -> None:
    script = (
        "import sys, time; from pathlib import Path; from local import children\n"
        f"child = children.start('child', {SLEEP!r}, {ENVIRON!r}, Path({str(tmp_path)!r}), Path({str(tmp_path)!r}))\n"
        "print(child.process.pid, flush=True); time.sleep(600)"
    )
    parent = subprocess.Popen([sys.executable, "-c", script], cwd=ROOT, stdout=subprocess.PIPE, text=True)
    assert parent.stdout is not None
    with parent.stdout as output:
        child = int(output.readline())
        assert eventually(lambda: "up" in (tmp_path / "child.log").read_text())
        parent.send_signal(signal.SIGKILL)
        parent.wait()
    assert eventually(lambda: not is_alive(child))


def test_the_port_that_a_child_writes_is_read(tmp_path: Path) -> None:
    port_file = tmp_path / "port"
    command = [sys.executable, "-c", f"open({str(port_file)!r}, 'w').write('4242'); import time; time.sleep(600)"]
    with children.running("server", command, ENVIRON, tmp_path, tmp_path) as child:
        assert children.wait_for_port(child, port_file) == 4242


def test_a_server_that_ends_before_it_listens_is_reported(tmp_path: Path) -> None:
    command = [sys.executable, "-c", "print('address in use')"]
    with (
        children.running("server", command, ENVIRON, tmp_path, tmp_path) as child,
        pytest.raises(ChildFailed, match=r"server ended before it listened(.|\n)*address in use"),
    ):
        children.wait_for_port(child, tmp_path / "port")


def test_a_server_that_never_listens_is_reported(tmp_path: Path) -> None:
    with (
        children.running("server", SLEEP, ENVIRON, tmp_path, tmp_path) as child,
        pytest.raises(ChildFailed, match=r"did not listen within 0\.1 s"),
    ):
        children.wait_for_port(child, tmp_path / "port", seconds=0.1)
