from __future__ import annotations

import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import pytest

from streaming_runtime.interruptions import DeadlineReached, Interruptions, Terminated

FAR_AWAY_MS = int((time.time() + 3600) * 1000)


@pytest.fixture
def interruptions() -> Iterator[Interruptions]:
    before = {number: signal.getsignal(number) for number in (signal.SIGALRM, signal.SIGTERM)}
    installed = Interruptions()
    installed.install()
    yield installed
    for number, handler in before.items():
        signal.signal(number, handler)


@contextmanager
def late_alarm() -> Iterator[None]:
    try:
        yield
    finally:
        signal.raise_signal(signal.SIGALRM)


def test_the_deadline_ends_whatever_is_waited_for(interruptions: Interruptions) -> None:
    with pytest.raises(DeadlineReached), interruptions.open_until(int(time.time() * 1000)):
        signal.pause()


def test_an_invocation_that_is_through_leaves_no_alarm_behind(interruptions: Interruptions) -> None:
    with interruptions.open_until(FAR_AWAY_MS):
        assert signal.getitimer(signal.ITIMER_REAL)[0] > 0
    assert signal.getitimer(signal.ITIMER_REAL)[0] == 0


def test_sigterm_ends_a_wait_for_work(interruptions: Interruptions) -> None:
    with pytest.raises(Terminated), interruptions.open_idle():
        signal.raise_signal(signal.SIGTERM)


def test_sigterm_between_two_windows_is_raised_by_the_next(interruptions: Interruptions) -> None:
    signal.raise_signal(signal.SIGTERM)
    with pytest.raises(Terminated), interruptions.open_idle():
        pytest.fail("the window opened")
    with interruptions.open_idle():
        pass


def test_a_deadline_that_comes_after_its_window_is_forgotten(interruptions: Interruptions) -> None:
    with pytest.raises(Terminated), interruptions.open_until(FAR_AWAY_MS), late_alarm():
        signal.raise_signal(signal.SIGTERM)
    with interruptions.open_until(FAR_AWAY_MS):
        pass


def test_a_handler_that_catches_every_exception_does_not_catch_an_interruption(interruptions: Interruptions) -> None:
    with pytest.raises(DeadlineReached), interruptions.open_until(FAR_AWAY_MS), suppress(Exception):
        signal.raise_signal(signal.SIGALRM)


def test_an_interruption_that_is_held_is_raised_on_release(interruptions: Interruptions) -> None:
    with interruptions.open_idle():
        interruptions.hold()
        signal.raise_signal(signal.SIGTERM)
        with pytest.raises(Terminated):
            interruptions.release()
