"""DynamoDB's JSON and Python values, both ways (DynamoDB: Data type descriptors).

boto3's own serializer needs ``Decimal`` and an import of boto3, which the streaming door cannot afford at a cold start.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping
from typing import Any


def to_attribute(value: object) -> dict[str, Any]:
    """Encode str, bool, int, float, bytes, None, lists, tuples and mappings. Raises TypeError on anything else."""
    match value:
        case str():
            return {"S": value}
        case bool():
            return {"BOOL": value}
        case int() | float():
            return {"N": repr(value)}
        case None:
            return {"NULL": True}
        case bytes() | bytearray():
            return {"B": bytes(value)}
        case list() | tuple():
            return {"L": [to_attribute(each) for each in value]}
        case Mapping():
            return {"M": {str(name): to_attribute(each) for name, each in value.items()}}
        case _:
            raise TypeError(f"a {type(value).__name__} cannot be kept in the table")


def from_attribute(attribute: Mapping[str, Any]) -> Any:
    """Decode one attribute; numbers become int where they are whole."""
    ((kind, value),) = attribute.items()
    match kind:
        case "N":
            return int(value) if value.lstrip("-").isdigit() else float(value)
        case "NULL":
            return None
        case "L":
            return [from_attribute(each) for each in value]
        case "M":
            return {name: from_attribute(each) for name, each in value.items()}
        case "B":
            return base64.b64decode(value) if isinstance(value, str) else bytes(value)
        case "SS" | "NS" | "BS":
            return set(value)
        case _:
            return value


def to_item(values: Mapping[str, object]) -> dict[str, Any]:
    """Encode an item, leaving out what is None: an absent attribute keeps a sparse index sparse."""
    return {name: to_attribute(value) for name, value in values.items() if value is not None}


def from_item(item: Mapping[str, Any]) -> dict[str, Any]:
    """Decode an item."""
    return {name: from_attribute(attribute) for name, attribute in item.items()}
