"""JSON Schema as Claude takes it for the form of an answer (Claude API: Structured outputs). Pure.

What Claude refuses for certain is found here, before anything is sent; what it does not enforce (``minimum``,
``maxLength`` …) is moved into the description, where the model reads it, and noted.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

_NAMED = ("properties", "$defs", "definitions")
_LISTED = ("anyOf", "oneOf", "allOf", "prefixItems")
_CLOSED = "additionalProperties"
_TYPES = frozenset({"object", "array", "string", "integer", "number", "boolean", "null"})
# What people call the types, and what they are called.
_MEANT = {
    "text": "string",
    "str": "string",
    "int": "integer",
    "float": "number",
    "double": "number",
    "decimal": "number",
    "bool": "boolean",
    "list": "array",
    "dict": "object",
    "map": "object",
    "date": "string, format: date",
    "datetime": "string, format: date-time",
}
_FORMATS = frozenset({"date-time", "time", "date", "duration", "email", "hostname", "uri", "ipv4", "ipv6", "uuid"})
_NOT_ENFORCED = frozenset(
    {"minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf", "minLength", "maxLength", "maxItems"}
    | {"uniqueItems", "contains", "minProperties", "maxProperties", "patternProperties", "propertyNames"}
)
# Those of them that Claude is known to refuse.
_REFUSED_LIMITS = frozenset({"minimum", "maximum", "minLength", "maxLength"})
# Claude API: Structured outputs, complexity limits of a request.
MAX_OPTIONAL = 24
MAX_UNIONS = 16


@dataclass(slots=True)
class _Found:
    """What was met on the way through a schema."""

    optional: int = 0
    unions: int = 0
    notes: list[str] = field(default_factory=list)


def prepare_schema(schema: Mapping[str, Any]) -> tuple[dict[str, Any], tuple[str, ...]]:
    """Return a schema of an answer as Claude takes it, and what a person should know of the changes.

    Each object is closed; where it lists no ``required``, all of its properties are; limits that Claude does not
    enforce are moved into the description. Raises ValueError that names the place of what Claude would refuse.
    """
    if "properties" in schema:
        schema = {"type": "object", **schema}
    if schema.get("type") != "object" or not isinstance(schema.get("properties"), dict) or not schema["properties"]:
        raise ValueError('schema: has to be a JSON Schema with "type: object" and "properties"')
    found = _Found()
    prepared = _prepare(close_objects(schema), "schema", found)
    _refuse_recursion(prepared)
    if found.optional > MAX_OPTIONAL:
        raise ValueError(
            f"schema: {found.optional} properties are optional, and Claude takes {MAX_OPTIONAL} at most: "
            'list more of them under "required", or leave "required" out, which asks for all'
        )
    if found.unions > MAX_UNIONS:
        raise ValueError(
            f"schema: {found.unions} values may be of several types, and Claude takes {MAX_UNIONS} at most"
        )
    return prepared, tuple(found.notes)


def close_objects(schema: Mapping[str, Any], where: str = "schema") -> dict[str, Any]:
    """Return a schema in which each object says ``additionalProperties: false``, where ``schema`` says nothing of it.

    Claude refuses a request in which an object does not say so (Claude API: Structured outputs). Raises ValueError
    where one says something else, or where there is no schema in the place of one.
    """
    closed = dict(schema)
    for keyword, place, child in _children(schema, where):
        _put(closed, keyword, _close(child, place))
    if _is_object(schema) and closed.setdefault(_CLOSED, False) is not False:
        raise ValueError(f'{where}: "{_CLOSED}" has to be false, since Claude takes no other; or leave it out')
    return closed


def _close(schema: object, where: str) -> dict[str, Any]:
    if not isinstance(schema, Mapping):
        raise ValueError(f"{where}: has to be a JSON Schema, such as {{type: string}}")
    return close_objects(schema, where)


def _children(schema: Mapping[str, Any], where: str) -> Iterator[tuple[tuple[str, str | int | None], str, Any]]:
    """Yield the schemas within a schema: the way to each (keyword, and name or place), where it is, and itself."""
    for keyword in _NAMED:
        if isinstance(named := schema.get(keyword), Mapping):
            if odd := [name for name in named if not isinstance(name, str)]:
                raise ValueError(f"{where}.{keyword}: the name {odd[0]!r} has to be in quotes")
            yield from (((keyword, name), f"{where}.{keyword}.{name}", child) for name, child in named.items())
    for keyword in _LISTED:
        if isinstance(listed := schema.get(keyword), list):
            for place, child in enumerate(listed):
                yield (keyword, place), f"{where}.{keyword}[{place}]", child
    if "items" in schema:
        yield ("items", None), f"{where}.items", schema["items"]


def _put(schema: dict[str, Any], way: tuple[str, str | int | None], child: dict[str, Any]) -> None:
    keyword, name = way
    if name is None:
        schema[keyword] = child
    elif isinstance(name, int):
        schema[keyword] = [*schema[keyword]]
        schema[keyword][name] = child
    else:
        schema[keyword] = {**schema[keyword], name: child}


def _prepare(schema: Mapping[str, Any], where: str, found: _Found) -> dict[str, Any]:
    _check_type(schema, where)
    prepared = dict(schema)
    if isinstance(schema.get("type"), list) or "anyOf" in schema or "oneOf" in schema:
        found.unions += 1
    if isinstance(properties := schema.get("properties"), Mapping):
        required = prepared.setdefault("required", list(properties))
        if unknown := [name for name in required if name not in properties]:
            raise ValueError(f'{where}: "required" names {unknown[0]!r}, which is not among the properties')
        found.optional += sum(name not in required for name in properties)
    if "oneOf" in prepared and "anyOf" not in prepared:
        prepared["anyOf"] = prepared.pop("oneOf")
    _move_limits(prepared, where, found)
    for way, place, child in list(_children(prepared, where)):
        _put(prepared, way, _prepare(child, place, found))
    return prepared


def _check_type(schema: Mapping[str, Any], where: str) -> None:
    """Raise ValueError where Claude could not know which type is asked for."""
    given = schema.get("type")
    for each in given if isinstance(given, list) else [given] if given is not None else []:
        if each not in _TYPES:
            meant = _MEANT.get(str(each).lower())
            hint = f"write type: {meant}" if meant else f"there are: {', '.join(sorted(_TYPES))}"
            raise ValueError(f"{where}: there is no type {str(each)[:50]!r}; {hint}")
    if given is None and not any(key in schema for key in ("anyOf", "oneOf", "allOf", "enum", "const", "$ref")):
        raise ValueError(f"{where}: has to say its type, such as {{type: string}}")
    if isinstance(choices := schema.get("enum"), list):
        if not choices or any(isinstance(choice, dict | list) for choice in choices):
            raise ValueError(
                f'{where}: "enum" has to list one choice or more, each a text, a number, true, false or null'
            )
    elif "enum" in schema:
        raise ValueError(f'{where}: "enum" has to be a list, such as [yes, no]')


def _move_limits(schema: dict[str, Any], where: str, found: _Found) -> None:
    """Take out what Claude does not enforce, and say it in the description."""
    moved = {name: schema.pop(name) for name in list(schema) if name in _NOT_ENFORCED}
    if schema.get("minItems", 0) not in (0, 1):
        moved["minItems"] = schema.pop("minItems")
    if "format" in schema and schema["format"] not in _FORMATS:
        moved["format"] = schema.pop("format")
    if not moved:
        return
    said = ", ".join(f"{name}: {json.dumps(value, ensure_ascii=False)}" for name, value in moved.items())
    schema["description"] = f"{schema['description']} ({said})" if schema.get("description") else said
    names = ", ".join(moved)
    found.notes.append(f"{where}: Claude does not enforce {names}; it is told of it in the description instead.")


def _refuse_recursion(schema: Mapping[str, Any]) -> None:
    """Raise ValueError for a reference that leads back to itself, or to nothing in the schema."""
    definitions = {
        f"#/{keyword}/{name}": child
        for keyword in ("$defs", "definitions")
        for name, child in schema.get(keyword, {}).items()
    }
    uses = {name: set(_references(child, definitions)) for name, child in definitions.items()}
    set(_references(schema, definitions))
    for name in definitions:
        reached, waiting = set[str](), [name]
        while waiting:
            for used in uses[waiting.pop()] - reached:
                reached.add(used)
                waiting.append(used)
        if name in reached:
            raise ValueError(f"schema: {name} contains itself, which Claude does not take")


def _references(schema: Mapping[str, Any], definitions: Mapping[str, Any]) -> Iterator[str]:
    if (name := schema.get("$ref")) is not None:
        if name not in definitions:
            raise ValueError(f'schema: "$ref" names {str(name)[:80]!r}, which is not under "$defs" of the schema')
        yield str(name)
    for _, _, child in _children(schema, ""):
        yield from _references(child, definitions)


def find_schema_refusal(schema: Mapping[str, Any]) -> str:
    """Return why Claude refuses a schema as it stands, with the place; empty where it is not known to."""
    try:
        found = _Found()
        _check_as_it_is(schema, "schema", found)
        _refuse_recursion(schema)
    except ValueError as error:
        return str(error)
    if found.optional > MAX_OPTIONAL:
        return f"{found.optional} properties are not required, and Claude takes {MAX_OPTIONAL} at most"
    if found.unions > MAX_UNIONS:
        return f"{found.unions} values may be of several types, and Claude takes {MAX_UNIONS} at most"
    return ""


def _check_as_it_is(schema: object, where: str, found: _Found) -> None:
    if not isinstance(schema, Mapping):
        raise ValueError(f"{where}: has to be a JSON Schema, such as {{type: string}}")
    if _is_object(schema) and schema.get(_CLOSED) is not False:
        raise ValueError(f'{where}: an object has to say "{_CLOSED}": false')
    limits = [name for name in schema if name in _REFUSED_LIMITS]
    if schema.get("minItems", 0) not in (0, 1):
        limits.append("minItems")
    if limits:
        raise ValueError(f'{where}: Claude refuses "{limits[0]}"; say it in the "description" instead')
    if isinstance(schema.get("type"), list) or "anyOf" in schema:
        found.unions += 1
    if isinstance(properties := schema.get("properties"), Mapping):
        required = schema.get("required") or ()
        found.optional += sum(name not in required for name in properties)
    for _, place, child in _children(schema, where):
        _check_as_it_is(child, place, found)


def _is_object(schema: Mapping[str, Any]) -> bool:
    kind = schema.get("type")
    return kind == "object" or (isinstance(kind, list) and "object" in kind) or "properties" in schema
