"""Objects of S3 joined into one by S3 itself: what is large is copied there, only what is small passes through here.

S3: Multipart upload limits. At most 10,000 parts; each but the last has at least 5 MiB; a copied range has at most
5 GiB. Planning is pure.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from sluice.aws.s3 import call_s3
from sluice.errors import AwsError

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_s3.type_defs import CompletedPartTypeDef


from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from sluice.aws.s3 import S3


class MultipartUpload:
    """Parts are numbered from 1. Raises as ``S3`` does."""

    def __init__(self, client: S3Client, bucket: str, key: str, upload_id: str) -> None:
        self._client = client
        self._bucket = bucket
        self._key = key
        self._upload_id = upload_id
        self._etags: dict[int, str] = {}

    def send(self, number: int, body: bytes) -> None:
        target = {"Bucket": self._bucket, "Key": self._key, "UploadId": self._upload_id, "PartNumber": number}
        self._etags[number] = call_s3(self._client.upload_part, **target, Body=body)["ETag"]

    def copy(self, number: int, source_key: str, start: int, end: int) -> None:
        """Copy the bytes [start, end) of an object of the same bucket."""
        target = {"Bucket": self._bucket, "Key": self._key, "UploadId": self._upload_id, "PartNumber": number}
        source = {"CopySource": {"Bucket": self._bucket, "Key": source_key}}
        limits = {"CopySourceRange": f"bytes={start}-{end - 1}"}
        answer = call_s3(self._client.upload_part_copy, **target, **source, **limits)
        self._etags[number] = answer["CopyPartResult"]["ETag"]

    def complete(self) -> None:
        parts: list[CompletedPartTypeDef] = [
            {"PartNumber": number, "ETag": etag} for number, etag in sorted(self._etags.items())
        ]
        target = {"Bucket": self._bucket, "Key": self._key, "UploadId": self._upload_id}
        call_s3(self._client.complete_multipart_upload, **target, MultipartUpload={"Parts": parts})

    def abort(self) -> None:
        """Drop what was sent. The bucket's lifecycle drops it where even this call fails."""
        target = {"Bucket": self._bucket, "Key": self._key, "UploadId": self._upload_id}
        try:
            call_s3(self._client.abort_multipart_upload, **target)
        except AwsError:
            return


@contextmanager
def open_multipart(client: S3Client, bucket: str, key: str, content_type: str) -> Iterator[MultipartUpload]:
    """Open an upload. The object appears when the block ends, and not at all when the block raises."""
    created = call_s3(client.create_multipart_upload, Bucket=bucket, Key=key, ContentType=content_type)
    upload = MultipartUpload(client, bucket, key, created["UploadId"])
    try:
        yield upload
        upload.complete()
    except BaseException:
        upload.abort()
        raise


MIN_PART = 5 << 20
MAX_COPY = 5 << 30
MAX_PARTS = 10_000
# Pieces joined to one in the first of two steps.
STEP = 1_000
# Each may hold a packed part, of 10 MiB at most.
_PARALLEL = 8


@dataclass(frozen=True, slots=True)
class JoinedObject:
    """One object to be joined; ``size`` in bytes."""

    key: str
    size: int


@dataclass(frozen=True, slots=True)
class ByteRange:
    """The bytes [start, end) of an object."""

    key: str
    start: int
    end: int

    @property
    def size(self) -> int:
        return self.end - self.start


@dataclass(frozen=True, slots=True)
class Part:
    """One part of a multipart upload: copied where it is one range, otherwise made of ranges that are downloaded."""

    ranges: tuple[ByteRange, ...]

    @property
    def size(self) -> int:
        return sum(each.size for each in self.ranges)

    @property
    def copied(self) -> bool:
        return len(self.ranges) == 1 and self.ranges[0].size >= MIN_PART


def plan_parts(pieces: Sequence[JoinedObject], min_part: int = MIN_PART, max_copy: int = MAX_COPY) -> list[Part]:
    """Lay out the parts that join the pieces in their order: all but the last have at least ``min_part`` bytes.

    A part of several ranges has fewer than twice ``min_part`` bytes.
    """
    parts: list[Part] = []
    packed: list[ByteRange] = []
    missing = min_part
    for piece in pieces:
        start = 0
        if packed:
            start = _filling(piece.size, missing, min_part)
            packed.append(ByteRange(piece.key, 0, start))
            missing -= start
            if missing <= 0:
                parts.append(Part(tuple(packed)))
                packed, missing = [], min_part
        rest = piece.size - start
        if rest >= min_part:
            parts += [Part((each,)) for each in _split(piece.key, start, piece.size, min_part, max_copy)]
        elif rest:
            packed.append(ByteRange(piece.key, start, piece.size))
            missing -= rest
    return [*parts, Part(tuple(packed))] if packed else parts


def _filling(size: int, missing: int, min_part: int) -> int:
    """Return how many bytes of a piece fill up the part before it: all, where the rest would be too short a part."""
    return size if size < missing + min_part else missing


def _split(key: str, start: int, end: int, min_part: int, max_copy: int) -> Iterator[ByteRange]:
    """Cut a range into ranges that can be copied, of which none is too small."""
    while end - start > max_copy:
        cut = start + min(max_copy, end - start - min_part)
        yield ByteRange(key, start, cut)
        start = cut
    yield ByteRange(key, start, end)


def join_objects(s3: S3, bucket: str, key: str, pieces: Sequence[JoinedObject], content_type: str) -> int:
    """Make one object of the pieces, all of the same bucket; return its size. Raises as ``S3`` does.

    More pieces than an upload has parts are joined in two steps, by way of objects beside the first piece.
    """
    filled = [piece for piece in pieces if piece.size]
    parts = plan_parts(filled)
    if len(parts) > MAX_PARTS:
        return _join_in_steps(s3, bucket, key, filled, content_type)
    if len(parts) <= 1 and not any(part.copied for part in parts):
        body = b"".join(_download(s3, bucket, part) for part in parts)
        s3.put(bucket, key, body, content_type)
    else:
        _upload(s3, bucket, key, parts, content_type)
    return sum(piece.size for piece in filled)


def _join_in_steps(s3: S3, bucket: str, key: str, pieces: Sequence[JoinedObject], content_type: str) -> int:
    groups = [pieces[start : start + STEP] for start in range(0, len(pieces), STEP)]
    joined = [
        JoinedObject(f"{group[0].key}.joined", join_objects(s3, bucket, f"{group[0].key}.joined", group, content_type))
        for group in groups
    ]
    return join_objects(s3, bucket, key, joined, content_type)


def _upload(s3: S3, bucket: str, key: str, parts: Sequence[Part], content_type: str) -> None:
    pool = ThreadPoolExecutor(_PARALLEL)
    with open_multipart(s3.client, bucket, key, content_type) as upload, pool:

        def send(number: int, part: Part) -> None:
            if part.copied:
                (only,) = part.ranges
                upload.copy(number, only.key, only.start, only.end)
            else:
                upload.send(number, _download(s3, bucket, part))

        list(pool.map(send, range(1, len(parts) + 1), parts))


def _download(s3: S3, bucket: str, part: Part) -> bytes:
    return b"".join(
        chunk for each in part.ranges for chunk in s3.stream(bucket, each.key, start=each.start, end=each.end)
    )
