"""What Lambda would be told about the function."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

OPT = "/opt/"
DEFAULT_EXEC_WRAPPER = "/opt/sluice-streaming"
BOOTSTRAP = "/var/runtime/bootstrap.py"
INHERITED = ("PATH", "LANG", "LC_ALL", "HOME", "TMPDIR")


class ConfigurationError(Exception):
    """The function cannot be run as it is configured."""


@dataclass(frozen=True, slots=True)
class FunctionConfiguration:
    """One function. `layers` are directories that Lambda would merge into /opt, later ones over earlier ones.

    `layers` may be built (with `python/` inside) or a layer's sources. `copies` is the concurrency that is reserved for
    the function, `warm` how many copies are started ahead. With `stop_on_disconnect` a client that goes away closes
    the function's response, which Lambda does not do.
    """

    handler: str
    task_root: Path
    layers: tuple[Path, ...]
    log_dir: Path
    environment: Mapping[str, str] = field(default_factory=dict)
    name: str = "function"
    copies: int = 10
    warm: int = 0
    timeout_seconds: float = 900.0
    memory_mb: int = 512
    interpreter: str = sys.executable
    stop_on_disconnect: bool = False

    @property
    def arn(self) -> str:
        """The function's name in Lambda's own form; the account is made up."""
        return f"arn:aws:lambda:{self.region}:000000000000:function:{self.name}"

    @property
    def region(self) -> str:
        """The function's region, from its environment."""
        return self.environment.get("AWS_REGION") or self.environment.get("AWS_DEFAULT_REGION") or "us-east-1"

    def command(self) -> list[str]:
        """The command line of a copy: the exec wrapper, and what Lambda hands to it."""
        wrapper = self.environment.get("AWS_LAMBDA_EXEC_WRAPPER", DEFAULT_EXEC_WRAPPER)
        return [str(self._find_wrapper(wrapper)), self.interpreter, BOOTSTRAP]

    def copy_environment(self, runtime_api: str, log_stream: str) -> dict[str, str]:
        """The environment of a copy that is to call the Runtime API at `runtime_api` (`host:port`)."""
        inherited = {name: os.environ[name] for name in INHERITED if name in os.environ}
        reserved = {
            "AWS_LAMBDA_RUNTIME_API": runtime_api,
            "AWS_LAMBDA_FUNCTION_NAME": self.name,
            "AWS_LAMBDA_FUNCTION_VERSION": "$LATEST",
            "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": str(self.memory_mb),
            "AWS_LAMBDA_INITIALIZATION_TYPE": "on-demand",
            "AWS_LAMBDA_LOG_GROUP_NAME": f"/aws/lambda/{self.name}",
            "AWS_LAMBDA_LOG_STREAM_NAME": log_stream,
            "AWS_REGION": self.region,
            "AWS_DEFAULT_REGION": self.region,
            "LAMBDA_TASK_ROOT": str(self.task_root),
            "PYTHONPATH": os.pathsep.join(self._python_path()),
            "TZ": ":UTC",
            "_HANDLER": self.handler,
        }
        return inherited | dict(self.environment) | reserved

    def _python_path(self) -> list[str]:
        """The layers' packages; those of later layers are found first, as later layers overwrite earlier ones."""
        folders = [layer / "python" if (layer / "python").is_dir() else layer for layer in reversed(self.layers)]
        return [str(folder.resolve()) for folder in folders]

    def _find_wrapper(self, wrapper: str) -> Path:
        if not wrapper.startswith(OPT):
            return Path(wrapper)
        for layer in reversed(self.layers):
            path = layer.resolve() / wrapper.removeprefix(OPT)
            if path.is_file():
                return path
        raise ConfigurationError(f"no layer has {wrapper}: add the streaming runtime layer's directory to the layers")
