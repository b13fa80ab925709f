"""A door in this process: Claude's answers are scripted, and what is logged can be read."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, cast

from sluice.access.guard import AuthMode, Guard
from sluice.access.register import Register
from sluice.aws.table import Table
from sluice.claude.secret import ClaudeKey
from sluice.streams.accounts import Accounts, Report
from sluice.streams.clocks import Deadline
from sluice.streams.door import Door
from sluice.streams.follower import Follower
from sluice.streams.keeper import Rhythm
from sluice.streams.keeping import Keeping
from sluice.streams.kept import Continuing
from sluice.streams.messages import Messages
from sluice.streams.opening import Opener
from sluice.streams.response import Response
from sluice.streams.settings import StreamSettings
from sluice.streams.table import StreamTable
from sluice.streams.upstream import Answer, Upstream

PARAMS = {"model": "m", "max_tokens": 5, "stream": True, "messages": [{"role": "user", "content": "Hi"}]}
RHYTHM = Rhythm(flush=0.01, beat=0.02, alive=30.0)


def frame(name: str, **fields: Any) -> bytes:
    return f"event: {name}\ndata: {json.dumps({'type': name, **fields})}\n\n".encode()


START = frame("message_start", message={"model": "m"})
OPEN_BLOCK = frame("content_block_start", index=0, content_block={"type": "text", "text": ""})
DELTA = frame("content_block_delta", index=0, delta={"type": "text_delta", "text": "Hello"})
STOP = frame("message_stop")


class ScriptedAnswer:
    """An answer whose pieces come one a read."""

    def __init__(self, *pieces: bytes) -> None:
        self._pieces = list(pieces)
        self.status = 200
        self.headers = [("content-type", "text/event-stream")]

    def header(self, name: str) -> str | None:
        return dict(self.headers).get(name)

    def set_timeout(self, seconds: float) -> None:
        pass

    def read_piece(self) -> bytes:
        return self._pieces.pop(0) if self._pieces else b""

    def interrupt(self) -> None:
        self._pieces.clear()

    def close(self) -> None:
        pass

    def abandon(self) -> None:
        pass


@dataclass
class ScriptedClaude:
    """Answers each call with the same pieces, and remembers the calls. ``before`` runs while a caller waits."""

    pieces: tuple[bytes, ...] = (START, DELTA, STOP)
    before: Callable[[], None] = lambda: None
    targets: list[str] = field(default_factory=list)
    bodies: list[bytes] = field(default_factory=list)

    def send(self, method: str, target: str, headers: Mapping[str, str], body: bytes, timeout: float) -> Answer:
        self.before()
        self.targets.append(target)
        self.bodies.append(body)
        return cast(Answer, ScriptedAnswer(*self.pieces))


class Secrets:
    def get_secret_value(self, **_: Any) -> dict[str, str]:
        return {"SecretString": "sk-ant-scripted"}


class Context:
    aws_request_id = "request-1"

    def get_remaining_time_in_millis(self) -> int:
        return 60_000


@dataclass
class ScriptedDoor:
    table: Table
    auth_mode: AuthMode = "iam"
    claude: ScriptedClaude = field(default_factory=ScriptedClaude)
    settings: StreamSettings = field(default_factory=lambda: StreamSettings("t", "s", connect_retry_seconds=0.0))
    lines: list[dict[str, Any]] = field(default_factory=list)

    @property
    def streams(self) -> StreamTable:
        return StreamTable(self.table, 3600)

    def build(self) -> Door:
        guard = Guard(self.auth_mode, Register(self.table))
        opener = self.opener()
        accounts = Accounts(guard, lambda line: self.lines.append(json.loads(line)), "stack")
        keeping = Keeping(self.settings, self.streams, opener, accounts, RHYTHM)
        return Door(self.settings, guard, Messages(self.settings, opener, guard, accounts, keeping), keeping, accounts)

    def opener(self) -> Opener:
        return Opener(cast(Upstream, self.claude), ClaudeKey(Secrets(), "s"), 0.0)

    def call(self, method: str = "POST", path: str = "/v1/messages", **event: Any) -> tuple[Response, bytes]:
        """Make a call and read its answer to the end; ``event`` replaces what stands in the event."""
        context = {"http": {"method": method, "sourceIp": "192.0.2.1"}}
        event = {"rawPath": path, "body": json.dumps(PARAMS), **event, "requestContext": context}
        response = self.build().answer(event, Context())
        data = b"".join(response.body)
        getattr(response.body, "close", lambda: None)()
        return response, data

    def follow(self, stream_id: str, after: int = 0) -> tuple[bytes, Report]:
        """Read a stream that is kept to its end, from ``after`` on."""
        state = self.streams.find(stream_id)
        assert state is not None
        report = Report("request-2", status=200)
        continuing = Continuing(self.settings, self.streams, self.opener(), Deadline(time.monotonic() + 60))
        follower = Follower(continuing, state, after, report, lambda: None, RHYTHM)
        data = b"".join(follower.chunks())
        follower.end()
        return data, report
