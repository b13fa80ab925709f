"""Objects read in ranges, from servers that know ranges and from those that do not."""

from __future__ import annotations

import io
from typing import Any

import pytest

from sluice.aws.objects import Objects

DATA = bytes(range(256)) * 40


class S3:
    """Answers with all of DATA, or, where it knows ranges, with what is asked for."""

    def __init__(self, *, knows_ranges: bool) -> None:
        self.knows_ranges = knows_ranges

    def get_object(self, *, Range: str, Bucket: str, Key: str, VersionId: str) -> dict[str, Any]:  # noqa: N803  the names are boto3's
        first, _, last = Range.removeprefix("bytes=").partition("-")
        if not self.knows_ranges:
            return {"Body": io.BytesIO(DATA)}
        end = int(last) + 1 if last else len(DATA)
        return {"Body": io.BytesIO(DATA[int(first) : end]), "ContentRange": f"bytes {Range}/{len(DATA)}"}


@pytest.mark.parametrize("knows_ranges", [True, False])
@pytest.mark.parametrize("chunk_bytes", [7, 1000, 1 << 20])
@pytest.mark.parametrize(("start", "end"), [(0, 5), (3, 4), (999, 2001), (5000, 10240), (5000, None), (10239, None)])
def test_a_range_is_the_same_from_a_server_that_sends_the_whole(
    knows_ranges: bool, chunk_bytes: int, start: int, end: int | None
) -> None:
    client: Any = S3(knows_ranges=knows_ranges)
    chunks = Objects(client).stream("bucket", "key", "version", start=start, end=end, chunk_bytes=chunk_bytes)
    assert b"".join(chunks) == DATA[start:end]
