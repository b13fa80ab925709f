"""DynamoDB as a dict: the expressions that ``sluice.aws.dynamodb`` writes, and the request units that they cost."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from typing import Any

from botocore.exceptions import ClientError

from bench.aws.usage import Usage

Attribute = dict[str, Any]
Item = dict[str, Attribute]

# DynamoDB: Read and write capacity. A write unit is 1 kB, a read unit 4 kB, half of it where it may be stale.
_WRITE_BYTES, _READ_BYTES = 1024, 4096
_CLAUSES = re.compile(r"(SET|ADD|REMOVE) (.*?)(?= SET | ADD | REMOVE |$)")
_TERM = re.compile(r"(attribute_exists|attribute_not_exists)\((\S+?)\)|(\S+) IN \((.*?)\)")


class MemoryDynamoDb:
    """The calls that ``Table`` makes of boto3's client. ``items`` by (pk, sk)."""

    def __init__(self, usage: Usage, items: Iterable[Item] = ()) -> None:
        self.items: dict[tuple[str, str], Item] = {_key(item): item for item in items}
        self._usage = usage

    def get_item(self, **call: Any) -> dict[str, Any]:
        item = self.items.get(_key(call["Key"]))
        self._read([item] if item else [], 1)
        return {"Item": item} if item else {}

    def put_item(self, **call: Any) -> dict[str, Any]:
        self._put(call, 1)
        return {}

    def update_item(self, **call: Any) -> dict[str, Any]:
        return {"Attributes": self._update(call, 1)}

    def query(self, **call: Any) -> dict[str, Any]:
        names, values = call.get("ExpressionAttributeNames", {}), call["ExpressionAttributeValues"]
        partition, order = (names.get("#pk", "pk"), "open_at" if "IndexName" in call else "sk")
        low = values.get(":sk", values.get(":first", {"S": ""}))["S"]
        high = values[":last"]["S"] if ":last" in values else low + "\uffff"
        found = [
            item
            for item in self.items.values()
            if item.get(partition) == values[":pk"] and low <= item[order]["S"] <= high
        ]
        found.sort(key=lambda item: str(item[order]["S"]), reverse=not call["ScanIndexForward"])
        self._read(found, 1 if call.get("ConsistentRead") else 0.5)
        return {"Items": found}

    def transact_write_items(self, **call: Any) -> dict[str, Any]:
        for change in call["TransactItems"]:
            for each in change.values():
                _check(self.items.get(_key(each.get("Key") or each["Item"])), each)
        for change in call["TransactItems"]:
            for verb, each in change.items():
                (self._put if verb == "Put" else self._update)(each, 2)
        return {}

    def _put(self, call: Mapping[str, Any], units: int) -> Item:
        item: Item = call["Item"]
        before = self.items.get(_key(item))
        _check(before, call)
        self.items[_key(item)] = item
        self._written(before, item, units)
        return item

    def _update(self, call: Mapping[str, Any], units: int) -> Item:
        before = self.items.get(_key(call["Key"]))
        _check(before, call)
        # Maps within are replaced, never changed, so that a shallow copy is enough.
        after = dict(before or call["Key"])
        for verb, clause in _CLAUSES.findall(call["UpdateExpression"]):
            for change in clause.split(", "):
                _apply(after, verb, change, call)
        self.items[_key(after)] = after
        self._written(before, after, units)
        return after

    def _read(self, items: Iterable[Item], weight: float) -> None:
        size = sum(map(_size, items))
        self._usage.add("dynamodb_read", weight * (-(-size // _READ_BYTES) or 1))

    def _written(self, before: Item | None, after: Item, units: int) -> None:
        larger = max(_size(before) if before else 0, _size(after))
        each = -(-larger // _WRITE_BYTES)
        # The index has a copy of each item that is open: one more write where it changes, comes or goes.
        copies = "open" in after or (before is not None and "open" in before)
        self._usage.add("dynamodb_write", units * each + (each if copies else 0))


def _key(values: Mapping[str, Attribute]) -> tuple[str, str]:
    return values["pk"]["S"], values["sk"]["S"]


def _size(item: Item) -> int:
    return len(json.dumps(item))


def _check(item: Item | None, call: Mapping[str, Any]) -> None:
    """Raise as DynamoDB does where the condition of a write does not hold."""
    names, values = call.get("ExpressionAttributeNames", {}), call.get("ExpressionAttributeValues", {})
    for function, path, operand, choices in _TERM.findall(call.get("ConditionExpression", "")):
        if function:
            holds = (_look_up(item, path, names) is not None) == (function == "attribute_exists")
        else:
            holds = _look_up(item, operand, names) in [values[each] for each in choices.split(", ")]
        if not holds:
            refusal: Any = {"Error": {"Code": "ConditionalCheckFailedException"}, "ResponseMetadata": {}}
            raise ClientError(refusal, "UpdateItem")


def _look_up(item: Item | None, path: str, names: Mapping[str, str]) -> Attribute | None:
    found: Attribute | None = {"M": item or {}}
    for name in path.split("."):
        found = found["M"].get(names.get(name, name)) if found else None
    return found


def _apply(item: Item, verb: str, change: str, call: Mapping[str, Any]) -> None:
    names, values = call.get("ExpressionAttributeNames", {}), call.get("ExpressionAttributeValues", {})
    path, _, value = change.replace(" = ", " ").partition(" ")
    name, _, entry = path.partition(".")
    if verb == "REMOVE":
        item.pop(names[name], None)
    elif verb == "ADD":
        number = float(item.get(names[name], {"N": "0"})["N"]) + float(values[value]["N"])
        item[names[name]] = {"N": f"{number:g}"}
    elif entry:
        item[names[name]] = {"M": {**item[names[name]]["M"], names[entry]: values[value]}}
    else:
        item[names[name]] = values[value]
