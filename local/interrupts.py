"""SIGINT and SIGTERM end a stack in the same way, once."""

import signal
from types import FrameType

SIGNALS = (signal.SIGINT, signal.SIGTERM)


def raise_on_signals() -> None:
    """Have the first SIGINT or SIGTERM raise KeyboardInterrupt in the main thread.

    Further ones are ignored: they would leave half of what is being stopped running.
    """
    for number in SIGNALS:
        signal.signal(number, _interrupt)


def _interrupt(_number: int, _frame: FrameType | None) -> None:
    for number in SIGNALS:
        signal.signal(number, signal.SIG_IGN)
    raise KeyboardInterrupt
