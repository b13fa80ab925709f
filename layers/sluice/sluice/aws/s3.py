"""S3: objects read and written as streams, so that memory does not grow with their size."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from botocore.exceptions import BotoCoreError, ClientError
from urllib3.exceptions import HTTPError

from sluice.errors import AwsError, AwsUnavailable, ObjectNotFound

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

CHUNK_BYTES = 1 << 18
# S3: Multipart upload limits. At most 10,000 parts; each but the last has at least 5 MiB. Parts grow with the object,
# from 8 MiB by 8 MiB each thousand parts, so that 10,000 of them reach over 400 GiB.
PART_BYTES = 8 << 20
_READ_TRIES = 4
_MISSING = frozenset({"NoSuchKey", "NoSuchVersion", "NoSuchUpload", "NotFound", "404", "MethodNotAllowed"})
_TRANSIENT = frozenset({"SlowDown", "InternalError", "ServiceUnavailable", "RequestTimeout", "OperationAborted"})


@dataclass(frozen=True, slots=True)
class ObjectInfo:
    """``size`` in bytes; ``version`` is None in a bucket without versions."""

    key: str
    size: int
    etag: str
    version: str | None


@dataclass(frozen=True, slots=True)
class S3:
    """Raises ObjectNotFound, AwsUnavailable where the same call may work later, AwsError for any other refusal."""

    client: S3Client

    def head(self, bucket: str, key: str, version: str | None = None) -> ObjectInfo:
        answer = call_s3(self.client.head_object, Bucket=bucket, Key=key, **_version(version))
        return ObjectInfo(key, answer["ContentLength"], answer["ETag"].strip('"'), answer.get("VersionId"))

    def get(self, bucket: str, key: str, version: str | None = None) -> bytes:
        """Read a small object whole."""
        return b"".join(self.stream(bucket, key, version))

    def stream(
        self,
        bucket: str,
        key: str,
        version: str | None = None,
        *,
        start: int = 0,
        end: int | None = None,
        chunk_bytes: int = CHUNK_BYTES,
    ) -> Iterator[bytes]:
        """Yield the bytes [start, end) in chunks; a connection that breaks is taken up again where it broke."""
        position, broken = start, 0
        if end is not None and end <= start:
            return
        while True:
            try:
                for chunk in self._chunks(bucket, key, version, position, end, chunk_bytes):
                    position += len(chunk)
                    yield chunk
            except (HTTPError, BotoCoreError, OSError) as error:
                broken += 1
                if broken == _READ_TRIES:
                    raise AwsUnavailable(f"s3://{bucket}/{key} could not be read past byte {position}.") from error
            else:
                return

    def _chunks(
        self, bucket: str, key: str, version: str | None, start: int, end: int | None, chunk_bytes: int
    ) -> Iterator[bytes]:
        if end is not None and start >= end:
            return
        limits = {} if start == 0 and end is None else {"Range": f"bytes={start}-{'' if end is None else end - 1}"}
        try:
            answer = call_s3(self.client.get_object, Bucket=bucket, Key=key, **limits, **_version(version))
        except _RangeEmpty:
            return
        body = answer["Body"]
        chunks: Iterator[bytes] = iter(lambda: body.read(chunk_bytes), b"")
        if limits and "ContentRange" not in answer:
            # A server may answer a range with the whole (RFC 9110, 14.2); emulators do, where a version is named.
            chunks = _cut_out(chunks, start, end)
        try:
            yield from chunks
        finally:
            body.close()

    def put(self, bucket: str, key: str, body: bytes, content_type: str = "application/octet-stream") -> None:
        call_s3(self.client.put_object, Bucket=bucket, Key=key, Body=body, ContentType=content_type)

    def begin(self, bucket: str, key: str, content_type: str = "application/x-ndjson") -> Writer:
        """Begin an object that is written over a longer time; the caller finishes or aborts it."""
        return Writer(self.client, bucket, key, content_type)

    @contextmanager
    def writer(self, bucket: str, key: str, content_type: str = "application/x-ndjson") -> Iterator[Writer]:
        """Open an object for writing. It appears whole when the block ends, and not at all when the block raises."""
        writer = self.begin(bucket, key, content_type)
        try:
            yield writer
        except BaseException:
            writer.abort()
            raise
        writer.finish()

    def delete(self, bucket: str, objects: Sequence[ObjectVersion]) -> None:
        """Delete up to 1,000 objects, or the versions that are named. What is not there counts as deleted."""
        named = [{"Key": each.key, **_version(each.version)} for each in objects]
        answer = call_s3(self.client.delete_objects, Bucket=bucket, Delete={"Objects": named, "Quiet": True})
        if failed := answer.get("Errors"):
            raise AwsUnavailable(f"S3 said {failed[0].get('Code')} about {len(failed)} objects to be deleted.")

    def versions(self, bucket: str, prefix: str) -> Iterator[ObjectVersion]:
        """Yield the versions of all objects under a prefix, and the marks of those that were deleted."""
        request: dict[str, Any] = {"Bucket": bucket, "Prefix": prefix}
        while True:
            page = call_s3(self.client.list_object_versions, **request)
            for entry in (*page.get("Versions", ()), *page.get("DeleteMarkers", ())):
                yield ObjectVersion(entry["Key"], entry["VersionId"])
            if not page.get("IsTruncated"):
                return
            request |= {"KeyMarker": page["NextKeyMarker"], "VersionIdMarker": page["NextVersionIdMarker"]}

    def list(self, bucket: str, prefix: str) -> Iterator[ObjectInfo]:
        """Yield the objects under a prefix, in the order of their keys."""
        request: dict[str, Any] = {"Bucket": bucket, "Prefix": prefix}
        while True:
            page = call_s3(self.client.list_objects_v2, **request)
            for entry in page.get("Contents", ()):
                yield ObjectInfo(entry["Key"], entry["Size"], entry["ETag"].strip('"'), None)
            if not page.get("IsTruncated"):
                return
            request["ContinuationToken"] = page["NextContinuationToken"]


@dataclass(frozen=True, slots=True)
class ObjectVersion:
    """An object, or one version of it."""

    key: str
    version: str | None


class Writer:
    """One object being written: a single put where it stays small, a multipart upload where it does not."""

    def __init__(self, client: S3Client, bucket: str, key: str, content_type: str) -> None:
        self.size = 0
        self._client = client
        self._target = {"Bucket": bucket, "Key": key}
        self._content_type = content_type
        self._buffer = bytearray()
        self._upload_id: str | None = None
        self._etags: list[str] = []

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self._buffer += data
        self.size += len(data)
        if len(self._buffer) >= PART_BYTES * (1 + len(self._etags) // 1000):
            self._send_part()

    def finish(self) -> None:
        """Make the object appear. Raises as ``S3`` does; what was sent is then dropped."""
        if self._upload_id is None:
            body = bytes(self._buffer)
            call_s3(self._client.put_object, **self._target, Body=body, ContentType=self._content_type)
            return
        try:
            if self._buffer:
                self._send_part()
            parts = [{"PartNumber": number, "ETag": etag} for number, etag in enumerate(self._etags, 1)]
            upload = {"UploadId": self._upload_id, "MultipartUpload": {"Parts": parts}}
            call_s3(self._client.complete_multipart_upload, **self._target, **upload)
        except BaseException:
            self.abort()
            raise

    def abort(self) -> None:
        """Drop what was sent. The bucket's lifecycle drops it where even this call fails."""
        if self._upload_id is not None:
            upload_id, self._upload_id = self._upload_id, None
            try:
                call_s3(self._client.abort_multipart_upload, **self._target, UploadId=upload_id)
            except AwsError:
                return

    def _send_part(self) -> None:
        if self._upload_id is None:
            created = call_s3(self._client.create_multipart_upload, **self._target, ContentType=self._content_type)
            self._upload_id = created["UploadId"]
        # Sent without a copy: two parts in memory would be the most that writing needs.
        part = {"PartNumber": len(self._etags) + 1, "UploadId": self._upload_id, "Body": self._buffer}
        self._etags.append(call_s3(self._client.upload_part, **self._target, **part)["ETag"])
        self._buffer = bytearray()


