"""Links to S3 for those who have no credentials of AWS: to upload one object, whole or by parts, and to download one.

A link is bound to its object, to the bytes that are sent where it uploads, and to a short time (S3: Sharing objects
with presigned URLs). It dies at the latest with the credentials of the function that signed it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sluice.aws.s3 import S3, ObjectInfo, call_s3
from sluice.errors import AwsError

# S3: Multipart upload limits. 10,000 parts of up to 5 GiB; an object has 5 TiB at most. 100 MB are what S3 itself
# advises to send in one piece.
MAX_PARTS = 10_000
MAX_OBJECT_BYTES = 5 << 40
ONE_PUT_BYTES = 100 << 20
_PART_BYTES, _STEP_BYTES = 64 << 20, 1 << 20


def part_size_of(size: int) -> int:
    """Return the bytes of each part of an upload but the last, which may be smaller."""
    least = -(-size // MAX_PARTS)
    return max(_PART_BYTES, -(-least // _STEP_BYTES) * _STEP_BYTES)


@dataclass(frozen=True, slots=True)
class UploadedPart:
    """A part that has come; ``size`` in bytes."""

    number: int
    size: int
    etag: str


@dataclass(frozen=True, slots=True)
class ObjectLinks:
    """Links to one object. Raises as ``S3`` does."""

    s3: S3
    bucket: str
    key: str

    def put(self, size: int, seconds: int) -> str:
        """Sign a PUT of exactly ``size`` bytes."""
        return self._sign("put_object", seconds, ContentLength=size)

    def part(self, upload_id: str, number: int, size: int, seconds: int) -> str:
        """Sign a PUT of exactly ``size`` bytes as one part of an upload."""
        return self._sign("upload_part", seconds, UploadId=upload_id, PartNumber=number, ContentLength=size)

    def get(self, seconds: int, disposition: str) -> str:
        """Sign a GET; ``disposition`` is the header content-disposition of its answer."""
        return self._sign("get_object", seconds, ResponseContentDisposition=disposition)

    def begin(self) -> str:
        """Begin an upload by parts; return its id."""
        created = call_s3(self.s3.client.create_multipart_upload, Bucket=self.bucket, Key=self.key)
        return str(created["UploadId"])

    def parts(self, upload_id: str) -> list[UploadedPart]:
        """List the parts that have come. Raises ObjectNotFound where the upload is over."""
        request: dict[str, Any] = {"Bucket": self.bucket, "Key": self.key, "UploadId": upload_id}
        found: list[UploadedPart] = []
        while True:
            page = call_s3(self.s3.client.list_parts, **request)
            found += (UploadedPart(each["PartNumber"], each["Size"], each["ETag"]) for each in page.get("Parts", ()))
            if not page.get("IsTruncated"):
                return found
            request["PartNumberMarker"] = page["NextPartNumberMarker"]

    def complete(self, upload_id: str, parts: list[UploadedPart]) -> ObjectInfo:
        """Make the object of its parts. Raises ObjectNotFound where the upload is over."""
        named = [{"PartNumber": each.number, "ETag": each.etag} for each in parts]
        target = {"Bucket": self.bucket, "Key": self.key, "UploadId": upload_id}
        answer = call_s3(self.s3.client.complete_multipart_upload, **target, MultipartUpload={"Parts": named})
        return self._made(answer, sum(each.size for each in parts))

    def abort(self, upload_id: str) -> None:
        """Drop an upload. The bucket's lifecycle drops it where even this call fails."""
        try:
            call_s3(self.s3.client.abort_multipart_upload, Bucket=self.bucket, Key=self.key, UploadId=upload_id)
        except AwsError:
            return

    def store(self, body: bytes) -> ObjectInfo:
        """Write the object whole."""
        answer = call_s3(self.s3.client.put_object, Bucket=self.bucket, Key=self.key, Body=body)
        return self._made(answer, len(body))

    def copy_from(self, bucket: str, key: str, size: int) -> ObjectInfo:
        """Copy another object here, of 5 GB at most (S3: CopyObject)."""
        source = {"Bucket": bucket, "Key": key}
        answer = call_s3(self.s3.client.copy_object, Bucket=self.bucket, Key=self.key, CopySource=source)
        return self._made({"VersionId": answer.get("VersionId"), **answer["CopyObjectResult"]}, size)

    def _made(self, answer: Mapping[str, Any], size: int) -> ObjectInfo:
        return ObjectInfo(self.key, size, answer["ETag"].strip('"'), answer.get("VersionId"))

    def _sign(self, call: str, seconds: int, **params: object) -> str:
        named: dict[str, Any] = {"Bucket": self.bucket, "Key": self.key, **params}
        return str(self.s3.client.generate_presigned_url(call, Params=named, ExpiresIn=seconds))
