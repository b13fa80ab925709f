"""One copy of the function: a process, started as Lambda would start it, with a Runtime API of its own."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import time
from collections.abc import Callable

from local.function_url.configuration import FunctionConfiguration
from local.function_url.invocation import Invocation
from local.function_url.runtime_api import RuntimeApi

INIT_SECONDS = 10.0  # Lambda's limit for the init phase; a slower one is begun again within the function's time-out
STOP_SECONDS = 2.0  # from SIGTERM to SIGKILL, as at Lambda's shutdown phase


class Copy:
    """`on_change` is called when the copy has become idle, and once when it has ended."""

    def __init__(self, configuration: FunctionConfiguration, number: int, on_change: Callable[[], None]) -> None:
        self._configuration = configuration
        self._on_change = on_change
        self._log_file = configuration.log_dir / f"{configuration.name}-{number}.log"
        self._process: asyncio.subprocess.Process | None = None
        self._clock: asyncio.TimerHandle | None = None
        self._api = RuntimeApi(
            configuration.arn, self._became_idle, stop_on_disconnect=configuration.stop_on_disconnect
        )
        self.ended = False

    @property
    def idle(self) -> bool:
        """Waiting for an invocation."""
        return self._api.idle

    @property
    def busy(self) -> bool:
        """Running an invocation."""
        return self._api.invocation is not None

    @property
    def started(self) -> bool:
        """Whether the function's own start-up went well."""
        return self._api.started

    async def run(self) -> None:
        """Starts the process and returns once it has ended."""
        self._set_clock(INIT_SECONDS + self._configuration.timeout_seconds)
        try:
            self._process = await self._start_process(await self._api.open())
            await self._process.wait()
        except OSError as error:
            self._log(f"the copy could not be started: {error}")
        finally:
            self.ended = True
            self._clear_clock()
            self._api.close()
            self._on_change()

    def invoke(self, invocation: Invocation) -> None:
        """Hands an invocation to an idle copy."""
        self._set_clock(self._configuration.timeout_seconds)
        self._api.hand_out(invocation, time.time() + self._configuration.timeout_seconds)

    def signal(self, number: signal.Signals) -> None:
        """Sends a signal to the process and to what it started."""
        if self._process is not None and self._process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._process.pid, number)

    def _became_idle(self) -> None:
        self._clear_clock()
        self._on_change()

    def _set_clock(self, seconds: float) -> None:
        self._clear_clock()
        self._clock = asyncio.get_running_loop().call_later(seconds, self._time_out)

    def _clear_clock(self) -> None:
        if self._clock is not None:
            self._clock.cancel()
            self._clock = None

    def _time_out(self) -> None:
        self._log(f"Task timed out after {self._configuration.timeout_seconds:.2f} seconds")
        self.signal(signal.SIGKILL)

    async def _start_process(self, runtime_api: str) -> asyncio.subprocess.Process:
        configuration = self._configuration
        with self._log_file.open("ab") as log:
            return await asyncio.create_subprocess_exec(
                *configuration.command(),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=configuration.task_root,
                env=configuration.copy_environment(runtime_api, self._log_file.stem),
                start_new_session=True,
            )

    def _log(self, line: str) -> None:
        with self._log_file.open("a", encoding="utf-8") as log:
            log.write(line + "\n")