class _RangeEmpty(AwsError):
    """The range begins at or after the end of the object."""


def _cut_out(chunks: Iterator[bytes], start: int, end: int | None) -> Iterator[bytes]:
    """Yield the bytes [start, end) of a whole object."""
    offset = 0
    for chunk in chunks:
        if part := chunk[max(start - offset, 0) : None if end is None else end - offset]:
            yield part
        offset += len(chunk)
        if end is not None and offset >= end:
            return


def _version(version: str | None) -> dict[str, str]:
    return {} if version is None else {"VersionId": version}


def call_s3(call: Callable[..., Any], **kwargs: Any) -> Any:
    """Make a call of the client and map its errors as ``S3`` says."""
    try:
        return call(**kwargs)
    except ClientError as error:
        raise _aws_error(error, f"s3://{kwargs.get('Bucket')}/{kwargs.get('Key', '')}") from error
    except (BotoCoreError, HTTPError, OSError) as error:
        raise AwsUnavailable(f"S3 could not be reached ({type(error).__name__}).") from error


def _aws_error(error: ClientError, where: str) -> AwsError:
    code = error.response.get("Error", {}).get("Code", "")
    status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
    if code in _MISSING:
        return ObjectNotFound(f"{where} is not there.")
    if code == "InvalidRange":
        return _RangeEmpty(where)
    if code in _TRANSIENT or status >= 500:
        return AwsUnavailable(f"S3 said {code} about {where}.")
    return AwsError(f"S3 said {code} about {where}.")
