"""The control API, under `/_simulator`: what tests and the demo use to script the simulator and to look into it."""

import asyncio
import os
from typing import Generic, TypeVar

import msgspec
from msgspec import Struct
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Mount, Route

from simulator.errors import ApiError, error_body
from simulator.faults import Fault
from simulator.replies import ReplyRule
from simulator.rules import RuleBook
from simulator.state import State

R = TypeVar("R", Fault, ReplyRule)

PREFIX = "/_simulator"

_faults = msgspec.json.Decoder(list[Fault])
_replies = msgspec.json.Decoder(list[ReplyRule])


class Added(Struct):
    """The ids of the rules that were posted."""

    ids: list[str]


class RuleState(Struct, Generic[R]):
    """A rule, how many calls it matched, and on how many it acted."""

    id: str
    rule: R
    matched: int
    acted: int


class ClockChange(Struct, forbid_unknown_fields=True):
    """What to do to the clock."""

    advance_seconds: float = 0.0
    speed: float | None = None


class ClockState(Struct):
    """The simulated time, in seconds since the epoch."""

    now: float
    speed: float


class SettingsChange(Struct, forbid_unknown_fields=True):
    """New settings; those that are not given stay."""

    batch_seconds: float | None = None
    cancel_seconds: float | None = None
    events_per_second: float | None = None


class Health(Struct):
    """That it answers, and as which process."""

    status: str
    pid: int


def control_application(state: State) -> Starlette:
    """The control API of a simulator."""
    control = _Control(state)
    routes = Mount(
        PREFIX,
        routes=[
            Route("/health", control.health),
            Route("/faults", control.faults, methods=["GET", "POST", "DELETE"]),
            Route("/faults/{id}", control.forget_fault, methods=["DELETE"]),
            Route("/replies", control.replies, methods=["GET", "POST", "DELETE"]),
            Route("/replies/{id}", control.forget_reply, methods=["DELETE"]),
            Route("/requests", control.requests),
            Route("/batches", control.batches),
            Route("/batches/{id}/end", control.end_batch, methods=["POST"]),
            Route("/summary", control.summary),
            Route("/clock", control.clock, methods=["GET", "POST"]),
            Route("/settings", control.settings, methods=["GET", "POST"]),
            Route("/reset", control.reset, methods=["POST"]),
        ],
    )
    return Starlette(routes=[routes], exception_handlers={ApiError: _refused, msgspec.DecodeError: _refused})


class _Control:
    def __init__(self, state: State) -> None:
        self._state = state

    async def health(self, request: Request) -> Response:
        del request
        return _json(_health())

    async def faults(self, request: Request) -> Response:
        return await _rules(request, self._state.faults, _faults)

    async def forget_fault(self, request: Request) -> Response:
        self._state.faults.clear(request.path_params["id"])
        return _json(_rule_states(self._state.faults))

    async def replies(self, request: Request) -> Response:
        return await _rules(request, self._state.replies, _replies)

    async def forget_reply(self, request: Request) -> Response:
        self._state.replies.clear(request.path_params["id"])
        return _json(_rule_states(self._state.replies))

    async def requests(self, request: Request) -> Response:
        query = request.query_params
        after = int(query.get("after", "0"))
        calls = self._state.journal.calls(operation=query.get("operation"), path=query.get("path"), after=after)
        return _json(calls)

    async def batches(self, request: Request) -> Response:
        del request
        return _json(self._state.store.records())

    async def end_batch(self, request: Request) -> Response:
        batch_id = request.path_params["id"]
        running = self._state.store.end(batch_id)
        if running is not None:
            await asyncio.wrap_future(running)
            self._state.store.get(batch_id)
        return _json(next(record for record in self._state.store.records() if record.id == batch_id))

    async def summary(self, request: Request) -> Response:
        del request
        return _json(self._state.summary())

    async def clock(self, request: Request) -> Response:
        clock = self._state.clock
        if request.method == "POST":
            change = msgspec.json.decode(await request.body(), type=ClockChange)
            clock.advance(change.advance_seconds)
            if change.speed is not None:
                clock.run_at(change.speed)
        return _json(ClockState(clock.now(), clock.speed))

    async def settings(self, request: Request) -> Response:
        if request.method == "POST":
            change = msgspec.json.decode(await request.body(), type=SettingsChange)
            given = {name: value for name, value in msgspec.structs.asdict(change).items() if value is not None}
            self._state.settings = msgspec.structs.replace(self._state.settings, **given)
        return _json(self._state.settings)

    async def reset(self, request: Request) -> Response:
        del request
        self._state.reset()
        return _json(_health())


def _health() -> Health:
    return Health("ready", os.getpid())


async def _rules(request: Request, book: RuleBook[R], decoder: msgspec.json.Decoder[list[R]]) -> Response:
    if request.method == "POST":
        body = (await request.body()).strip()
        rules = decoder.decode(body if body.startswith(b"[") else b"[%b]" % body)
        return _json(Added(book.add(rules)), 201)
    if request.method == "DELETE":
        book.clear()
    return _json(_rule_states(book))


def _rule_states(book: RuleBook[R]) -> list[RuleState[R]]:
    return [RuleState(entry.id, entry.rule, entry.matched, entry.acted) for entry in book.entries]


def _json(value: object, status: int = 200) -> Response:
    return Response(msgspec.json.encode(value), status, media_type="application/json")


def _refused(request: Request, error: Exception) -> Response:
    del request
    if isinstance(error, ApiError):
        return Response(error_body(error.error_type, error.message, ""), error.status, media_type="application/json")
    return Response(error_body("invalid_request_error", str(error), ""), 400, media_type="application/json")
