"""The next wave of a shard: its requests and their ids, written to the Outbox as they are decided on."""

from __future__ import annotations

from array import array
from collections import Counter
from contextlib import ExitStack
from types import TracebackType
from typing import Self

from sluice.aws.s3 import Writer
from sluice.jobs.collect.retry_policy import ResultKind, RetryPolicy, delay_before_next_wave
from sluice.jobs.model import Shard, ShardRef, Source, nonce_of
from sluice.jobs.outbox import NEXT, next_ids_key, next_lines_key, ordinals_key
from sluice.jobs.requests import body_length, read_request
from sluice.jobs.services import Services


class NextWave:
    """A context: its objects appear when the block ends, and only where a request was added."""

    def __init__(self, services: Services, shard: Shard) -> None:
        self.ordinals = array("I")
        self._services = services
        self._shard = shard
        self._kinds: Counter[ResultKind] = Counter()
        self._first_line = b""
        self._open = ExitStack()
        self._lines: Writer | None = None
        self._ids: Writer | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._open.__exit__(kind, error, trace)
        if error is None and self.ordinals:
            self._services.outbox.put_ordinals(self._shard.ref, NEXT, self.ordinals)

    def add(self, ordinal: int, line: bytes, kind: ResultKind) -> None:
        """Add a request (its line has no newline), at its place in the shard's first wave."""
        if self._lines is None or self._ids is None:
            outbox, ref = self._services.outbox, self._shard.ref
            self._lines = self._open.enter_context(outbox.writer(next_lines_key(ref)))
            self._ids = self._open.enter_context(outbox.writer(next_ids_key(ref)))
            self._first_line = line
        self._lines.write(line + b"\n")
        self._ids.write(read_request(line).custom_id.encode() + b"\n")
        self.ordinals.append(ordinal)
        self._kinds[kind] += 1

    def shard(self, policy: RetryPolicy) -> Shard | None:
        """Return the shard of what was added; None where that is nothing."""
        if self._lines is None:
            return None
        before, bucket = self._shard, self._services.outbox.bucket
        ref, now = ShardRef(before.ref.job_id, before.ref.shard, before.ref.wave + 1), self._services.now()
        nonce = nonce_of(ref, bucket)
        delay = delay_before_next_wave(policy, before.transient_waves, self._kinds)
        return Shard(
            ref=ref,
            source=Source(bucket, next_lines_key(before.ref), None, 0, self._lines.size - 1),
            count=len(self.ordinals),
            length=body_length(self._lines.size, self._first_line, nonce),
            ids_key=next_ids_key(before.ref),
            nonce=nonce,
            moved_at=now,
            ordinals_key=ordinals_key(before.ref, NEXT),
            betas=before.betas,
            version=before.version,
            transient_waves=delay.transient_waves,
            refusals=before.refusals + (ResultKind.REFUSED in self._kinds),
            not_before=now + delay.seconds if delay.seconds else 0.0,
        )
