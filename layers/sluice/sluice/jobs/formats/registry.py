"""Open an upload as what its name says that it is."""

from __future__ import annotations

from collections.abc import Iterator

from sluice.aws.s3 import S3
from sluice.jobs.formats.base import InputFile
from sluice.jobs.formats.check import LineRules
from sluice.jobs.formats.csv import CsvInput
from sluice.jobs.formats.gzip import skip_bytes, unpack
from sluice.jobs.formats.jsonl import JsonlInput
from sluice.jobs.formats.kinds import Kind
from sluice.jobs.formats.txt import TxtInput
from sluice.jobs.job_settings import EffectiveSettings
from sluice.jobs.model import Upload

# Small enough to stay in the processor's cache while a block is checked, large enough not to spend its time on calls.
_CHUNK_BYTES = 1 << 18


def open_upload(s3: S3, upload: Upload, effective: EffectiveSettings, rules: LineRules) -> InputFile:
    """Open a file to be read as requests. Raises UnreadableInput for a kind that cannot be."""
    file = upload.format

    def chunks(offset: int = 0) -> Iterator[bytes]:
        return read_upload(s3, upload, offset)

    match file.kind:
        case Kind.JSONL:
            return JsonlInput(chunks, rules, in_place=not file.gzipped)
        case Kind.TABLE:
            return CsvInput(chunks, effective, rules)
        case Kind.TEXT:
            return TxtInput(chunks, effective, rules)


def read_upload(s3: S3, upload: Upload, offset: int = 0) -> Iterator[bytes]:
    """Yield the bytes of an upload from an offset on, unpacked. Raises UnreadableInput, or as ``S3`` does."""
    if upload.format.gzipped:
        packed = s3.stream(upload.bucket, upload.key, upload.version, chunk_bytes=_CHUNK_BYTES)
        return skip_bytes(unpack(packed), offset)
    return s3.stream(upload.bucket, upload.key, upload.version, start=offset, chunk_bytes=_CHUNK_BYTES)
