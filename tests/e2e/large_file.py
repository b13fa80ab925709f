"""A file of some thousand requests in which everything goes wrong that can go wrong with one of them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

from simulator.client import Match, Result, Simulator
from tests.e2e.doors import jsonl, request_line

REQUESTS = 5_400


class ResultKind(StrEnum):
    """What the simulator makes of a request; a part of its ``custom_id``."""

    PLAIN = "plain"
    REFUSED = "refused"
    OVERLOADED = "overloaded"
    EXPIRED = "expired"
    SLOWED = "slowed"
    HOPELESS = "hopeless"

    @property
    def succeeds(self) -> bool:
        return self not in (ResultKind.REFUSED, ResultKind.HOPELESS)


# One request of each hundred has the fate.
_KIND_OF_CLASS = {
    3: ResultKind.REFUSED,
    17: ResultKind.OVERLOADED,
    40: ResultKind.EXPIRED,
    41: ResultKind.EXPIRED,
    66: ResultKind.SLOWED,
    99: ResultKind.HOPELESS,
}

# Lines that cannot run, with a part of the reason that has to be given. They stand before each 300th request.
BAD_LINES: tuple[tuple[bytes, str], ...] = (
    (b'{"custom_id": "half-a-line", "params": {"model": "claude-h', "not JSON"),
    (b"", "empty"),
    (b'{"custom_id": "caf\xe9", "params": {}}', "not UTF-8 at byte 19"),
    (request_line("not allowed!"), '"custom_id" has to be 1 to 64'),
    (request_line("x" * 65), '"custom_id" has to be 1 to 64'),
    (b'{"custom_id": "no-params"}', 'no "params"'),
    (b'{"custom_id": "list", "params": []}', '"params" is wrong'),
    (request_line("mute", messages=None), 'no "messages"'),
    (request_line("endless", max_tokens=None), 'no "max_tokens"'),
    (request_line("much", max_tokens=64_001), "claude-haiku-5-5 gives 64000 at most"),
    (request_line("streamed", stream=True), "asks for a stream"),
    (request_line("retired", model="claude-sonnet-4-20250514"), "was retired on 2026-06-15"),
    (request_line("unknown", model="claude-nothing-9"), "no model 'claude-nothing-9'"),
    (request_line("00000-plain"), 'An earlier line has the "custom_id"'),
    (b'{"custom_id": "misspelt", "parms": {}}', "parms"),
    (request_line("huge", "word " * 210_000), "bytes, more than"),
    (b'["a", "list"]', "wrong"),
)


@dataclass(frozen=True)
class Request:
    number: int
    kind: ResultKind

    @property
    def custom_id(self) -> str:
        return f"{self.number:05d}-{self.kind}"

    @property
    def line(self) -> bytes:
        return request_line(self.custom_id, f"What is known of item{self.number:05d}?")


def requests() -> list[Request]:
    return [Request(number, _KIND_OF_CLASS.get(number % 100, ResultKind.PLAIN)) for number in range(REQUESTS)]


def file_of(requests: list[Request]) -> bytes:
    """The requests, with the bad lines among them."""
    return jsonl(*_lines(requests))


def bad_line_numbers() -> list[int]:
    """Where the bad lines stand in the file, counted from 1."""
    return [(place + 1) * 300 + place + 1 for place in range(len(BAD_LINES))]


def _lines(requests: list[Request]) -> Iterator[bytes]:
    bad = iter(BAD_LINES)
    for request in requests:
        if request.number and request.number % 300 == 0:
            yield next(bad)[0]
        yield request.line


def script_fates(simulator: Simulator) -> None:
    """Have each request meet its fate: twice is the most that something passing comes."""
    permanent = Result(error_type="invalid_request_error", message="prompt is too long: 1000001 tokens > 1000000")
    simulator.fail(permanent, Match(custom_id=f".*-{ResultKind.REFUSED}"))
    simulator.fail(Result(error_type="overloaded_error"), Match(custom_id=f".*-{ResultKind.OVERLOADED}"), times=1)
    simulator.fail(Result(outcome="expired"), Match(custom_id=f".*-{ResultKind.EXPIRED}"), times=1)
    simulator.fail(Result(error_type="rate_limit_error"), Match(custom_id=f".*-{ResultKind.SLOWED}"), times=2)
    simulator.fail(Result(error_type="api_error"), Match(custom_id=f".*-{ResultKind.HOPELESS}"))
