"""Open an upload as what its name says that it is."""

from __future__ import annotations

from collections.abc import Iterator

from sluice.aws.objects import Objects
from sluice.jobs.inputs.batches import Input
from sluice.jobs.inputs.jsonl import JsonlInput
from sluice.jobs.inputs.kinds import Kind, kind_of_file
from sluice.jobs.inputs.lines import LineRules
from sluice.jobs.inputs.packed import skip_bytes, unpack
from sluice.jobs.inputs.plain import TextInput
from sluice.jobs.inputs.table import TableInput
from sluice.jobs.model import Upload
from sluice.jobs.pinned import Pinned

# Small enough to stay in the processor's cache while a block is checked, large enough not to spend its time on calls.
_CHUNK_BYTES = 1 << 18


def open_upload(objects: Objects, upload: Upload, pinned: Pinned, rules: LineRules) -> Input:
    """Open a file to be read as requests. Raises UnreadableInput for a kind that cannot be."""
    file = kind_of_file(upload.key)

    def chunks(offset: int = 0) -> Iterator[bytes]:
        return read_upload(objects, upload, offset)

    match file.kind:
        case Kind.JSONL:
            return JsonlInput(chunks, rules, in_place=not file.packed)
        case Kind.TABLE:
            return TableInput(chunks, pinned, rules)
        case Kind.TEXT:
            return TextInput(chunks, pinned, rules)


def read_upload(objects: Objects, upload: Upload, offset: int = 0) -> Iterator[bytes]:
    """Yield the bytes of an upload from an offset on, unpacked. Raises UnreadableInput, or as ``Objects`` does."""
    if kind_of_file(upload.key).packed:
        packed = objects.stream(upload.bucket, upload.key, upload.version, chunk_bytes=_CHUNK_BYTES)
        return skip_bytes(unpack(packed), offset)
    return objects.stream(upload.bucket, upload.key, upload.version, start=offset, chunk_bytes=_CHUNK_BYTES)
