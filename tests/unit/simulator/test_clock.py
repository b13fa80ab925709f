import pytest

from simulator.clock import Clock, timestamp


def test_a_frozen_clock_moves_only_by_hand() -> None:
    clock = Clock(speed=0)
    before = clock.now()
    clock.advance(86_400)
    assert clock.now() - before == pytest.approx(86_400)


def test_a_new_speed_keeps_the_time(monkeypatch: pytest.MonkeyPatch) -> None:
    seconds = 100.0
    monkeypatch.setattr("time.monotonic", lambda: seconds)
    clock = Clock()
    before = clock.now()
    clock.run_at(60)
    assert clock.now() == before
    seconds = 102.0
    assert clock.now() == pytest.approx(before + 120)


def test_a_reset_clock_is_back_in_the_present() -> None:
    clock = Clock(speed=0)
    before = clock.now()
    clock.advance(1e6)
    clock.reset()
    assert clock.now() - before < 1e5


def test_times_are_written_in_utc() -> None:
    assert timestamp(0) == "1970-01-01T00:00:00Z"
