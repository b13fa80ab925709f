"""Requests and answers, which may be large: beside the task in the table while small, in S3 beyond that.

They are items of their own: a change of a task's state costs by the size of what it touches, and so stays cheap.
Beyond 32 KB a put to S3 costs less than the write units; below it, the table is quicker.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sluice.aws.objects import Objects

INLINE_BYTES = 32 * 1024


@dataclass(frozen=True, slots=True)
class Documents:
    """Raises as ``Objects`` does."""

    objects: Objects
    bucket: str

    def store(self, name: str, body: bytes) -> dict[str, object]:
        """Keep a JSON document and return the attributes that lead back to it. ``name`` is unique, without suffix."""
        if len(body) <= INLINE_BYTES:
            return {"document": body.decode()}
        key = f"work/tasks/{name}.json"
        self.objects.put(self.bucket, key, body, "application/json")
        return {"object_key": key}

    def load(self, item: Mapping[str, Any]) -> bytes:
        """Read what ``store`` kept."""
        if "document" in item:
            return str(item["document"]).encode()
        return self.objects.get(self.bucket, item["object_key"])
