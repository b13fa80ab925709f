"""S3 as files of one folder, so that a benchmark measures a step and not an emulator."""

from __future__ import annotations

from pathlib import Path
from typing import Any, BinaryIO

from botocore.exceptions import ClientError

from sluice.aws.objects import Objects


class _Body:
    """The bytes [start, end) of a file."""

    def __init__(self, file: BinaryIO, start: int, end: int) -> None:
        self._file = file
        self._left = end - start
        file.seek(start)

    def read(self, count: int) -> bytes:
        data = self._file.read(min(count, self._left))
        self._left -= len(data)
        return data

    def close(self) -> None:
        self._file.close()


class LocalS3:
    """The calls that ``Objects`` makes of boto3's client."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def path(self, bucket: str, key: str) -> Path:
        return self._folder / bucket / key.replace("/", "~")

    def get_object(self, **call: Any) -> dict[str, Any]:
        path = self.path(call["Bucket"], call["Key"])
        if not path.exists():
            missing: Any = {"Error": {"Code": "NoSuchKey"}, "ResponseMetadata": {"HTTPStatusCode": 404}}
            raise ClientError(missing, "GetObject")
        size = path.stat().st_size
        start, _, last = call.get("Range", "bytes=0-").removeprefix("bytes=").partition("-")
        end = min(int(last) + 1, size) if last else size
        return {"Body": _Body(path.open("rb", buffering=0), int(start), end), "ContentLength": end - int(start)}

    def put_object(self, **call: Any) -> dict[str, Any]:
        path = self.path(call["Bucket"], call["Key"])
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(call["Body"])
        return {"ETag": '"etag"'}

    def create_multipart_upload(self, **call: Any) -> dict[str, Any]:
        self.put_object(**call, Body=b"")
        return {"UploadId": call["Key"]}

    def upload_part(self, **call: Any) -> dict[str, Any]:
        with self.path(call["Bucket"], call["Key"]).open("ab") as file:
            file.write(call["Body"])
        return {"ETag": '"part"'}

    def complete_multipart_upload(self, **_call: Any) -> dict[str, Any]:
        return {}

    def abort_multipart_upload(self, **call: Any) -> dict[str, Any]:
        self.path(call["Bucket"], call["Key"]).unlink(missing_ok=True)
        return {}


def local_objects(folder: Path) -> Objects:
    client: Any = LocalS3(folder)
    return Objects(client)
