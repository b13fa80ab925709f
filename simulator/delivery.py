"""Sends an answer over its connection, with the faults that were scripted for it."""

import asyncio
from collections.abc import Iterable, Iterator
from pathlib import Path

from msgspec import structs

from simulator.answers import Answer, Cut, EventBody, FileBody, Stall, Step, broken, dribbled, error_answer, grouped
from simulator.connection import Call
from simulator.errors import CAUSES, MESSAGE_OF_TYPE, TYPE_OF_STATUS, ApiError, error_body
from simulator.faults import Break, CallFaults, Delay, Lose, Pace, Refuse
from simulator.stream import PING, written_tokens

_FILE_PIECE = 256 * 1024
_NO_PACE = Pace()
# `message_start` and the ping after it are sent at once.
_UNPACED_EVENTS = 2


def refusal(refuse: Refuse, request_id: str) -> Answer:
    """The answer that a rule puts in place of the real one."""
    if refuse.cause is not None:
        cause = CAUSES[refuse.cause]
        return Answer(
            cause.status, error_body(cause.error_type, cause.message, request_id, cause.details), refuse.headers
        )
    error_type = refuse.error_type or TYPE_OF_STATUS.get(refuse.status, "api_error")
    message = refuse.message or MESSAGE_OF_TYPE.get(error_type, "Error")
    body = error_body(error_type, message, request_id, refuse.details)
    return Answer(refuse.status, body if refuse.body is None else refuse.body.encode(), refuse.headers)


async def deliver(call: Call, answer: Answer, faults: CallFaults, headers: dict[str, str]) -> None:
    """Send `answer`, or what the faults leave of it. Raises ClientLeft."""
    if (delay := faults.get(Delay)) is not None:
        await call.sleep(delay.seconds)
    if (lose := faults.get(Lose)) is not None:
        lost = await _lose(call, lose)
        if lost is None:
            return
        answer = lost
    breach, pace = faults.get(Break), faults.get(Pace)
    if breach is not None and breach.after_events is None and breach.after_bytes is None:
        if not await _break_before_headers(call, breach):
            return
        breach = None
    headers = {"content-type": answer.content_type, **headers, **answer.headers}
    if breach is None and pace is None:
        await _send_plainly(call, answer, headers)
    else:
        await call.start(answer.status, headers)
        await _send_steps(call, answer, breach, pace or _NO_PACE)


async def _lose(call: Call, lose: Lose) -> Answer | None:
    if lose.how == "status":
        error_type = TYPE_OF_STATUS.get(lose.status, "api_error")
        return error_answer(ApiError(lose.status, MESSAGE_OF_TYPE[error_type], error_type), call.record.request_id)
    await call.cut(reset=lose.how == "reset")
    return None


async def _break_before_headers(call: Call, breach: Break) -> bool:
    """Carry out a breach that comes before the headers; return whether the answer is still to be sent."""
    if breach.how == "stall":
        if breach.seconds is None:
            await call.wait_for_departure(None)
            return False
        await call.sleep(breach.seconds)
        return True
    await call.cut(reset=breach.how == "reset")
    return False


async def _send_plainly(call: Call, answer: Answer, headers: dict[str, str]) -> None:
    body = answer.body
    if isinstance(body, bytes):
        await call.start(answer.status, {**headers, "content-length": str(len(body))})
        await call.finish(body)
    elif isinstance(body, FileBody):
        await call.start(answer.status, {**headers, "content-length": str(body.path.stat().st_size)})
        await _send_file(call, body.path)
    else:
        await call.start(answer.status, headers)
        await (_send_paced if body.event_seconds or body.first_event_seconds else _send_events)(call, body)
        await call.finish()


async def _send_file(call: Call, path: Path) -> None:
    with path.open("rb", buffering=0) as source:
        while piece := source.read(_FILE_PIECE):
            await call.write(piece)
    await call.finish()


async def _send_events(call: Call, body: EventBody) -> None:
    for data, count in grouped(body.events):
        await call.write(data)
        call.record.events += count


async def _send_paced(call: Call, body: EventBody) -> None:
    """Events by the clock, not by pauses, so that a late one does not make all that follow later."""
    loop = asyncio.get_running_loop()
    due, number = loop.time(), 0
    while True:
        if number >= _UNPACED_EVENTS:
            due += body.first_event_seconds if number == _UNPACED_EVENTS else body.event_seconds
            if (wait := due - loop.time()) > 0:
                await call.sleep(wait)
        event = next(body.events, None)
        if event is None:
            return
        await call.write(event)
        number += 1
        call.record.events = number


async def _send_steps(call: Call, answer: Answer, breach: Break | None, pace: Pace) -> None:
    body = answer.body
    of_events = isinstance(body, EventBody)
    units = _units(answer)
    steps: Iterable[Step] = units
    if breach is not None:
        steps = broken(units, breach, call.record.request_id, of_events=of_events)
    event_seconds = pace.event_seconds or (body.event_seconds if isinstance(body, EventBody) else 0.0)
    sent: list[bytes] = []
    for step in steps:
        if isinstance(step, Cut):
            if of_events and call.record.usage is not None:
                call.record.usage = structs.replace(call.record.usage, output_tokens=written_tokens(sent))
            if step.how != "end":
                await call.cut(reset=step.how == "reset")
                return
            break
        if isinstance(step, Stall):
            await _stall(call, step)
            continue
        await _write_slowly(call, step, pace)
        sent.append(step)
        call.record.events += 1
        if event_seconds:
            await call.sleep(event_seconds)
    await call.finish()


def _units(answer: Answer) -> Iterator[bytes]:
    body = answer.body
    if isinstance(body, EventBody):
        yield from body.events
    elif isinstance(body, FileBody):
        with body.path.open("rb") as source:
            yield from source
    else:
        yield body


async def _write_slowly(call: Call, unit: bytes, pace: Pace) -> None:
    if not pace.chunk_bytes:
        await call.write(unit)
        return
    for piece in dribbled((unit,), pace.chunk_bytes):
        await call.write(piece)
        await call.sleep(pace.chunk_seconds)


async def _stall(call: Call, stall: Stall) -> None:
    if stall.ping_seconds is None:
        if stall.seconds is None:
            await call.wait_for_departure(None)
        await call.sleep(stall.seconds or 0.0)
        return
    loop = asyncio.get_running_loop()
    until = None if stall.seconds is None else loop.time() + stall.seconds
    while until is None or loop.time() < until:
        await call.sleep(stall.ping_seconds)
        await call.write(PING)
        call.record.events += 1
