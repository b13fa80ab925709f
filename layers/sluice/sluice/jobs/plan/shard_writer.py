"""The shard that is being filled: where its lines will be read from, its ids, its length."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from sluice.aws.s3 import Writer
from sluice.claude.versions import OLDER_VERSION
from sluice.jobs.edits import Edit, encode_edit
from sluice.jobs.model import Shard, ShardRef, Source, Upload, nonce_of
from sluice.jobs.outbox import Outbox
from sluice.jobs.requests import FRAME_BYTES, body_length

# Claude API: Errors. One request has at most 32 MB.
MAX_REQUEST_BYTES = 32_000_000
# A nonce in place of the shortest custom_id makes a body longer, by less than this.
_NONCE_ROOM = 64
# The results of a shard are put in order on the disk of a function (Lambda: 10 GB at most). A token is about four bytes
# of prose, and more of JSON and of code; where all answers are as long as they may be, eight bytes each still fit.
MAX_SHARD_TOKENS = 1_250_000_000


@dataclass(frozen=True, slots=True)
class ShardLimits:
    """The most that one batch may have: requests, bytes of the whole body, and tokens of all answers together.

    Each answer may be asked for again with ``retry_max_tokens``.
    """

    max_requests: int
    max_bytes: int
    retry_max_tokens: int = 0
    max_tokens: int = MAX_SHARD_TOKENS

    @property
    def longest_line(self) -> int:
        """The bytes of the longest request that fits, without a newline."""
        return min(MAX_REQUEST_BYTES, self.max_bytes - FRAME_BYTES - _NONCE_ROOM - 1)

    def tokens_of(self, max_tokens: int) -> int:
        """Return the tokens that an answer may have in the end."""
        return max(max_tokens, self.retry_max_tokens)

    def room(self, requests: int, lines_length: int, tokens: int, each: int) -> tuple[int, int]:
        """Return how many more requests, and bytes of lines with their newlines, a shard can take.

        ``tokens`` is what the answers of those that it has may come to, ``each`` what that of a further one may.
        """
        answers = (self.max_tokens - tokens) // each
        # One request fits into any empty shard.
        further = min(self.max_requests - requests, answers if requests else max(answers, 1))
        return further, self.max_bytes - FRAME_BYTES - _NONCE_ROOM - lines_length


def fitting_lines(run: bytes, count: int, max_lines: int, max_bytes: int) -> tuple[int, int]:
    """Return how many of the first lines of a run of ``count`` fit, and how many bytes they have."""
    if count <= max_lines and len(run) <= max_bytes:
        return count, len(run)
    end = run.rfind(b"\n", 0, max(max_bytes, 0)) + 1
    lines = run.count(b"\n", 0, end)
    if lines <= max_lines:
        return lines, end
    if max_lines <= 0:
        return 0, 0
    left_over = run[:end].split(b"\n", max_lines)[-1]
    return max_lines, end - len(left_over)


@dataclass(frozen=True, slots=True)
class LineRun:
    """Lines that have ``length`` bytes at ``offset``, without their last newline, and are sent as ``text``, with it.

    ``edit`` makes the one of the other, where they differ.
    """

    offset: int
    length: int
    text: bytes
    edit: Edit | None = None


class ShardLines(Protocol):
    """Where the lines of a shard are left for those who send them."""

    def take(self, piece: LineRun) -> None: ...

    def close(self) -> Source: ...

    def abandon(self) -> None: ...


class UploadRange:
    """Lines left where they are; what lies between them, and what changes in them, becomes edits."""

    def __init__(self, outbox: Outbox, edits_key: str, upload: Upload) -> None:
        self._outbox = outbox
        self._edits_key = edits_key
        self._upload = upload
        self._start: int | None = None
        self._end = 0
        self._writer: Writer | None = None

    def take(self, piece: LineRun) -> None:
        if self._start is None:
            self._start = piece.offset
        elif piece.offset > self._end + 1:
            self._write(Edit(self._end + 1, piece.offset - self._end - 1))
        if piece.edit is not None:
            self._write(piece.edit)
        self._end = piece.offset + piece.length

    def close(self) -> Source:
        edits_key = None
        if self._writer is not None:
            self._writer.finish()
            edits_key = self._edits_key
        upload = self._upload
        return Source(upload.bucket, upload.key, upload.version, self._start or 0, self._end, edits_key)

    def abandon(self) -> None:
        if self._writer is not None:
            self._writer.abort()

    def _write(self, edit: Edit) -> None:
        if self._writer is None:
            self._writer = self._outbox.begin(self._edits_key)
        self._writer.write(encode_edit(edit))


class LineCopy:
    """Lines written into an object of their own, for what does not lie in the upload as it is sent."""

    def __init__(self, outbox: Outbox, key: str) -> None:
        self._writer = outbox.begin(key)
        self._source = outbox.bucket, key

    def take(self, piece: LineRun) -> None:
        self._writer.write(piece.text)

    def close(self) -> Source:
        self._writer.finish()
        bucket, key = self._source
        return Source(bucket, key, None, 0, self._writer.size - 1)

    def abandon(self) -> None:
        self._writer.abort()


class ShardWriter:
    """A shard being filled. ``bucket`` makes the nonce this stack's own.

    ``betas`` and ``version`` are those of the settings. Without a version, one of its requests that needs the older
    version of the API takes the others with it.
    """

    def __init__(
        self,
        ref: ShardRef,
        bucket: str,
        limits: ShardLimits,
        lines: ShardLines,
        betas: str | None,
        version: str | None = None,
    ) -> None:
        self.ref = ref
        self.count = 0
        self.ids = bytearray()
        self._nonce = nonce_of(ref, bucket)
        self._limits = limits
        self._lines = lines
        self._betas = betas
        self._version = version
        self._length = 0
        self._tokens = 0
        self._first_line = b""

    def room(self, max_tokens: int) -> tuple[int, int]:
        """Return the room for requests of ``max_tokens`` each, and for bytes of lines with their newlines."""
        return self._limits.room(self.count, self._length, self._tokens, self._limits.tokens_of(max_tokens))

    def take(self, piece: LineRun, ids: Sequence[str], max_tokens: int, *, older: bool = False) -> None:
        """Take lines, the ``custom_id`` of each, and a ``max_tokens`` that they do not exceed on the average.

        ``older``: one of them needs the older version of the API.
        """
        if older and self._version is None:
            self._version = OLDER_VERSION
        if not self.count:
            self._first_line = piece.text.partition(b"\n")[0]
        self._lines.take(piece)
        self.ids += "\n".join((*ids, "")).encode()
        self.count += len(ids)
        self._length += len(piece.text)
        self._tokens += len(ids) * self._limits.tokens_of(max_tokens)

    def close(self, ids_key: str) -> Shard:
        """Finish the objects with the lines; the ids are the caller's to put."""
        length = body_length(self._length, self._first_line, self._nonce)
        source = self._lines.close()
        return Shard(
            self.ref, source, self.count, length, ids_key, self._nonce, betas=self._betas, version=self._version
        )

    def abandon(self) -> None:
        """Let none of its objects appear."""
        self._lines.abandon()
