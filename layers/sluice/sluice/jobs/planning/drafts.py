"""The shard that is being filled: where its lines will be read from, its ids, its length."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from sluice.aws.objects import Objects, Writer
from sluice.jobs.model import Shard, ShardRef, Source, Upload, nonce_of
from sluice.jobs.planning.sharder import ShardLimits
from sluice.jobs.sources.body import body_length
from sluice.jobs.sources.edits import Edit, encode_edit


@dataclass(frozen=True, slots=True)
class Piece:
    """Lines that have ``length`` bytes at ``offset``, without their last newline, and are sent as ``text``, with it.

    ``edit`` makes the one of the other, where they differ.
    """

    offset: int
    length: int
    text: bytes
    edit: Edit | None = None


class Lines(Protocol):
    """Where the lines of a shard are left for those who send them."""

    def take(self, piece: Piece) -> None: ...

    def close(self) -> Source: ...

    def abandon(self) -> None: ...


class RangeOfUpload:
    """Lines left where they are; what lies between them, and what changes in them, becomes edits."""

    def __init__(self, objects: Objects, outbox: str, edits_key: str, upload: Upload) -> None:
        self._objects = objects
        self._edits = outbox, edits_key
        self._upload = upload
        self._start: int | None = None
        self._end = 0
        self._writer: Writer | None = None

    def take(self, piece: Piece) -> None:
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
            edits_key = self._edits[1]
        upload = self._upload
        return Source(upload.bucket, upload.key, upload.version, self._start or 0, self._end, edits_key)

    def abandon(self) -> None:
        if self._writer is not None:
            self._writer.abort()

    def _write(self, edit: Edit) -> None:
        if self._writer is None:
            self._writer = self._objects.begin(*self._edits)
        self._writer.write(encode_edit(edit))


class CopyOfLines:
    """Lines written into an object of their own, for what does not lie in the upload as it is sent."""

    def __init__(self, objects: Objects, outbox: str, key: str) -> None:
        self._writer = objects.begin(outbox, key)
        self._source = outbox, key

    def take(self, piece: Piece) -> None:
        self._writer.write(piece.text)

    def close(self) -> Source:
        self._writer.finish()
        bucket, key = self._source
        return Source(bucket, key, None, 0, self._writer.size - 1)

    def abandon(self) -> None:
        self._writer.abort()


class ShardDraft:
    """A shard being filled. ``bucket`` makes the nonce this stack's own."""

    def __init__(self, ref: ShardRef, bucket: str, limits: ShardLimits, lines: Lines, betas: str | None) -> None:
        self.ref = ref
        self.count = 0
        self.ids = bytearray()
        self._nonce = nonce_of(ref, bucket)
        self._limits = limits
        self._lines = lines
        self._betas = betas
        self._length = 0
        self._tokens = 0
        self._first_line = b""

    def room(self, max_tokens: int) -> tuple[int, int]:
        """Return the room for requests of ``max_tokens`` each, and for bytes of lines with their newlines."""
        return self._limits.room(self.count, self._length, self._tokens, self._limits.tokens_of(max_tokens))

    def take(self, piece: Piece, ids: Sequence[str], max_tokens: int) -> None:
        """Take lines, the ``custom_id`` of each, and a ``max_tokens`` that they do not exceed on the average."""
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
        return Shard(self.ref, source, self.count, length, ids_key, self._nonce, betas=self._betas)

    def abandon(self) -> None:
        """Let none of its objects appear."""
        self._lines.abandon()
