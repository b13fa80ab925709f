"""Conditional writes, as DynamoDB carries them out, and what its errors mean."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any

import pytest
from botocore.exceptions import ClientError, EndpointConnectionError

from sluice.aws.dynamodb import Key, Put, Table, Update
from sluice.errors import AwsError, AwsUnavailable, ConditionFailed
from tests.world.aws import moto_table

KEY = Key("JOB#a", "JOB")
ITEM: dict[str, object] = {"pk": "JOB#a", "sk": "JOB", "status": "planned", "count": 2, "notices": {}}


@pytest.fixture
def table() -> Iterator[Table]:
    with moto_table() as table:
        table.put(Put(ITEM))
        yield table


def test_an_item_is_put_once_unless_it_may_be_replaced(table: Table) -> None:
    with pytest.raises(ConditionFailed):
        table.put(Put({**ITEM, "count": 9}))
    assert table.get(KEY) == ITEM

    table.put(Put({**ITEM, "count": 9}, replace=True))

    assert (table.get(KEY) or {})["count"] == 9


@pytest.mark.parametrize("key", [Key("TASK#" + "a" * 3000, "TASK"), Key("TASK#a", "é" * 600)])
def test_a_key_that_is_longer_than_any_item_can_have_finds_nothing(key: Key) -> None:
    # DynamoDB would refuse the call; moto does not.
    unreachable: Any = None
    table = Table(unreachable, "table")

    assert table.get(key) is None
    with pytest.raises(ConditionFailed):
        table.update(Update(key, set={"status": "released"}, where={"status": "open"}))


def test_one_update_sets_adds_removes_and_fills_maps(table: Table) -> None:
    update = Update(
        KEY,
        set={"status": "running", "at": 1.5},
        add={"count": -1},
        remove=("gone",),
        entries={("notices", "job.late"): "pending"},
        where={"status": ("planned", "received"), "hold": None},
    )

    changed = table.update(update)

    assert changed == {**ITEM, "status": "running", "at": 1.5, "count": 1, "notices": {"job.late": "pending"}}


@pytest.mark.parametrize(
    "where", [{"status": "held"}, {"status": ("a", "b")}, {"status": None}, {"status": "planned", "count": 3}]
)
def test_an_update_that_finds_something_else_changes_nothing(table: Table, where: dict[str, object]) -> None:
    with pytest.raises(ConditionFailed):
        table.update(Update(KEY, set={"status": "running"}, where=where))

    assert table.get(KEY) == ITEM


def test_an_update_makes_an_item_only_where_it_may(table: Table) -> None:
    missing = Key("JOB#b", "JOB")
    with pytest.raises(ConditionFailed):
        table.update(Update(missing, set={"status": "running"}))

    assert table.update(Update(missing, set={"status": "running"}, create=True))["status"] == "running"


def test_a_condition_of_ones_own_speaks_of_names_and_values(table: Table) -> None:
    def fewer_than(limit: int) -> Update:
        return Update(KEY, set={"status": "running"}, condition="#count < :count", values={"count": limit})

    with pytest.raises(ConditionFailed):
        table.update(fewer_than(2))

    assert table.update(fewer_than(3))["status"] == "running"


def test_a_transaction_changes_all_or_nothing(table: Table) -> None:
    fresh = Put({"pk": "BATCH#1", "sk": "BATCH"})
    table.transact(Update(KEY, add={"count": 1}), fresh)
    with pytest.raises(ConditionFailed):
        table.transact(Update(KEY, add={"count": 1}), fresh)

    assert (table.get(KEY) or {})["count"] == 3


def test_a_partition_is_read_in_order_and_by_prefix(table: Table) -> None:
    for number in (3, 1, 2):
        table.put(Put({"pk": "JOB#a", "sk": f"SHARD#{number}"}))

    assert [item["sk"] for item in table.query("JOB#a")] == ["JOB", "SHARD#1", "SHARD#2", "SHARD#3"]
    newest_first = table.query("JOB#a", "SHARD#", newest_first=True)
    assert [item["sk"] for item in newest_first] == ["SHARD#3", "SHARD#2", "SHARD#1"]


def test_only_what_is_open_is_in_the_index(table: Table) -> None:
    table.put(Put({"pk": "JOB#b", "sk": "JOB", "open": "JOBS", "open_at": "JOB#b"}))
    assert [item["pk"] for item in table.open("JOBS")] == ["JOB#b"]

    table.update(Update(Key("JOB#b", "JOB"), remove=("open", "open_at")))

    assert list(table.open("JOBS")) == []


def test_a_deleted_item_is_gone(table: Table) -> None:
    table.delete(KEY)

    assert table.get(KEY) is None


class Failing:
    """A DynamoDB that answers each call with the next of these errors, and then with nothing."""

    def __init__(self, *errors: Exception) -> None:
        self.errors = list(errors)
        self.calls = 0
        self.tokens: set[str | None] = set()

    def __getattr__(self, name: str) -> Any:
        def call(**request: Any) -> dict[str, Any]:
            self.calls += 1
            self.tokens.add(request.get("ClientRequestToken"))
            if self.errors:
                raise self.errors.pop(0)
            return {"Items": []}

        return call


def refusal(code: str, status: int = 400, reasons: tuple[str, ...] = ()) -> ClientError:
    answer: Any = {"Error": {"Code": code, "Message": code}, "ResponseMetadata": {"HTTPStatusCode": status}}
    if reasons:
        answer["CancellationReasons"] = [{"Code": reason} for reason in reasons]
    return ClientError(answer, "Any")


@pytest.mark.parametrize(
    ("error", "meaning"),
    [
        (refusal("ConditionalCheckFailedException"), ConditionFailed),
        (refusal("ThrottlingException"), AwsUnavailable),
        (refusal("ProvisionedThroughputExceededException"), AwsUnavailable),
        (refusal("Unheard", 503), AwsUnavailable),
        (refusal("ValidationException"), AwsError),
        (EndpointConnectionError(endpoint_url="https://dynamodb"), AwsUnavailable),
        (ConnectionResetError(), AwsUnavailable),
    ],
)
def test_an_error_says_whether_the_same_call_may_work_later(error: Exception, meaning: type[AwsError]) -> None:
    with pytest.raises(meaning) as raised:
        Table(Failing(error), "table").get(KEY)

    assert type(raised.value) is meaning


def test_an_error_of_our_own_is_not_taken_for_one_of_dynamodb() -> None:
    with pytest.raises(ZeroDivisionError):
        Table(Failing(ZeroDivisionError()), "table").get(KEY)


def conflicts(count: int) -> list[ClientError]:
    return [refusal("TransactionCanceledException", reasons=("TransactionConflict",)) for _ in range(count)]


def test_a_transaction_that_meets_another_is_tried_again() -> None:
    client, waits = Failing(*conflicts(3)), list[float]()

    Table(client, "table", sleep=waits.append).transact(Put(ITEM))

    assert (client.calls, len(waits)) == (4, 3)


def test_a_transaction_that_hangs_is_not_asked_for_again_and_again(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = itertools.count(0, 20)
    monkeypatch.setattr("sluice.aws.dynamodb.time.monotonic", lambda: next(clock))
    client = Failing(*[ConnectionResetError() for _ in range(8)])
    with pytest.raises(AwsUnavailable):
        Table(client, "table", sleep=lambda _: None).transact(Put(ITEM))
    assert client.calls == 1


def test_a_transaction_whose_answer_was_lost_is_asked_for_by_the_same_token() -> None:
    client = Failing(ConnectionResetError())
    for _ in range(2):
        Table(client, "table", sleep=lambda _: None).transact(Put(ITEM))

    assert client.calls == 3
    assert len(client.tokens) == 2
    assert all(client.tokens)


def test_a_transaction_is_not_tried_for_ever_nor_after_a_condition_failed() -> None:
    with pytest.raises(AwsUnavailable):
        Table(Failing(*conflicts(50)), "table", sleep=lambda _: None).transact(Put(ITEM))
    failed = refusal("TransactionCanceledException", reasons=("None", "ConditionalCheckFailed"))
    with pytest.raises(ConditionFailed):
        Table(Failing(failed), "table").transact(Put(ITEM))
