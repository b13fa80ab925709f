"""The key for Claude: read rarely, and again when it was rotated."""

from __future__ import annotations

from typing import Any

import pytest

from sluice.claude.key import ClaudeKey
from sluice.errors import AccountError, AwsUnavailable


class Secrets:
    """Secrets Manager, with one secret in it."""

    def __init__(self, value: str) -> None:
        self.value = value
        self.reads = 0
        self.fails = False

    def get_secret_value(self, **kwargs: Any) -> dict[str, str]:
        assert kwargs == {"SecretId": "claude"}
        self.reads += 1
        if self.fails:
            raise OSError
        return {"SecretString": self.value}


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


def test_a_key_is_read_once_for_many_calls(clock: Clock) -> None:
    secrets = Secrets(" sk-1\n")
    key = ClaudeKey(secrets, "claude", clock=clock)

    assert [key.current() for _ in range(3)] == ["sk-1"] * 3
    assert secrets.reads == 1


def test_a_rotated_key_is_picked_up_after_the_interval(clock: Clock) -> None:
    secrets = Secrets("sk-1")
    key = ClaudeKey(secrets, "claude", refresh_seconds=300, clock=clock)
    key.current()
    secrets.value = "sk-2"
    clock.now += 299

    assert key.current() == "sk-1"
    clock.now += 1
    assert key.current() == "sk-2"


def test_a_key_that_claude_refuses_is_read_again_but_not_for_each_call(clock: Clock) -> None:
    secrets = Secrets("sk-1")
    key = ClaudeKey(secrets, "claude", clock=clock)
    key.current()
    secrets.value = "sk-2"

    assert key.renew() is False
    clock.now += 10
    assert key.renew() is True
    assert key.renew() is False
    assert key.current() == "sk-2"
    assert secrets.reads == 2


def test_an_old_key_is_better_than_none(clock: Clock) -> None:
    secrets = Secrets("sk-1")
    key = ClaudeKey(secrets, "claude", clock=clock)
    key.current()
    secrets.fails = True
    clock.now += 1000

    assert key.current() == "sk-1"


def test_a_secret_that_was_never_read_is_told(clock: Clock) -> None:
    secrets = Secrets("sk-1")
    secrets.fails = True

    with pytest.raises(AwsUnavailable):
        ClaudeKey(secrets, "claude", clock=clock).current()


def test_a_bare_key_in_the_place_of_something_else_is_found_soon(clock: Clock) -> None:
    secrets = Secrets("sk-1 sk-2")
    key = ClaudeKey(secrets, "claude", clock=clock)
    with pytest.raises(AccountError):
        key.current()
    secrets.value = "sk-2"
    clock.now += 30

    assert key.current() == "sk-2"


def test_what_is_told_of_a_secret_that_cannot_be_read_names_no_account() -> None:
    secrets = Secrets("sk-1")
    secrets.fails = True
    with pytest.raises(AwsUnavailable) as failed:
        ClaudeKey(secrets, "claude").current()
    assert "claude" not in str(failed.value)


@pytest.mark.parametrize("text", ["", '{\n "apiKey": "sk-ant-real"\n}', "sk-ant-real sk-ant-other", "sk-ant-r\u00e9al"])
def test_a_secret_that_is_no_bare_key_is_refused_and_not_quoted(clock: Clock, text: str) -> None:
    with pytest.raises(AccountError) as refused:
        ClaudeKey(Secrets(text), "claude", clock=clock).current()
    assert refused.value.error_type == "authentication_error"
    assert "sk-ant" not in str(refused.value)
