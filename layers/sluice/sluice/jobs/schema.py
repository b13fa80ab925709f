"""JSON Schema as Claude takes it for the form of an answer. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

_NAMED = ("properties", "$defs", "definitions")
_LISTED = ("anyOf", "oneOf", "allOf", "prefixItems")
_CLOSED = "additionalProperties"


def close_objects(schema: Mapping[str, Any], where: str = "schema") -> dict[str, Any]:
    """Return a schema in which each object says ``additionalProperties: false``, where ``schema`` says nothing of it.

    Claude refuses a request in which an object does not say so (Claude API: Structured outputs). Raises ValueError
    where one says something else, or where there is no schema in the place of one.
    """
    closed = dict(schema)
    for keyword in _NAMED:
        if isinstance(found := schema.get(keyword), Mapping):
            closed[keyword] = {name: _close(each, f"{where}.{keyword}.{name}") for name, each in found.items()}
    for keyword in _LISTED:
        if isinstance(found := schema.get(keyword), list):
            closed[keyword] = [_close(each, f"{where}.{keyword}[{place}]") for place, each in enumerate(found)]
    if "items" in schema:
        closed["items"] = _close(schema["items"], f"{where}.items")
    if _is_object(schema) and closed.setdefault(_CLOSED, False) is not False:
        raise ValueError(f'{where}: "{_CLOSED}" has to be false, since Claude takes no other; or leave it out')
    return closed


def _close(schema: object, where: str) -> dict[str, Any]:
    if not isinstance(schema, Mapping):
        raise ValueError(f"{where}: has to be a JSON Schema, such as {{type: string}}")
    return close_objects(schema, where)


def _is_object(schema: Mapping[str, Any]) -> bool:
    kind = schema.get("type")
    return kind == "object" or (isinstance(kind, list) and "object" in kind) or "properties" in schema
