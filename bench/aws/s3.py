"""Objects whose objects are runs of bytes in files: what S3 joins and copies by itself takes no time here either."""

from __future__ import annotations

import itertools
import os
import threading
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import msgspec
from botocore.exceptions import ClientError

from bench.aws.usage import Usage


class Run(msgspec.Struct, frozen=True):
    """The bytes [start, end) of a file."""

    path: str
    start: int
    end: int


Runs = list[Run]


class Body:
    """The bytes of runs, read as those of an answer are."""

    def __init__(self, runs: Iterable[Run]) -> None:
        self._runs = iter(runs)
        self._file = -1
        self._position = self._end = 0

    def read(self, count: int) -> bytes:
        while self._position == self._end:
            self.close()
            run = next(self._runs, None)
            if run is None:
                return b""
            self._file, self._position, self._end = os.open(run.path, os.O_RDONLY), run.start, run.end
        data = os.pread(self._file, min(count, self._end - self._position), self._position)
        self._position += len(data)
        return data

    def close(self) -> None:
        if self._file >= 0:
            os.close(self._file)
            self._file = -1


class FileS3:
    """The calls that Sluice makes of boto3's client, for any thread. ``objects`` by "bucket/key"."""

    def __init__(self, folder: Path, usage: Usage, objects: dict[str, Runs] | None = None) -> None:
        self.objects: dict[str, Runs] = objects or {}
        self._folder = folder
        self._usage = usage
        self._uploads: dict[str, dict[int, Runs]] = {}
        self._numbers = itertools.count()
        self._lock = threading.Lock()

    def adopt(self, bucket: str, key: str, path: Path) -> int:
        """Let a file that is there be an object; return its size."""
        size = path.stat().st_size
        self.objects[f"{bucket}/{key}"] = [Run(str(path), 0, size)]
        return size

    def get_object(self, **call: Any) -> dict[str, Any]:
        runs = self._find(call)
        size = _size(runs)
        first, _, last = call.get("Range", "bytes=0-").removeprefix("bytes=").partition("-")
        start, end = int(first), min(int(last) + 1, size) if last else size
        if "Range" in call and start >= size:
            raise _error("InvalidRange", 416)
        self._count("s3_get")
        self._count("s3_bytes", end - start)
        answer = {"Body": Body(_cut(runs, start, end)), "ContentLength": end - start}
        return answer | ({"ContentRange": f"bytes {start}-{end - 1}/{size}"} if "Range" in call else {})

    def head_object(self, **call: Any) -> dict[str, Any]:
        size = _size(self._find(call))
        self._count("s3_get")
        return {"ContentLength": size, "ETag": '"etag"'}

    def put_object(self, **call: Any) -> dict[str, Any]:
        runs = self._write(call["Body"])
        self.objects[_name(call)] = runs
        return {"ETag": '"etag"'}

    def list_objects_v2(self, **call: Any) -> dict[str, Any]:
        prefix = f"{call['Bucket']}/{call['Prefix']}"
        found = sorted((name, _size(runs)) for name, runs in self.objects.items() if name.startswith(prefix))
        self._count("s3_put", -(-len(found) // 1000) or 1)
        cut = len(call["Bucket"]) + 1
        return {"Contents": [{"Key": name[cut:], "Size": size, "ETag": '"etag"'} for name, size in found]}

    def create_multipart_upload(self, **_call: Any) -> dict[str, Any]:
        self._count("s3_put")
        upload_id = f"upload-{next(self._numbers)}"
        self._uploads[upload_id] = {}
        return {"UploadId": upload_id}

    def upload_part(self, **call: Any) -> dict[str, Any]:
        self._uploads[call["UploadId"]][call["PartNumber"]] = self._write(call["Body"])
        return {"ETag": '"part"'}

    def upload_part_copy(self, **call: Any) -> dict[str, Any]:
        first, _, last = call["CopySourceRange"].removeprefix("bytes=").partition("-")
        runs = _cut(self._find(call["CopySource"]), int(first), int(last) + 1)
        self._count("s3_put")
        self._count("s3_copied_bytes", _size(runs))
        self._uploads[call["UploadId"]][call["PartNumber"]] = runs
        return {"CopyPartResult": {"ETag": '"part"'}}

    def complete_multipart_upload(self, **call: Any) -> dict[str, Any]:
        parts = self._uploads.pop(call["UploadId"])
        self.objects[_name(call)] = [run for number in sorted(parts) for run in parts[number]]
        self._count("s3_put")
        return {}

    def abort_multipart_upload(self, **call: Any) -> dict[str, Any]:
        self._uploads.pop(call["UploadId"], None)
        return {}

    def read(self, bucket: str, key: str) -> bytes:
        """Read an object without being billed for it."""
        body = Body(self.objects[f"{bucket}/{key}"])
        return b"".join(iter(lambda: body.read(1 << 20), b""))

    def _write(self, data: bytes) -> Runs:
        path = self._folder / f"{os.getpid()}-{next(self._numbers)}"
        path.write_bytes(data)
        self._count("s3_put")
        self._count("s3_bytes", len(data))
        self._count("s3_written_bytes", len(data))
        return [Run(str(path), 0, len(data))]

    def _find(self, call: Mapping[str, Any]) -> Runs:
        try:
            return self.objects[_name(call)]
        except KeyError:
            self._count("s3_get")
            raise _error("NoSuchKey", 404) from None

    def _count(self, what: str, amount: int = 1) -> None:
        with self._lock:
            self._usage.add(what, amount)


def _name(call: Mapping[str, Any]) -> str:
    return f"{call['Bucket']}/{call['Key']}"


def _size(runs: Runs) -> int:
    return sum(run.end - run.start for run in runs)


def _cut(runs: Runs, start: int, end: int) -> Runs:
    """Return the bytes [start, end) of what the runs make together."""
    found: Runs = []
    for run in runs:
        length = run.end - run.start
        low, high = max(start, 0), min(end, length)
        if low < high:
            found.append(Run(run.path, run.start + low, run.start + high))
        start, end = start - length, end - length
    return found


def _error(code: str, status: int) -> ClientError:
    answer: Any = {"Error": {"Code": code}, "ResponseMetadata": {"HTTPStatusCode": status}}
    return ClientError(answer, "GetObject")
