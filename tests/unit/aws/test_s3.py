"""S3 read in ranges, from servers that know ranges and from those that do not."""

from __future__ import annotations

import io
from collections.abc import Iterator
from typing import Any

import pytest
from botocore.exceptions import ClientError, EndpointConnectionError
from hypothesis import given
from hypothesis import strategies as st
from moto import mock_aws
from urllib3.exceptions import ProtocolError

from sluice.aws.s3 import PART_BYTES, S3
from sluice.errors import AwsError, AwsUnavailable, ObjectNotFound
from tests.world.aws import client

DATA = bytes(range(256)) * 40


class FakeS3:
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
    client: Any = FakeS3(knows_ranges=knows_ranges)
    chunks = S3(client).stream("bucket", "key", "version", start=start, end=end, chunk_bytes=chunk_bytes)
    assert b"".join(chunks) == DATA[start:end]


class BrokenBody(io.BytesIO):
    """A body whose connection breaks after so many bytes."""

    def __init__(self, data: bytes, breaks_after: int) -> None:
        super().__init__(data)
        self._left = breaks_after

    def read(self, size: int | None = -1, /) -> bytes:
        if self._left <= 0:
            raise ProtocolError("broken")
        data = super().read(min(size or 0, self._left))
        self._left -= len(data)
        return data


class BreakingS3:
    """Answers the first calls with bodies that break, each after so many bytes."""

    def __init__(self, breaks: list[int]) -> None:
        self.breaks = breaks
        self.ranges: list[str] = []

    def get_object(self, *, Bucket: str, Key: str, Range: str = "bytes=0-") -> dict[str, Any]:  # noqa: N803  boto3's names
        self.ranges.append(Range)
        first, _, last = Range.removeprefix("bytes=").partition("-")
        part = DATA[int(first) : int(last) + 1 if last else None]
        body = BrokenBody(part, self.breaks.pop(0)) if self.breaks else io.BytesIO(part)
        return {"Body": body, "ContentRange": Range}


@given(st.lists(st.integers(0, 9000), max_size=3), st.integers(1, 5000))
def test_a_read_that_breaks_is_taken_up_where_it_broke(breaks: list[int], chunk_bytes: int) -> None:
    client: Any = BreakingS3(breaks)
    assert b"".join(S3(client).stream("bucket", "key", chunk_bytes=chunk_bytes)) == DATA


def test_a_read_that_goes_on_breaking_is_given_up() -> None:
    client: Any = BreakingS3([10] * 9)
    with pytest.raises(AwsUnavailable, match="past byte 40"):
        list(S3(client).stream("bucket", "key"))


@pytest.fixture
def objects() -> Iterator[S3]:
    with mock_aws():
        client("s3").create_bucket(Bucket="bucket")
        yield S3(client("s3"))


def test_a_small_object_is_put_at_once(objects: S3) -> None:
    with objects.writer("bucket", "small") as writer:
        writer.write(b"one ")
        writer.write(b"two")

    assert objects.get("bucket", "small") == b"one two"
    assert objects.head("bucket", "small").size == writer.size == 7


@pytest.mark.parametrize("size", [PART_BYTES, PART_BYTES + 1, 2 * PART_BYTES + 5])
def test_a_large_object_is_put_in_parts(objects: S3, size: int) -> None:
    data = bytes(1 << 20)
    with objects.writer("bucket", "large") as writer:
        for _ in range(size >> 20):
            writer.write(data)
        writer.write(bytes(size & ((1 << 20) - 1)))

    assert objects.head("bucket", "large").size == size
    assert client("s3").list_multipart_uploads(Bucket="bucket").get("Uploads", []) == []


@pytest.mark.parametrize("size", [10, PART_BYTES + 10])
def test_an_object_whose_writing_fails_never_appears(objects: S3, size: int) -> None:
    def fail() -> None:
        with objects.writer("bucket", "failed") as writer:
            writer.write(bytes(size))
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()

    assert list(objects.list("bucket", "")) == []
    assert client("s3").list_multipart_uploads(Bucket="bucket").get("Uploads", []) == []


def test_objects_are_listed_under_their_prefix(objects: S3) -> None:
    for key in ("b/2", "a/1", "b/1"):
        objects.put("bucket", key, b"1")

    assert [each.key for each in objects.list("bucket", "b/")] == ["b/1", "b/2"]


def test_what_is_not_there_is_told_from_what_is_not_there_now(objects: S3) -> None:
    with pytest.raises(ObjectNotFound, match="s3://bucket/none"):
        objects.head("bucket", "none")
    with pytest.raises(ObjectNotFound):
        objects.get("bucket", "none")


@pytest.mark.parametrize(("start", "end"), [(5, 5), (9, 3), (7, None), (100, None), (100, 200)])
def test_a_range_that_holds_nothing_is_empty(objects: S3, start: int, end: int | None) -> None:
    objects.put("bucket", "seven", b"1234567")

    assert list(objects.stream("bucket", "seven", start=start, end=end)) == []


def refusal(code: str, status: int) -> ClientError:
    return ClientError({"Error": {"Code": code}, "ResponseMetadata": {"HTTPStatusCode": status}}, "PutObject")  # type: ignore[typeddict-item]  # all that is read


@pytest.mark.parametrize(
    ("error", "meaning"),
    [
        (refusal("SlowDown", 503), AwsUnavailable),
        (refusal("Unheard", 500), AwsUnavailable),
        (EndpointConnectionError(endpoint_url="https://s3"), AwsUnavailable),
        (refusal("AccessDenied", 403), AwsError),
        (refusal("NoSuchVersion", 404), ObjectNotFound),
    ],
)
def test_an_error_of_s3_says_whether_the_same_call_may_work_later(error: Exception, meaning: type[AwsError]) -> None:
    class Failing:
        def put_object(self, **_: Any) -> None:
            raise error

    client: Any = Failing()
    with pytest.raises(meaning) as raised:
        S3(client).put("bucket", "key", b"")
    assert type(raised.value) is meaning
