"""What stands in for AWS in benchmarks does what Sluice's own modules for AWS expect, and counts what is billed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from bench.aws.dynamodb import MemoryDynamoDb
from bench.aws.s3 import FileS3
from bench.aws.usage import Usage
from sluice.aws.dynamodb import Key, Put, Table, Update
from sluice.aws.s3 import PART_BYTES, S3
from sluice.aws.s3_join import JoinedObject, join_objects
from sluice.errors import ConditionFailed, ObjectNotFound

KEY = Key("JOB#a", "JOB")


@pytest.fixture
def usage() -> Usage:
    return Usage()


@pytest.fixture
def objects(tmp_path: Path, usage: Usage) -> S3:
    client: Any = FileS3(tmp_path, usage)
    return S3(client)


@pytest.fixture
def table(usage: Usage) -> Table:
    client: Any = MemoryDynamoDb(usage)
    return Table(client, "table")


def test_a_range_of_an_object_written_in_parts_is_read_across_them(objects: S3) -> None:
    data = bytes(range(256)) * (PART_BYTES // 128)
    with objects.writer("outbox", "large") as writer:
        writer.write(data[:PART_BYTES])
        writer.write(data[PART_BYTES:])

    start, end = PART_BYTES - 3, PART_BYTES + 5
    assert b"".join(objects.stream("outbox", "large", start=start, end=end)) == data[start:end]


def test_joined_objects_hold_their_pieces_in_order_though_nothing_was_copied(objects: S3, usage: Usage) -> None:
    pieces = [JoinedObject("a", 6 << 20), JoinedObject("b", 6 << 20)]
    for piece in pieces:
        objects.put("outbox", piece.key, piece.key.encode() * piece.size)

    join_objects(objects, "outbox", "joined", pieces, "text/plain")

    assert objects.get("outbox", "joined") == b"a" * (6 << 20) + b"b" * (6 << 20)
    assert usage.counts["s3_copied_bytes"] == 12 << 20


def test_an_object_that_is_not_there_is_not_found(objects: S3) -> None:
    with pytest.raises(ObjectNotFound):
        objects.get("outbox", "missing")


def test_a_change_needs_the_state_that_it_starts_from(table: Table) -> None:
    table.put(Put({"pk": KEY.pk, "sk": KEY.sk, "status": "planned"}))

    table.update(Update(KEY, set={"status": "running"}, where={"status": ("planned", "held")}))

    with pytest.raises(ConditionFailed):
        table.update(Update(KEY, set={"status": "running"}, where={"status": "planned"}))


def test_a_transaction_of_which_one_change_fails_changes_nothing(table: Table) -> None:
    table.put(Put({"pk": KEY.pk, "sk": KEY.sk, "open_shards": 2, "status": "held"}))
    other = Key("JOB#a", "SHARD#00000#00")

    with pytest.raises(ConditionFailed):
        table.transact(
            Put({"pk": other.pk, "sk": other.sk}), Update(KEY, add={"open_shards": -1}, where={"status": "running"})
        )

    assert table.get(other) is None
    assert (table.get(KEY) or {})["open_shards"] == 2


def test_a_write_of_an_open_item_is_billed_with_its_copy_in_the_index(table: Table, usage: Usage) -> None:
    table.put(Put({"pk": KEY.pk, "sk": KEY.sk, "open": "JOBS", "open_at": "JOB#a"}))
    assert usage.counts["dynamodb_write"] == 2

    table.update(Update(KEY, set={"status": "finished"}, remove=("open", "open_at")))
    table.update(Update(KEY, set={"status": "finished"}))
    assert usage.counts["dynamodb_write"] == 5
