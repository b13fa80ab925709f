"""A call of the simulator, on a connection that breaks."""

from __future__ import annotations

import asyncio
from collections.abc import MutableMapping
from typing import Any

import pytest

from simulator.connection import TRANSPORT, Call, ClientLeft


class _Broken:
    def is_closing(self) -> bool:
        return True


async def _wait_forever() -> MutableMapping[str, Any]:
    await asyncio.Event().wait()
    raise AssertionError("The event loop has not said yet that the connection is lost.")


async def _send(message: MutableMapping[str, Any]) -> None:
    raise AssertionError(f"Nothing can be sent any more: {message}")


def test_a_client_whose_departure_a_write_finds_first_is_noted_as_gone() -> None:
    scope = {
        "extensions": {TRANSPORT: {"transport": _Broken()}},
        "headers": [],
        "method": "POST",
        "path": "/v1/messages",
        "query_string": b"",
    }

    async def write() -> Call:
        call = Call(scope, _wait_forever, _send, number=1, operation="messages")
        call.watch()
        with pytest.raises(ClientLeft):
            await call.write(b"event: ping\n\n")
        call.close()
        return call

    call = asyncio.run(write())
    assert call.gone.is_set()
    assert not call.record.is_open
    assert call.record.disconnected_at is not None
