"""The servers of ours that a stack consists of beside the emulator, each a process."""

import json
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from local import children
from local.children import Child
from local.deployment import Deployment
from local.emulator import Emulator
from local.template import ROOT, load_template

STREAM_COPIES = 50


@contextmanager
def running_simulator(port: int, scratch: Path, log_dir: Path, words: bool = False) -> Iterator[tuple[Child, int]]:
    """``words``: those of ``simulator.words`` steer its answers."""
    port_file = scratch / "simulator.port"
    command = [sys.executable, "-m", "simulator", "--port", str(port), "--port-file", str(port_file)]
    command += ["--words"] if words else []
    with children.running("simulator", command, python_environ(), log_dir, ROOT) as child:
        yield child, children.wait_for_port(child, port_file)


@contextmanager
def running_stream_host(
    port: int, build: Path, emulator: Emulator, deployment: Deployment, run_dir: Path, has_role: bool = False
) -> Iterator[tuple[Child, int]]:
    """Run the streaming function as it is deployed: with its environment, built code and built layers.

    ``has_role`` gives it the credentials of its role, which matter where the emulator enforces policies.
    """
    name = deployment.names["StreamMessages"]
    function = emulator.client("lambda").get_function_configuration(FunctionName=name)
    environment_file, port_file = run_dir / "scratch/stream_environment.json", run_dir / "scratch/stream.port"
    environ = emulator.environ_of_role(function["Role"]) if has_role else emulator.environ
    environment_file.write_text(json.dumps({**function["Environment"]["Variables"], **environ}))
    command = [sys.executable, "-m", "local.function_url", "--task-root", str(build / "StreamMessages")]
    for layer in reversed(load_template().layers("StreamMessages")):
        command += ["--layer", str(build / layer)]
    command += ["--environment", str(environment_file), "--handler", function["Handler"], "--name", name]
    command += ["--timeout", str(function["Timeout"]), "--memory", str(function["MemorySize"])]
    command += ["--copies", str(STREAM_COPIES), "--warm", "1", "--log-dir", str(run_dir / "stream_messages")]
    command += ["--port", str(port), "--port-file", str(port_file)]
    with children.running("function_url", command, python_environ(), run_dir, ROOT) as child:
        yield child, children.wait_for_port(child, port_file)


def python_environ() -> dict[str, str]:
    """Our own environment without any credentials of AWS, and with the library on Python's path."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
    paths = [ROOT, ROOT / "layers/sluice", ROOT / "layers/streaming_runtime"]
    return {**inherited, "PYTHONPATH": os.pathsep.join(map(str, paths)), "PYTHONUNBUFFERED": "1"}
