"""The one DynamoDB table: reads, and writes that are conditional.

The doors' own tables (``jobs.table``, ``streams.resumable.table``, ``tasks.table``) build transitions from these calls,
with the keys of ``table_keys``.
The client is boto3's low-level one or, in the streaming door, ``aws.stdlib_client.DynamoDb``, which has the same calls.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from sluice.aws.dynamodb_json import from_item, to_attribute, to_item
from sluice.backoff import TABLE_CONFLICT
from sluice.errors import AwsError, AwsUnavailable, ConditionFailed

Item = dict[str, Any]

OPEN_INDEX = "open"

# DynamoDB: Error handling. A cancelled transaction is passing only where a conflict, not a condition, cancelled it.
_TRANSIENT = frozenset(
    {
        "ProvisionedThroughputExceededException",
        "ThrottlingException",
        "RequestLimitExceeded",
        "InternalServerError",
        "ServiceUnavailable",
        "TransactionConflictException",
        "TransactionInProgressException",
    }
)
_CONFLICT_TRIES, _CONFLICT_SECONDS = 8, 10.0


class DynamoDbClient(Protocol):
    """The calls that the table makes, in the words of boto3's client."""

    def get_item(self, **kwargs: Any) -> Any: ...
    def put_item(self, **kwargs: Any) -> Any: ...
    def update_item(self, **kwargs: Any) -> Any: ...
    def delete_item(self, **kwargs: Any) -> Any: ...
    def query(self, **kwargs: Any) -> Any: ...
    def transact_write_items(self, **kwargs: Any) -> Any: ...


# DynamoDB: Constraints. A longer key is refused, as an error of the call.
_MAX_PK_BYTES = 2048
_MAX_SK_BYTES = 1024


@dataclass(frozen=True, slots=True)
class Key:
    pk: str
    sk: str

    def encode(self) -> dict[str, Any]:
        return {"pk": {"S": self.pk}, "sk": {"S": self.sk}}

    @property
    def fits(self) -> bool:
        """Whether an item can have this key. One that is made of what a caller wrote may be too long."""
        return all(
            len(part.encode(errors="surrogatepass")) <= most
            for part, most in ((self.pk, _MAX_PK_BYTES), (self.sk, _MAX_SK_BYTES))
        )

    def attributes(self) -> dict[str, object]:
        """Return both as they stand in the item that has this key."""
        return {"pk": self.pk, "sk": self.sk}


