"""The bytes of an upload: unpacked where they are packed, whatever its name says."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property
from pathlib import PurePosixPath

from sluice.aws.s3 import S3
from sluice.errors import ObjectNotFound, UnreadableInput
from sluice.jobs.formats.gzip import GZIP_MARK, skip_bytes, unpack
from sluice.jobs.model import Upload

# Small enough to stay in the processor's cache while a block is checked, large enough not to spend its time on calls.
_CHUNK_BYTES = 1 << 18
# Of these, a kind of file is known.
_HEAD_BYTES = 1 << 16
# Of text in any encoding whose letters are bytes.
_TEXT_BYTES = b"\t\n\r\f\x1a" + bytes(range(32, 256))


class UploadBytes:
    """A ``SourceBytes``. Its first bytes are read when they are first asked for."""

    def __init__(self, s3: S3, upload: Upload) -> None:
        self.name = upload.key
        self._s3 = s3
        self._upload = upload

    @cached_property
    def gzipped(self) -> bool:
        """Whether it is packed with gzip. Browsers unpack a file and keep its name, so that .gz alone says nothing."""
        head = self._packed_head
        return head.startswith(GZIP_MARK) or (self.name.lower().endswith(".gz") and not self._is_plain(head))

    @cached_property
    def head(self) -> bytes:
        """The first bytes, unpacked; as far as they can be."""
        if not self.gzipped:
            return self._packed_head
        head = bytearray()
        try:
            for chunk in unpack((self._packed_head,)):
                head += chunk
                if len(head) >= _HEAD_BYTES:
                    break
        except UnreadableInput:
            # Only the beginning was unpacked; whether the file is whole shows when it is read.
            pass
        return bytes(head[:_HEAD_BYTES])

    def chunks(self, offset: int = 0) -> Iterator[bytes]:
        """Yield all bytes from an offset on. Raises UnreadableInput, or as ``S3`` does."""
        upload = self._upload
        if self.gzipped:
            packed = self._s3.stream(upload.bucket, upload.key, upload.version, chunk_bytes=_CHUNK_BYTES)
            return skip_bytes(unpack(packed), offset)
        return self._s3.stream(upload.bucket, upload.key, upload.version, start=offset, chunk_bytes=_CHUNK_BYTES)

    def _is_plain(self, head: bytes) -> bool:
        """Return whether a file that is named as if it were packed is not, and reads as what its name says besides."""
        if PurePosixPath(self.name.lower().removesuffix(".gz")).suffix in (".jsonl", ".ndjson", ".json"):
            return head.lstrip()[:1] in (b"{", b"[", b"")
        return not head.translate(None, _TEXT_BYTES)

    @cached_property
    def _packed_head(self) -> bytes:
        upload = self._upload
        try:
            return b"".join(self._s3.stream(upload.bucket, upload.key, upload.version, end=_HEAD_BYTES))
        except ObjectNotFound:
            raise UnreadableInput("The file was deleted before all of it was read.") from None
