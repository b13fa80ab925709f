from __future__ import annotations

import os
import subprocess
import sys
import textwrap
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.integration.streaming_runtime.scripted_runtime_api import PATIENCE_SECONDS, ScriptedRuntimeApi

LAYER = Path(__file__).resolve().parents[3] / "layers" / "streaming_runtime"
BOOTSTRAP = "/var/runtime/bootstrap.py"

PREAMBLE = """
import os

class Response:
    def __init__(self, body, status=200, headers=None, cookies=()):
        self.status, self.headers, self.cookies, self.body = status, headers or {}, cookies, body

def wait_at_gate():
    with open(os.environ["GATE"], "rb") as gate:
        gate.read()
"""


@dataclass(frozen=True, slots=True)
class Gate:
    """A named pipe at which the function waits until the test opens it."""

    path: Path

    def open(self) -> None:
        self.path.write_bytes(b"")


@pytest.fixture
def api() -> Iterator[ScriptedRuntimeApi]:
    with ScriptedRuntimeApi() as running:
        yield running


@pytest.fixture
def gate(tmp_path: Path) -> Gate:
    path = tmp_path / "gate"
    os.mkfifo(path)
    return Gate(path)


Start = Callable[..., "subprocess.Popen[str]"]


@pytest.fixture
def start(api: ScriptedRuntimeApi, tmp_path: Path, gate: Gate) -> Iterator[Start]:
    """Starts a function, from the source of its module, the way that Lambda does."""
    processes: list[subprocess.Popen[str]] = []

    def start_function(
        source: str, *, handler: str = "front_door.handler", options: tuple[str, ...] = (), **environment: str
    ) -> subprocess.Popen[str]:
        (tmp_path / "front_door.py").write_text(PREAMBLE + textwrap.dedent(source))
        process = subprocess.Popen(
            [str(LAYER / "sluice-streaming"), sys.executable, *options, BOOTSTRAP],
            env={
                "PATH": os.environ["PATH"],
                "AWS_LAMBDA_RUNTIME_API": api.authority,
                "_HANDLER": handler,
                "LAMBDA_TASK_ROOT": str(tmp_path),
                "GATE": str(gate.path),
                **environment,
            },
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            cwd=tmp_path,
        )
        processes.append(process)
        return process

    yield start_function
    for process in processes:
        process.kill()
        process.communicate(timeout=PATIENCE_SECONDS)
