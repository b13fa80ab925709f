from __future__ import annotations

from collections.abc import Iterator
from random import Random

import boto3
import pytest
from moto import mock_aws

from sluice.backoff import BREAKER
from sluice.callbacks.circuit_breaker import THRESHOLD, CircuitBreakers
from sluice.table_keys import endpoint_key
from tests.world.aws import create_table, template

HOST, OTHERS = (endpoint_key("hooks.example.com:443", caller) for caller in ("key:a", "key:b"))


class Clock:
    now = 1_800_000_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def breakers(clock: Clock) -> Iterator[CircuitBreakers]:
    with mock_aws():
        yield CircuitBreakers(create_table(template(), boto3.client("dynamodb")), clock, Random(0))


def pause(breakers: CircuitBreakers) -> float:
    """Return how long the endpoint is left alone from now on, without the jitter's bounds."""
    item = breakers.table.get(HOST) or {}
    return float(item.get("open_until", breakers.now()) - breakers.now())


def is_pause(seconds: float, number: int) -> bool:
    longest = BREAKER.first * BREAKER.factor ** (number - 1)
    return longest * (1 - BREAKER.jitter) <= seconds <= longest


def test_callbacks_under_way_when_an_endpoint_breaks_make_one_first_pause(breakers: CircuitBreakers) -> None:
    gates = [breakers.check(HOST) for _ in range(20)]
    for gate in gates[: THRESHOLD - 1]:
        breakers.note_down(HOST, gate)
    assert breakers.check(HOST).wait_seconds is None
    for gate in gates[THRESHOLD - 1 :]:
        breakers.note_down(HOST, gate)
    assert is_pause(pause(breakers), 1)


def test_only_the_callback_that_tries_a_broken_endpoint_makes_the_pause_longer(
    breakers: CircuitBreakers, clock: Clock
) -> None:
    late, *gates = [breakers.check(HOST) for _ in range(THRESHOLD + 1)]
    for gate in gates:
        breakers.note_down(HOST, gate)
    for number in (2, 3, 4):
        clock.now += pause(breakers) + 1
        probe = breakers.check(HOST)
        assert probe.wait_seconds is None
        assert breakers.check(HOST).wait_seconds
        breakers.note_down(HOST, late)
        breakers.note_down(HOST, probe)
        breakers.note_down(HOST, late)
        assert is_pause(pause(breakers), number)


def test_an_endpoint_that_works_again_starts_anew(breakers: CircuitBreakers, clock: Clock) -> None:
    for gate in [breakers.check(HOST) for _ in range(THRESHOLD)]:
        breakers.note_down(HOST, gate)
    clock.now += pause(breakers) + 1
    breakers.note_up(HOST, breakers.check(HOST))
    for gate in [breakers.check(HOST) for _ in range(THRESHOLD)]:
        assert gate.wait_seconds is None
        breakers.note_down(HOST, gate)
    assert is_pause(pause(breakers), 1)


def test_what_fails_for_one_caller_keeps_no_other_waiting(breakers: CircuitBreakers) -> None:
    for gate in [breakers.check(HOST) for _ in range(THRESHOLD)]:
        breakers.note_down(HOST, gate)

    assert breakers.check(HOST).wait_seconds
    assert breakers.check(OTHERS).wait_seconds is None
