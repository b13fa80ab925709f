"""What one would write otherwise: FastAPI with the SDK, as the examples of the Lambda Web Adapter do it."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from typing import Any

from anthropic import AsyncAnthropic
from fastapi import FastAPI
from fastapi.responses import StreamingResponse

app = FastAPI()
client = AsyncAnthropic(base_url=os.environ["CLAUDE_BASE_URL"], api_key="sk-ant-simulator")


@app.post("/v1/messages")
async def messages(params: dict[str, Any]) -> StreamingResponse:
    """Stream an answer."""

    async def events() -> AsyncIterator[str]:
        async for event in await client.messages.create(**params):
            yield f"event: {event.type}\ndata: {event.model_dump_json()}\n\n"

    return StreamingResponse(events(), media_type="text/event-stream")