@dataclass(frozen=True, slots=True)
class Update:
    """One conditional change of one item: ``set`` values, ``add`` to numbers, ``remove`` attributes.

    ``entries`` sets entries of attributes that are maps, by the names of both.
    ``where`` holds the values that must be found (None: the attribute must be absent; a tuple: any of them).
    ``condition`` is a further expression over ``#name`` and ``:name`` of the attributes and values given in ``values``.
    An item that is not there fails the condition, unless ``create`` allows it.
    """

    key: Key
    set: Mapping[str, object] = field(default_factory=dict)
    add: Mapping[str, int | float] = field(default_factory=dict)
    remove: Sequence[str] = ()
    entries: Mapping[tuple[str, str], object] = field(default_factory=dict)
    where: Mapping[str, object] = field(default_factory=dict)
    condition: str | None = None
    values: Mapping[str, object] = field(default_factory=dict)
    create: bool = False

    def encode(self) -> dict[str, Any]:
        names: dict[str, str] = {}
        values: dict[str, Any] = {}
        expression = self._changes(names, values)
        conditions = self._conditions(names, values)
        encoded: dict[str, Any] = {"Key": self.key.encode(), "UpdateExpression": expression}
        if conditions:
            encoded["ConditionExpression"] = conditions
        if names:
            encoded["ExpressionAttributeNames"] = names
        if values:
            encoded["ExpressionAttributeValues"] = values
        return encoded

    def _changes(self, names: dict[str, str], values: dict[str, Any]) -> str:
        sets, adds = [], []
        for name, value in self.set.items():
            names[f"#{name}"] = name
            values[f":{name}_set"] = to_attribute(value)
            sets.append(f"#{name} = :{name}_set")
        for name, amount in self.add.items():
            names[f"#{name}"] = name
            values[f":{name}_add"] = to_attribute(amount)
            adds.append(f"#{name} :{name}_add")
        for number, ((name, entry), value) in enumerate(self.entries.items()):
            names |= {f"#{name}": name, f"#entry{number}": entry}
            values[f":entry{number}"] = to_attribute(value)
            sets.append(f"#{name}.#entry{number} = :entry{number}")
        names.update({f"#{name}": name for name in self.remove})
        clauses = [("SET", sets), ("ADD", adds), ("REMOVE", [f"#{name}" for name in self.remove])]
        return " ".join(f"{verb} {', '.join(parts)}" for verb, parts in clauses if parts)

    def _conditions(self, names: dict[str, str], values: dict[str, Any]) -> str:
        parts = [] if self.create else ["attribute_exists(pk)"]
        for name, expected in self.where.items():
            names[f"#{name}"] = name
            if expected is None:
                parts.append(f"attribute_not_exists(#{name})")
                continue
            choices = expected if isinstance(expected, tuple) else (expected,)
            placeholders = [f":{name}_is{index}" for index in range(len(choices))]
            values.update({slot: to_attribute(each) for slot, each in zip(placeholders, choices, strict=True)})
            parts.append(f"#{name} IN ({', '.join(placeholders)})")
        for name, value in self.values.items():
            names[f"#{name}"] = name
            values[f":{name}"] = to_attribute(value)
        if self.condition:
            parts.append(f"({self.condition})")
        return " AND ".join(parts)


@dataclass(frozen=True, slots=True)
class Put:
    """A new item, or with ``replace`` any item."""

    item: Mapping[str, object]
    replace: bool = False

    def encode(self) -> dict[str, Any]:
        encoded: dict[str, Any] = {"Item": to_item(self.item)}
        if not self.replace:
            encoded["ConditionExpression"] = "attribute_not_exists(pk)"
        return encoded


