"""A door in this process: Claude's answers are scripted, and what is logged can be read."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, cast

from sluice.access.guard import Caller, Guard
from sluice.access.store import KeyStore
from sluice.aws.dynamodb import Table
from sluice.claude.key import ClaudeKey
from sluice.deadline import Deadline
from sluice.settings import AuthMode, StreamSettings
from sluice.streams.call_log import CallLog, CallReport, Payer
from sluice.streams.connect import Connector
from sluice.streams.door import Door
from sluice.streams.incident_watch import IncidentWatch
from sluice.streams.messages import Messages
from sluice.streams.response import Response
from sluice.streams.resumable.log_reader import LogReader
from sluice.streams.resumable.log_writer import LogSchedule
from sluice.streams.resumable.relay import Continuations
from sluice.streams.resumable.service import ResumableStreams
from sluice.streams.resumable.table import StreamTable
from sluice.streams.upstream import Upstream, UpstreamResponse
from tests.world.lambdas import Context

PARAMS = {"model": "m", "max_tokens": 5, "stream": True, "messages": [{"role": "user", "content": "Hi"}]}
RHYTHM = LogSchedule(flush=0.01, beat=0.02, alive=30.0)


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

    def send(
        self, method: str, target: str, headers: Mapping[str, str], body: bytes, timeout: float
    ) -> UpstreamResponse:
        self.before()
        self.targets.append(target)
        self.bodies.append(body)
        return cast(UpstreamResponse, ScriptedAnswer(*self.pieces))


class Secrets:
    def get_secret_value(self, **_: Any) -> dict[str, str]:
        return {"SecretString": "sk-ant-scripted"}


@dataclass
class ScriptedDoor:
    table: Table
    auth_mode: AuthMode = "iam"
    claude: ScriptedClaude = field(default_factory=ScriptedClaude)
    settings: StreamSettings = field(default_factory=lambda: StreamSettings("t", "s", connect_retry_seconds=0.0))
    lines: list[dict[str, Any]] = field(default_factory=list)
    reader: Caller = field(default_factory=lambda: Caller("iam:test"))
    incident_watch: IncidentWatch = field(init=False)

    def __post_init__(self) -> None:
        self.incident_watch = IncidentWatch(self.table)

    @property
    def streams(self) -> StreamTable:
        return StreamTable(self.table, 3600)

    def build(self) -> Door:
        guard = Guard(self.auth_mode, KeyStore(self.table))
        connector = self.connector()
        ended = self.incident_watch.note_end
        call_log = CallLog(guard, lambda line: self.lines.append(json.loads(line)), "stack", ended)
        resumable = ResumableStreams(self.settings, self.streams, connector, guard, call_log, RHYTHM)
        messages = Messages(self.settings, connector, guard, call_log, resumable)
        return Door(self.settings, guard, messages, resumable, call_log)

    def connector(self) -> Connector:
        return Connector(cast(Upstream, self.claude), ClaudeKey(Secrets(), "s"), 0.0)

    def call(self, method: str = "POST", path: str = "/v1/messages", **event: Any) -> tuple[Response, bytes]:
        """Make a call and read its answer to the end; ``event`` replaces what stands in the event."""
        context = {"http": {"method": method, "sourceIp": "192.0.2.1"}}
        event = {"rawPath": path, "body": json.dumps(PARAMS), **event, "requestContext": context}
        response = self.build().answer(event, Context())
        data = b"".join(response.body)
        getattr(response.body, "close", lambda: None)()
        return response, data

    def follow(self, stream_id: str, after: int = 0) -> tuple[bytes, CallReport]:
        """Read a stream that is kept to its end, from ``after`` on."""
        state = self.streams.find(stream_id)
        assert state is not None
        report = CallReport("request-2", status=200)
        payer = Payer(Guard(self.auth_mode, KeyStore(self.table)), self.reader, report)
        deadline = Deadline(time.monotonic() + 60)
        continuations = Continuations(self.settings, self.streams, self.connector(), deadline, payer)
        log_reader = LogReader(continuations, state, after, report, lambda: None, RHYTHM)
        data = b"".join(log_reader.chunks())
        log_reader.end()
        return data, report
