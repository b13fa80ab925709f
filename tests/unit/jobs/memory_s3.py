"""Objects in memory, as far as ``S3`` speaks to it; small and quick enough for tests with many examples."""

from __future__ import annotations

import io
import re
from typing import Any

from botocore.exceptions import ClientError

from sluice.aws.s3 import S3


class MemoryS3:
    """``objects`` by (bucket, key). ``uploads``: multipart uploads under way, which should be none at the end."""

    def __init__(self) -> None:
        self.objects: dict[tuple[str, str], bytes] = {}
        self.uploads: dict[str, dict[int, bytes]] = {}

    def get_object(self, **call: Any) -> dict[str, Any]:
        data = self._find(call)
        answer: dict[str, Any] = {}
        if wanted := re.fullmatch(r"bytes=(\d+)-(\d*)", call.get("Range", "")):
            start, last = int(wanted[1]), int(wanted[2]) if wanted[2] else len(data)
            if start >= len(data):
                raise _error("InvalidRange", 416)
            answer["ContentRange"] = f"bytes {start}-{min(last, len(data) - 1)}/{len(data)}"
            data = data[start : last + 1]
        return {**answer, "Body": io.BytesIO(data), "ContentLength": len(data)}

    def head_object(self, **call: Any) -> dict[str, Any]:
        return {"ContentLength": len(self._find(call)), "ETag": '"etag"'}

    def list_objects_v2(self, **call: Any) -> dict[str, Any]:
        keys = sorted(
            key for bucket, key in self.objects if bucket == call["Bucket"] and key.startswith(call["Prefix"])
        )
        return {"Contents": [{"Key": key, "Size": 0, "ETag": '"etag"'} for key in keys]}

    def put_object(self, **call: Any) -> dict[str, Any]:
        self.objects[call["Bucket"], call["Key"]] = bytes(call["Body"])
        return {"ETag": '"etag"'}

    def create_multipart_upload(self, **call: Any) -> dict[str, Any]:
        upload_id = f"upload-{len(self.uploads)}-{call['Key']}"
        self.uploads[upload_id] = {}
        return {"UploadId": upload_id}

    def upload_part(self, **call: Any) -> dict[str, Any]:
        self.uploads[call["UploadId"]][call["PartNumber"]] = bytes(call["Body"])
        return {"ETag": '"part"'}

    def complete_multipart_upload(self, **call: Any) -> dict[str, Any]:
        parts = self.uploads.pop(call["UploadId"])
        self.objects[call["Bucket"], call["Key"]] = b"".join(parts[number] for number in sorted(parts))
        return {}

    def abort_multipart_upload(self, **call: Any) -> dict[str, Any]:
        self.uploads.pop(call["UploadId"], None)
        return {}

    def _find(self, call: dict[str, Any]) -> bytes:
        try:
            return self.objects[call["Bucket"], call["Key"]]
        except KeyError:
            raise _error("NoSuchKey", 404) from None


def memory_objects() -> tuple[S3, MemoryS3]:
    client: Any = MemoryS3()
    return S3(client), client


def _error(code: str, status: int) -> ClientError:
    return ClientError({"Error": {"Code": code}, "ResponseMetadata": {"HTTPStatusCode": status}}, "GetObject")  # type: ignore[typeddict-item]  # as much of it as is looked at
