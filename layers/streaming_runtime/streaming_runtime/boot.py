"""From a fresh interpreter to the first invocation."""

from __future__ import annotations

import sys

from streaming_runtime.failures import Failure
from streaming_runtime.handlers import import_path, load_handler
from streaming_runtime.interruptions import Interruptions
from streaming_runtime.log import log_failure
from streaming_runtime.loop import Loop
from streaming_runtime.runtime_api import RuntimeApi

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import MutableMapping
    from typing import TextIO

    from streaming_runtime.handlers import Handler


def run(environ: MutableMapping[str, str]) -> int:
    """Loads the handler that `environ` names, serves until SIGTERM, and returns the status to exit with.

    Variables: AWS_LAMBDA_RUNTIME_API, _HANDLER, LAMBDA_TASK_ROOT, AWS_LAMBDA_INITIALIZATION_TYPE.
    """
    _flush_by_line(sys.stdout)
    sys.path[:] = import_path(environ, sys.path)
    api = RuntimeApi(environ["AWS_LAMBDA_RUNTIME_API"])
    handler = _load(api, environ["_HANDLER"])
    if handler is None:
        return 1
    interruptions = Interruptions()
    interruptions.install()
    if environ.get("AWS_LAMBDA_INITIALIZATION_TYPE") == "snap-start":
        api.await_restore()
    Loop(api, handler, interruptions, environ).run()
    return 0


def _load(api: RuntimeApi, name: str) -> Handler | None:
    try:
        return load_handler(name)
    except (Exception, SystemExit) as error:  # noqa: BLE001 - a function's module may raise anything, and is told on
        failure = Failure(error)
        log_failure(failure)
        api.report_init_failure(failure)
        return None


def _flush_by_line(stream: TextIO) -> None:
    reconfigure = getattr(stream, "reconfigure", None)  # a pipe would keep the log back until its buffer is full
    if reconfigure is not None:
        reconfigure(line_buffering=True)
