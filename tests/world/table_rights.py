"""What the policies of the template let each function do to the table, held against the calls that it makes.

The emulator passes over ``dynamodb:LeadingKeys``, and moto over policies as a whole: without this, a right that is
missing would show in an account of AWS for the first time.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Any

from local.template import Template

_SINGLE = {"GetItem": "Key", "UpdateItem": "Key", "PutItem": "Item"}
_OF_TRANSACTIONS = {"Put": ("PutItem", "Item"), "Update": ("UpdateItem", "Key")}


@dataclass(frozen=True, slots=True)
class Access:
    """One item, or one partition, that a call reaches; ``index`` where it is one of an index."""

    action: str
    partition: str
    index: str = ""


def accesses(operation: str, params: Mapping[str, Any]) -> Iterator[Access]:
    """Yield what a call of DynamoDB reaches. Raises ValueError for a call that no function makes."""
    if where := _SINGLE.get(operation):
        yield Access(operation, params[where]["pk"]["S"])
    elif operation == "Query":
        yield Access(operation, params["ExpressionAttributeValues"][":pk"]["S"], params.get("IndexName", ""))
    elif operation == "TransactWriteItems":
        for item in params["TransactItems"]:
            [(kind, write)] = item.items()
            action, where = _OF_TRANSACTIONS[kind]
            yield Access(action, write[where]["pk"]["S"])
    else:
        raise ValueError(f"{operation} is a call of the table whose rights are not known here.")


def rights(template: Template, function: str) -> Iterator[tuple[str, str, str]]:
    """Yield what the policies of a function allow: an action, a pattern of partitions, and an index or ""."""
    for policy in template.functions[function]["Policies"]:
        for statement in policy["Statement"]:
            if not statement["Action"][0].startswith("dynamodb:"):
                continue
            index = "" if statement["Resource"] == {"Fn::GetAtt": ["Table", "Arn"]} else "open"
            [patterns] = [keys["dynamodb:LeadingKeys"] for keys in statement["Condition"].values()]
            for action in statement["Action"]:
                yield from ((action.removeprefix("dynamodb:"), pattern, index) for pattern in patterns)


@dataclass
class TableRights:
    """Watches calls, and keeps those that AWS would refuse to the function that made them."""

    template: Template
    refused: list[tuple[str, Access]] = field(default_factory=list)
    _function: str | None = None

    @contextmanager
    def of(self, function: str) -> Iterator[None]:
        """Calls in this block are those of a function such as "plan_job". Raises AssertionError for one refused."""
        before, self._function = self._function, "".join(part.title() for part in function.split("_"))
        try:
            yield
        finally:
            self._function = before
        assert self.refused == [], "AWS would refuse this by the policies of template.yaml"

    def record_call(self, operation: str, params: Mapping[str, Any]) -> None:
        """Hold a call of AWS against the policies; those of other services are none of ours."""
        if self._function is None or not {"TableName", "TransactItems"} & params.keys():
            return
        allowed = list(rights(self.template, self._function))
        for access in accesses(operation, params):
            if not any(
                (action, index) == (access.action, access.index) and fnmatchcase(access.partition, pattern)
                for action, pattern, index in allowed
            ):
                self.refused.append((self._function, access))
