"""What the simulator was asked: one record a call."""

import hashlib
import time
from collections import Counter, deque
from collections.abc import Iterable

from msgspec import Struct

from simulator.messages import Usage

_KEPT_CALLS = 100_000
_KEPT_BODY_BYTES = 64 * 1024
_KEPT_BODIES = 2_000
_SECRET_HEADERS = frozenset({"x-api-key", "authorization", "cookie"})


class Exchange(Struct, kw_only=True):
    """One call. Times are seconds since the epoch, real ones; `monotonic` is `time.monotonic()` at the start.

    `usage` is what an answer is charged for, read or not: all of it or, where it was broken off, what was written.
    `disconnected_at` is set when the client left before the end of the answer; `body` is kept of small
    requests only, and not of batches.
    """

    number: int
    request_id: str
    operation: str
    method: str
    path: str
    query: str
    headers: dict[str, str]
    key_sent_as: str | None
    key_sha256: str | None
    started_at: float
    monotonic: float
    body_bytes: int = 0
    body_sha256: str | None = None
    body: str | None = None
    model: str | None = None
    stream: bool = False
    status: int | None = None
    response_bytes: int = 0
    events: int = 0
    faults: list[str] = []
    batch_id: str | None = None
    usage: Usage | None = None
    ended_at: float | None = None
    disconnected_at: float | None = None

    @property
    def is_open(self) -> bool:
        """Whether the answer is still being sent."""
        return self.ended_at is None and self.disconnected_at is None

    def keep_body(self, body: bytes) -> None:
        """Note the size and digest of the request's body, and the body itself if it is small."""
        self.body_bytes = len(body)
        self.body_sha256 = hashlib.sha256(body).hexdigest()
        if len(body) <= _KEPT_BODY_BYTES:
            self.body = body.decode("utf-8", "replace")


class Summary(Struct):
    """All calls in figures; `calls` by operation and status."""

    calls: dict[str, dict[str, int]]
    open_calls: int
    disconnected_calls: int
    batches_created: int
    batch_requests: int
    input_tokens: int
    output_tokens: int


class Journal:
    """The calls, in the order in which they came."""

    def __init__(self) -> None:
        self._number = 0
        self._calls: deque[Exchange] = deque(maxlen=_KEPT_CALLS)
        self._with_body: deque[Exchange] = deque()

    def clear(self) -> None:
        """Forget all calls; numbers go on."""
        self._calls.clear()
        self._with_body.clear()

    def next_number(self) -> int:
        """The number of the next call."""
        self._number += 1
        return self._number

    def add(self, exchange: Exchange) -> None:
        """Append a call."""
        self._calls.append(exchange)
        self._with_body.append(exchange)
        if len(self._with_body) > _KEPT_BODIES:
            self._with_body.popleft().body = None

    def calls(self, *, operation: str | None = None, path: str | None = None, after: int = 0) -> list[Exchange]:
        """The calls of that operation and path, with a number above `after`."""
        return [
            call
            for call in self._calls
            if call.number > after and operation in (None, call.operation) and path in (None, call.path)
        ]

    def counts(self) -> dict[str, dict[str, int]]:
        """Calls by operation and status."""
        counts: dict[str, Counter[str]] = {}
        for call in self._calls:
            counts.setdefault(call.operation, Counter())[str(call.status)] += 1
        return {operation: dict(counter) for operation, counter in counts.items()}


def public_headers(headers: Iterable[tuple[str, str]]) -> dict[str, str]:
    """The headers without credentials."""
    return {name: value for name, value in headers if name not in _SECRET_HEADERS}


def key_digest(key: str) -> str:
    """What tells keys apart without telling them."""
    return hashlib.sha256(key.encode()).hexdigest()


def wall_clock() -> float:
    """Real seconds since the epoch."""
    return time.time()
