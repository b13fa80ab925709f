"""Fire the scheduled functions by hand: the emulator's schedules cannot be hurried."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from botocore.exceptions import BotoCoreError, ClientError

from local.emulator import Emulator


@contextmanager
def firing(emulator: Emulator, function: str, payload: str, pause_seconds: float, log: Path) -> Iterator[None]:
    """Invoke a function with a payload, at once and again a pause after it has ended, for as long as the block.

    What fails is written to the log, and does not end it.
    """
    stopping = threading.Event()
    arguments = (emulator, function, payload, pause_seconds, log, stopping)
    # A daemon that nobody waits for: its last invocation ends with the emulator.
    threading.Thread(target=_fire, args=arguments, name=log.stem, daemon=True).start()
    try:
        yield
    finally:
        stopping.set()


def _fire(
    emulator: Emulator, function: str, payload: str, pause_seconds: float, log: Path, stopping: threading.Event
) -> None:
    client = emulator.client("lambda")
    with log.open("w", buffering=1) as file:
        while not stopping.is_set():
            try:
                answer = client.invoke(FunctionName=function, Payload=payload.encode())
            except (BotoCoreError, ClientError) as error:
                if not stopping.is_set():
                    file.write(f"could not invoke {function}: {error}\n")
            else:
                if "FunctionError" in answer:
                    file.write(f"{function} failed: {answer['Payload'].read().decode(errors='replace')}\n")
            stopping.wait(pause_seconds)
