"""Objects joined by S3 itself, as moto does it, which refuses parts that are too small."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from unittest.mock import patch

import boto3
import pytest
from moto import mock_aws

from sluice.aws import s3_join
from sluice.aws.s3 import S3
from sluice.aws.s3_join import MIN_PART, JoinedObject, join_objects
from sluice.errors import AwsError

BUCKET = "outbox"


@pytest.fixture
def objects() -> Iterator[S3]:
    with mock_aws():
        client = boto3.client("s3", region_name="us-east-1", aws_access_key_id="x", aws_secret_access_key="x")
        client.create_bucket(Bucket=BUCKET)
        yield S3(client)


def put(objects: S3, sizes: list[int]) -> tuple[list[JoinedObject], bytes]:
    pieces, whole = [], bytearray()
    for number, size in enumerate(sizes):
        body = hashlib.shake_128(str(number).encode()).digest(size)
        objects.put(BUCKET, f"parts/{number}", body)
        pieces.append(JoinedObject(f"parts/{number}", size))
        whole += body
    return pieces, bytes(whole)


@pytest.mark.parametrize(
    "sizes",
    [
        [],
        [0, 0],
        [10, 0, 20],
        [MIN_PART],
        [MIN_PART + 1, 3],
        [3, MIN_PART + 1],
        [100, 2 * MIN_PART + 50, 7, 7, MIN_PART, 0, 9],
    ],
)
def test_the_pieces_become_one_object(objects: S3, sizes: list[int]) -> None:
    pieces, whole = put(objects, sizes)
    assert join_objects(objects, BUCKET, "job/results.jsonl", pieces, "application/x-ndjson") == len(whole)
    assert objects.get(BUCKET, "job/results.jsonl") == whole


def test_more_pieces_than_an_upload_has_parts_are_joined_in_two_steps(objects: S3) -> None:
    pieces, whole = put(objects, [MIN_PART + number for number in range(5)])
    with patch.object(s3_join, "MAX_PARTS", 4), patch.object(s3_join, "STEP", 2):
        join_objects(objects, BUCKET, "job/results.jsonl", pieces, "application/x-ndjson")
    assert objects.get(BUCKET, "job/results.jsonl") == whole


def test_a_join_that_fails_leaves_nothing(objects: S3) -> None:
    pieces, _ = put(objects, [MIN_PART, MIN_PART])
    with pytest.raises(AwsError):
        join_objects(objects, BUCKET, "job/results.jsonl", [*pieces, JoinedObject("parts/9", MIN_PART)], "text/plain")
    assert [each.key for each in objects.list(BUCKET, "job/")] == []
    assert "Uploads" not in objects.client.list_multipart_uploads(Bucket=BUCKET)
