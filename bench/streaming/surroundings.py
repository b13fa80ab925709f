"""What stands around the measurements of streaming: simulator, AWS, the built function, and the other ways."""

from __future__ import annotations

import compileall
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from py_compile import PycInvalidationMode
from typing import Any

import boto3

from bench.streaming.fleet import INHERITED, INTERPRETER, Fleet, resident_mb
from simulator.client import API_KEY, Reply, Simulator, running_simulator

ROOT = Path(__file__).resolve().parents[2]
# One call after the other: with several at a time, moto loses updates of an item, which DynamoDB does not.
_AWS = """
import sys
from moto.server import DomainDispatcherApplication, create_backend_app
from werkzeug.serving import run_simple
run_simple("127.0.0.1", int(sys.argv[1]), DomainDispatcherApplication(create_backend_app), threaded=False)
"""


@dataclass(frozen=True)
class Target:
    """What was promised, and whether it holds."""

    promise: str
    measured: str
    met: bool


class Bench:
    """Everything that runs beside what is measured: simulator, AWS, the built function."""

    def __init__(self, stack: ExitStack, quick: bool) -> None:
        self.quick = quick
        self.scratch = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="bench-")))
        self.simulator: Simulator = stack.enter_context(running_simulator())
        self.aws = stack.enter_context(running_aws())
        self.layer = _build_layer(self.scratch / "opt")
        self.function = _build_function(self.scratch / "task")
        self.targets: list[Target] = []

    def environment(self, **settings: str) -> dict[str, str]:
        """Return the environment of a copy of the function."""
        return {
            **INHERITED,
            "AWS_ENDPOINT_URL": self.aws,
            "AWS_ACCESS_KEY_ID": "test",
            "AWS_SECRET_ACCESS_KEY": "test",
            "AWS_REGION": "us-east-1",
            "PYTHONPATH": str(self.layer / "python"),
            "PYTHONDONTWRITEBYTECODE": "1",
            "LAMBDA_TASK_ROOT": str(self.function),
            "_HANDLER": "handler.handler",
            "SLUICE_TABLE": "bench",
            "SLUICE_CLAUDE_SECRET": "bench",
            "SLUICE_CLAUDE_BASE_URL": self.simulator.base_url,
            **settings,
        }

    @property
    def simulator_port(self) -> int:
        """Where Claude is."""
        return int(self.simulator.base_url.rpartition(":")[2])

    def answer(self, reply: Reply) -> None:
        """Let Claude answer like this, and no other way."""
        self.simulator.forget_answers()
        self.simulator.answer(reply)

    def start_copy(self, fleet: Fleet, **settings: str) -> float:
        """Start a copy of the function; return the seconds until it was ready."""
        command = [str(self.layer / "sluice-streaming"), INTERPRETER, "/var/runtime/bootstrap.py"]
        return fleet.add(command, self.environment(**settings), self.function)

    def meet(self, promise: str, measured: str, *, met: bool) -> None:
        """Note whether a promise holds."""
        self.targets.append(Target(promise, measured, met))


@contextmanager
def running_fastapi(bench: Bench) -> Iterator[tuple[int, int]]:
    """FastAPI on uvicorn, in a process of its own: its port and its pid."""
    port = _free_port()
    command = [
        INTERPRETER,
        "-m",
        "uvicorn",
        "bench.streaming.fastapi_app:app",
        "--port",
        str(port),
        "--log-level",
        "warning",
    ]
    environment = {**INHERITED, "CLAUDE_BASE_URL": bench.simulator.base_url}
    with subprocess.Popen([*command, "--no-access-log"], cwd=ROOT, env=environment) as process:
        try:
            _wait_for_port(port)
            yield port, process.pid
        finally:
            process.terminate()


@contextmanager
def running_aws() -> Iterator[str]:
    """A table and a secret, in a process of their own."""
    port = _free_port()
    command = [INTERPRETER, "-c", _AWS, str(port)]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        try:
            _wait_for_port(port)
            endpoint = f"http://127.0.0.1:{port}"
            own: Any = {"endpoint_url": endpoint, "aws_access_key_id": "test", "aws_secret_access_key": "test"}
            boto3.client("secretsmanager", "us-east-1", **own).create_secret(Name="bench", SecretString=API_KEY)
            boto3.client("dynamodb", "us-east-1", **own).create_table(
                TableName="bench",
                BillingMode="PAY_PER_REQUEST",
                AttributeDefinitions=[{"AttributeName": name, "AttributeType": "S"} for name in ("pk", "sk")],
                KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}, {"AttributeName": "sk", "KeyType": "RANGE"}],
            )
            yield endpoint
        finally:
            process.terminate()


def _build_layer(folder: Path) -> Path:
    """Lay out /opt as the template's layers do, with byte code."""
    python = folder / "python"
    ignore = shutil.ignore_patterns("__pycache__")
    shutil.copytree(ROOT / "layers" / "sluice" / "sluice", python / "sluice", ignore=ignore)
    runtime = ROOT / "layers" / "streaming_runtime"
    shutil.copytree(runtime / "streaming_runtime", python / "streaming_runtime", ignore=ignore)
    shutil.copy2(runtime / "sluice-streaming", folder / "sluice-streaming")
    _compile(folder)
    return folder


def _build_function(folder: Path) -> Path:
    shutil.copytree(ROOT / "functions" / "stream_messages", folder, ignore=shutil.ignore_patterns("__pycache__"))
    _compile(folder)
    return folder


def _compile(folder: Path) -> None:
    compileall.compile_dir(folder, quiet=1, invalidation_mode=PycInvalidationMode.UNCHECKED_HASH)


def copy_ordinary(folder: Path) -> Path:
    """Copy what the ordinary function imports as installers leave it: without byte code."""
    script = "import sys, bench.streaming.ordinary; print(*{name.partition('.')[0] for name in sys.modules}, sep='\\n')"
    done = subprocess.run([INTERPRETER, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True)
    packages = Path(boto3.__file__).parents[1]
    folder.mkdir()
    for name in done.stdout.split():
        for source in (packages / name, packages / f"{name}.py", *packages.glob(f"{name}.*.so")):
            if source.is_dir():
                shutil.copytree(source, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
            elif source.is_file():
                shutil.copy2(source, folder)
    for metadata in packages.glob("*.dist-info"):
        shutil.copytree(metadata, folder / metadata.name)
    shutil.copy2(ROOT / "bench" / "streaming" / "ordinary.py", folder)
    return folder


def start_ordinary(folder: Path) -> tuple[float, float]:
    """Return the seconds until the ordinary function has imported all, and its memory in MB."""
    script = f"import sys; sys.path.insert(0, {str(folder)!r}); import ordinary; print('ready'); input()"
    environment = {**INHERITED, "PYTHONDONTWRITEBYTECODE": "1", "AWS_ACCESS_KEY_ID": "t", "AWS_SECRET_ACCESS_KEY": "t"}
    begun = time.monotonic()
    with subprocess.Popen(
        [INTERPRETER, "-u", "-S", "-c", script], env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        assert process.stdin is not None
        if process.stdout.readline() != b"ready\n":
            raise RuntimeError("the ordinary function did not start")
        seconds = time.monotonic() - begun
        memory = resident_mb(process.pid)[1]
        process.stdin.write(b"\n")
    return seconds, memory


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _wait_for_port(port: int, seconds: float = 60) -> None:
    give_up_at = time.monotonic() + seconds
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
        except OSError:
            if time.monotonic() > give_up_at:
                raise
            time.sleep(0.05)
        else:
            return
