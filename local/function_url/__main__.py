"""The host as a command: `python -m local.function_url --task-root functions/stream_messages --layer …`."""

from __future__ import annotations

import argparse
import asyncio
import json
import signal
import sys
from pathlib import Path

from local.function_url.configuration import ConfigurationError, FunctionConfiguration
from local.function_url.host import FunctionUrl
from local.function_url.running import SOURCE_LAYERS


def parse_arguments(arguments: list[str]) -> argparse.Namespace:
    """The command line, whose help says what each word means."""
    parser = argparse.ArgumentParser(prog="python -m local.function_url", description=__doc__)
    add = parser.add_argument
    add("--task-root", type=Path, required=True, help="the directory of the function's code")
    add("--handler", default="handler.handler", help="module.function (default: %(default)s)")
    add("--layer", type=Path, action="append", dest="layers", help="a layer's directory, built or source; repeatable")
    add("--environment", type=Path, help="a JSON file with the function's environment, an object of strings")
    add("--name", default="function", help="the function's name (default: %(default)s)")
    add("--copies", type=int, default=10, help="how many requests run at a time, at most (default: %(default)s)")
    add("--warm", type=int, default=0, help="how many copies to start ahead (default: %(default)s)")
    add("--timeout", type=float, default=900.0, help="seconds that an invocation may take (default: %(default)s)")
    add("--memory", type=int, default=512, help="MB that the function is told it has (default: %(default)s)")
    add("--interpreter", default=sys.executable, help="the Python that runs the function (default: this one)")
    add("--stop-on-disconnect", action="store_true", help="let a client that goes away fail the function's writes")
    add("--host", default="127.0.0.1", help="the address to listen at (default: %(default)s)")
    add("--port", type=int, default=0, help="the port to listen at; 0 takes a free one (default: %(default)s)")
    add("--port-file", type=Path, help="a file to write the port to, once requests are taken")
    add("--log-dir", type=Path, default=Path(".local/logs"), help="for the logs of the copies (default: %(default)s)")
    return parser.parse_args(arguments)


def read_configuration(options: argparse.Namespace) -> FunctionConfiguration:
    """The function that the command line describes. Raises ConfigurationError for an unusable environment file."""
    return FunctionConfiguration(
        handler=options.handler,
        task_root=options.task_root.resolve(),
        layers=tuple(options.layers or SOURCE_LAYERS),
        log_dir=options.log_dir.resolve(),
        environment=_read_environment(options.environment) if options.environment else {},
        name=options.name,
        copies=options.copies,
        warm=options.warm,
        timeout_seconds=options.timeout,
        memory_mb=options.memory,
        interpreter=options.interpreter,
        stop_on_disconnect=options.stop_on_disconnect,
    )


def _read_environment(path: Path) -> dict[str, str]:
    try:
        environment = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise ConfigurationError(f"{path} cannot be read as JSON: {error}") from error
    if not isinstance(environment, dict) or not all(isinstance(value, str) for value in environment.values()):
        raise ConfigurationError(f"{path} must hold one JSON object whose values are strings")
    return environment


async def serve(options: argparse.Namespace) -> None:
    """Serves until SIGINT or SIGTERM."""
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    url = FunctionUrl(read_configuration(options))
    try:
        port = await url.open(options.host, options.port)
        print(f"http://{options.host}:{port}", flush=True)
        if options.port_file:
            options.port_file.write_text(str(port))
        await stop.wait()
    finally:
        await url.close()


def main() -> int:
    """Returns the status to exit with."""
    try:
        asyncio.run(serve(parse_arguments(sys.argv[1:])))
    except (ConfigurationError, OSError) as error:
        print(f"function URL: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
