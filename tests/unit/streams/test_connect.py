"""Tries before the first byte: which are told of, and with which words."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import partial
from typing import Any, cast

import pytest

from sluice.claude.key import ClaudeKey
from sluice.deadline import Deadline
from sluice.streams.call_log import note_try
from sluice.streams.connect import CallRefused, Connector, UpstreamCall
from sluice.streams.upstream import Upstream

SAID = b'{"type":"error","error":{"type":"overloaded_error","message":"Why is the sky blue?"}}'


class Answer:
    """An answer of Claude's, as far as the connector looks at it."""

    def __init__(self, status: int) -> None:
        self.status = status
        self.headers: list[tuple[str, str]] = []

    def header(self, _name: str) -> None:
        return None

    def abandon(self) -> None:
        pass


class Claude:
    """Answers each call with the next status."""

    def __init__(self, *statuses: int) -> None:
        self._statuses = list(statuses)

    def send(self, *_: Any) -> Answer:
        return Answer(self._statuses.pop(0))


class Secrets:
    def get_secret_value(self, **_: Any) -> dict[str, str]:
        return {"SecretString": "sk-ant-mine"}


@pytest.fixture(autouse=True)
def bodies(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sluice.streams.connect.read_whole", lambda _answer, _deadline: SAID)


def open_call(
    claude: Claude,
    note: Callable[..., None] | None,
    retry_seconds: float = 20.0,
    headers: dict[str, str] | None = None,
) -> int:
    key = ClaudeKey(cast(Any, Secrets()), "s")
    connector = Connector(cast(Upstream, claude), key, retry_seconds, sleep=lambda _: None, note=note)
    call = UpstreamCall("POST", "/v1/messages", headers or {}, b"{}", Deadline.after(60.0), 60.0)
    return connector.open(call, lambda answer: answer)[1]


def test_each_try_that_is_followed_by_another_is_a_line_at_the_level_debug() -> None:
    lines: list[str] = []

    assert open_call(Claude(529, 500, 200), partial(note_try, lines.append)) == 3

    logged = [json.loads(line) for line in lines]
    assert [(line["level"], line["status"], line["tries"]) for line in logged] == [("DEBUG", 529, 1), ("DEBUG", 500, 2)]
    assert all(line["wait_seconds"] > 0 for line in logged)
    assert "sky" not in "".join(lines)


def test_a_try_that_is_the_last_is_no_line_of_its_own() -> None:
    lines: list[str] = []

    with pytest.raises(CallRefused):
        open_call(Claude(529), partial(note_try, lines.append), retry_seconds=0.0)

    assert lines == []
    assert open_call(Claude(200), None) == 1


@pytest.mark.parametrize("status", [429, 500, 529])
def test_a_client_that_tries_again_by_itself_is_told_at_once(status: int) -> None:
    claude = Claude(status, 200)

    with pytest.raises(CallRefused):
        open_call(claude, None, headers={"x-stainless-retry-count": "1"})

    assert open_call(Claude(status, 200), None, headers={"x-stainless-retry-count": "0"}) == 2