@dataclass(frozen=True, slots=True)
class Table:
    """Raises ConditionFailed where a condition does not hold, AwsUnavailable where the same call may work later."""

    client: DynamoDbClient
    name: str
    sleep: Callable[[float], None] = time.sleep

    def get(self, key: Key) -> Item | None:
        if not key.fits:
            return None
        answer = self._call(self.client.get_item, Key=key.encode(), ConsistentRead=True)
        return from_item(answer["Item"]) if "Item" in answer else None

    def put(self, put: Put) -> None:
        self._call(self.client.put_item, **put.encode())

    def update(self, update: Update) -> Item:
        """Apply one change and return the whole item as it is after it."""
        if not update.key.fits and update.where:
            raise ConditionFailed("No item can have a key so long.")
        answer = self._call(self.client.update_item, **update.encode(), ReturnValues="ALL_NEW")
        return from_item(answer["Attributes"])

    def delete(self, key: Key) -> None:
        self._call(self.client.delete_item, Key=key.encode())

    def transact(self, *changes: Put | Update) -> None:
        """Apply all changes or none. Conflicts with other transactions are waited out, for some seconds at most."""
        items = [
            {("Put" if isinstance(change, Put) else "Update"): {"TableName": self.name, **change.encode()}}
            for change in changes
        ]
        # DynamoDB: a transaction whose answer was lost is not applied twice, nor refused, where its token is the same.
        token, begun = secrets.token_hex(16), time.monotonic()
        for attempt in range(1, _CONFLICT_TRIES + 1):
            try:
                _translated(self.client.transact_write_items, TransactItems=items, ClientRequestToken=token)
                return
            except AwsUnavailable:
                if attempt == _CONFLICT_TRIES or time.monotonic() - begun > _CONFLICT_SECONDS:
                    raise
                self.sleep(TABLE_CONFLICT.delay(attempt))

    def query_between(
        self, pk: str, first: str, last: str, *, newest_first: bool = False, limit: int | None = None
    ) -> Iterator[Item]:
        """Yield the items of a partition with sort keys from ``first`` to ``last``, both included, ``limit`` a page."""
        request: dict[str, Any] = {
            "KeyConditionExpression": "pk = :pk AND sk BETWEEN :first AND :last",
            "ExpressionAttributeValues": {":pk": {"S": pk}, ":first": {"S": first}, ":last": {"S": last}},
            "ScanIndexForward": not newest_first,
            "ConsistentRead": True,
        }
        return self._pages(request | ({"Limit": limit} if limit else {}))

    def query(
        self,
        pk: str,
        prefix: str = "",
        *,
        index: str | None = None,
        newest_first: bool = False,
        after: str | None = None,
    ) -> Iterator[Item]:
        """Yield the items of a partition whose sort key starts with ``prefix``, page by page, in key order.

        ``after`` is the sort key behind which to begin, in that order; the index has none.
        """
        pk_name, sk_name = (OPEN_INDEX, "open_at") if index == OPEN_INDEX else ("pk", "sk")
        request: dict[str, Any] = {
            "KeyConditionExpression": "#pk = :pk" + (" AND begins_with(#sk, :sk)" if prefix else ""),
            "ExpressionAttributeNames": {"#pk": pk_name, **({"#sk": sk_name} if prefix else {})},
            "ExpressionAttributeValues": {":pk": {"S": pk}, **({":sk": {"S": prefix}} if prefix else {})},
            "ScanIndexForward": not newest_first,
        }
        request |= {"IndexName": index} if index else {"ConsistentRead": True}
        return self._pages(request | ({"ExclusiveStartKey": Key(pk, after).encode()} if after else {}))

    def _pages(self, request: dict[str, Any]) -> Iterator[Item]:
        while True:
            page = self._call(self.client.query, **request)
            yield from map(from_item, page["Items"])
            if "LastEvaluatedKey" not in page:
                return
            request["ExclusiveStartKey"] = page["LastEvaluatedKey"]

    def open(self, kind: str) -> Iterator[Item]:
        """Yield what is open of a kind, oldest ``open_at`` first (eventually consistent, as every index is)."""
        return self.query(kind, index=OPEN_INDEX)

    def _call(self, call: Callable[..., Any], **kwargs: Any) -> Any:
        return _translated(call, TableName=self.name, **kwargs)


def _translated(call: Callable[..., Any], **kwargs: Any) -> Any:
    """Call the client and map its errors. A ClientError is known by its shape: botocore need not be imported."""
    try:
        return call(**kwargs)
    except Exception as error:
        answer = getattr(error, "response", None)
        if not isinstance(answer, dict):
            if type(error).__module__.startswith(("botocore", "urllib3")) or isinstance(error, OSError):
                raise AwsUnavailable(f"DynamoDB could not be reached ({type(error).__name__}).") from error
            raise
        raise _aws_error(answer) from error


def _aws_error(answer: Mapping[str, Any]) -> AwsError:
    code = answer.get("Error", {}).get("Code", "")
    message = answer.get("Error", {}).get("Message", "")
    if code == "ConditionalCheckFailedException":
        return ConditionFailed("The item was in another state.")
    if code == "TransactionCanceledException":
        reasons = {reason.get("Code") for reason in answer.get("CancellationReasons", ())}
        if "ConditionalCheckFailed" in reasons or "ConditionalCheckFailed" in message:
            return ConditionFailed("An item of the transaction was in another state.")
        return AwsUnavailable("A transaction was cancelled by a conflict with another one.")
    status = answer.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
    if code in _TRANSIENT or status >= 500:
        return AwsUnavailable(f"DynamoDB said {code}.")
    return AwsError(f"DynamoDB said {code}: {message}")
