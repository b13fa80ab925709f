"""The host in a thread of its own, for tests and benchmarks."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from local.function_url.configuration import FunctionConfiguration
from local.function_url.host import FunctionUrl

SOURCES = Path(__file__).resolve().parents[2] / "layers"
SOURCE_LAYERS = (SOURCES / "streaming_runtime", SOURCES / "sluice")


@contextmanager
def running_function_url(
    *,
    handler: str = "handler.handler",
    task_root: Path,
    layers: Sequence[Path] = SOURCE_LAYERS,
    environment: Mapping[str, str] | None = None,
    copies: int = 10,
    warm: int = 0,
    timeout_seconds: float = 900.0,
    memory_mb: int = 512,
    log_dir: Path | None = None,
    stop_on_disconnect: bool = False,
) -> Iterator[str]:
    """Runs a function behind a Function URL on a free port of 127.0.0.1 and yields the URL, without a slash at its end.

    By default the layers are the checkout's sources, and the logs of the copies are thrown away at the end. On leaving,
    every copy has ended. Raises ConfigurationError for a function that cannot be run as it is configured.
    """
    with TemporaryDirectory(prefix="function-url-") as scratch:
        configuration = FunctionConfiguration(
            handler=handler,
            task_root=task_root,
            layers=tuple(layers),
            log_dir=log_dir or Path(scratch),
            environment=environment or {},
            copies=copies,
            warm=warm,
            timeout_seconds=timeout_seconds,
            memory_mb=memory_mb,
            stop_on_disconnect=stop_on_disconnect,
        )
        with _HostThread(configuration) as url:
            yield url


class _HostThread:
    def __init__(self, configuration: FunctionConfiguration) -> None:
        self._configuration = configuration
        self._thread = threading.Thread(target=lambda: asyncio.run(self._serve()), name="function-url")
        self._ready = threading.Event()
        self._port = 0
        self._failure: Exception | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stop: asyncio.Event | None = None

    def __enter__(self) -> str:
        self._thread.start()
        self._ready.wait()
        if self._failure is not None:
            self._thread.join()
            raise self._failure
        return f"http://127.0.0.1:{self._port}"

    def __exit__(self, *_exception: object) -> None:
        if self._loop is not None and self._stop is not None:
            self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join()

    async def _serve(self) -> None:
        self._loop, self._stop = asyncio.get_running_loop(), asyncio.Event()
        url = FunctionUrl(self._configuration)
        try:
            self._port = await url.open("127.0.0.1", 0)
            self._ready.set()
            await self._stop.wait()
        except Exception as error:  # noqa: BLE001 - it belongs to the thread that waits
            self._failure = error
        finally:
            await url.close()
            self._ready.set()
