"""Fire the scheduled function by hand: the emulator's schedules cannot be hurried."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from botocore.exceptions import BotoCoreError, ClientError

from local.emulator import Emulator

PAUSE_SECONDS = 1.0


@contextmanager
def polling(emulator: Emulator, function: str, payload: str, log_dir: Path) -> Iterator[None]:
    """Invoke a function with a payload, again a second after it has ended, for as long as the block."""
    stopping = threading.Event()
    arguments = (emulator, function, payload, log_dir / "poller.log", stopping)
    # A daemon that nobody waits for: its last invocation ends with the emulator.
    threading.Thread(target=_poll, args=arguments, name="poller", daemon=True).start()
    try:
        yield
    finally:
        stopping.set()


def _poll(emulator: Emulator, function: str, payload: str, log: Path, stopping: threading.Event) -> None:
    client = emulator.client("lambda")
    with log.open("w", buffering=1) as file:
        while not stopping.wait(PAUSE_SECONDS):
            try:
                answer = client.invoke(FunctionName=function, Payload=payload.encode())
            except (BotoCoreError, ClientError) as error:
                if not stopping.is_set():
                    file.write(f"could not invoke {function}: {error}\n")
                continue
            if "FunctionError" in answer:
                file.write(f"{function} failed: {answer['Payload'].read().decode(errors='replace')}\n")
