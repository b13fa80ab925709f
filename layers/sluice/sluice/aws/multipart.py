"""A multipart upload whose parts are sent, or copied within S3, in any order and at the same time."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from sluice.aws.objects import call_s3
from sluice.errors import AwsError

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_s3.type_defs import CompletedPartTypeDef


class MultipartUpload:
    """Parts are numbered from 1. Raises as ``Objects`` does."""

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
