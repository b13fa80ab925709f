"""JSON schemas of answers: whether the API takes one, and a value that fits it, made of words of a prompt. Pure."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

_MAX_DEPTH = 12
# Claude API: Structured outputs, limits.
_MAX_OPTIONAL, _MAX_UNIONS = 24, 16
_REFUSED = ("minimum", "maximum", "minLength", "maxLength")


def schema_problem(schema: Mapping[str, Any]) -> str | None:
    """Why the API refuses a schema of an answer, in its words; None where it takes it."""
    if has_open_object(schema):
        return "For 'object' type, 'additionalProperties' must be explicitly set to false"
    parts = list(_schemas(schema))
    for part in parts:
        if refused := next((name for name in _REFUSED if name in part), None):
            return f"For '{part.get('type')}' type, property '{refused}' is not supported"
        if part.get("minItems", 0) not in (0, 1):
            return "For 'array' type, 'minItems' values other than 0 or 1 are not supported"
    if (
        sum(name not in part.get("required", ()) for part in parts for name in part.get("properties", {}))
        > _MAX_OPTIONAL
    ):
        return f"Schemas contains too many optional parameters; at most {_MAX_OPTIONAL} are allowed"
    if sum(isinstance(part.get("type"), list) or "anyOf" in part for part in parts) > _MAX_UNIONS:
        return f"Schemas contains too many parameters with union types; at most {_MAX_UNIONS} are allowed"
    return "Circular reference detected in schema definitions" if _is_circular(schema, schema, ()) else None


def _schemas(schema: object) -> Iterator[Mapping[str, Any]]:
    """A schema, and all schemas in it."""
    if not isinstance(schema, Mapping):
        return
    yield schema
    for child in _children(schema):
        yield from _schemas(child)


def _children(schema: Mapping[str, Any]) -> Iterator[object]:
    for name in ("properties", "$defs", "definitions"):
        if isinstance(named := schema.get(name), Mapping):
            yield from named.values()
    for name in ("anyOf", "oneOf", "allOf", "prefixItems"):
        if isinstance(listed := schema.get(name), list):
            yield from listed
    yield schema.get("items")


def _is_circular(schema: object, root: Mapping[str, Any], way: tuple[str, ...]) -> bool:
    if not isinstance(schema, Mapping):
        return False
    if isinstance(reference := schema.get("$ref"), str):
        return reference in way or _is_circular(_resolve(reference, root), root, (*way, reference))
    return any(_is_circular(child, root, way) for child in _children(schema))


def has_open_object(schema: object) -> bool:
    """Return whether any object in it does not say `additionalProperties: false` (Claude API: Structured outputs)."""
    return any(
        part.get("type") == "object" and part.get("additionalProperties") is not False for part in _parts(schema)
    )


def _parts(schema: object) -> Iterator[Mapping[str, Any]]:
    if isinstance(schema, Mapping):
        yield schema
    if isinstance(schema, Mapping | list):
        for value in schema.values() if isinstance(schema, Mapping) else schema:
            yield from _parts(value)


def value_for(schema: Mapping[str, Any], words: Sequence[str]) -> Any:
    """The simplest value that fits: every property, one item in an array, the first of alternatives."""
    return _value(schema, schema, words or ("nothing",), 0)


def _value(schema: Mapping[str, Any], root: Mapping[str, Any], words: Sequence[str], depth: int) -> Any:
    if "$ref" in schema:
        return _value(_resolve(schema["$ref"], root), root, words, depth + 1)
    for fixed in ("const", "default"):
        if fixed in schema:
            return schema[fixed]
    if schema.get("enum"):
        return schema["enum"][len(words) % len(schema["enum"])]
    for alternatives in ("anyOf", "oneOf", "allOf"):
        if schema.get(alternatives):
            return _value(schema[alternatives][0], root, words, depth + 1)
    kind = schema.get("type", "object" if "properties" in schema else "string")
    if isinstance(kind, list):
        kind = kind[0]
    return _of_type(kind, schema, root, words, depth)


def _of_type(kind: str, schema: Mapping[str, Any], root: Mapping[str, Any], words: Sequence[str], depth: int) -> Any:
    if kind == "object":
        properties = schema.get("properties", {}) if depth < _MAX_DEPTH else {}
        return {
            name: _value(part, root, words[number:] or words, depth + 1)
            for number, (name, part) in enumerate(properties.items())
        }
    if kind == "array":
        count = max(schema.get("minItems", 1 if depth < _MAX_DEPTH else 0), 0)
        return [_value(schema.get("items", {}), root, words[number:] or words, depth + 1) for number in range(count)]
    if kind in ("integer", "number"):
        return _number(schema, len(words))
    if kind == "boolean":
        return len(words) % 2 == 0
    return None if kind == "null" else _string(schema, words)


def _number(schema: Mapping[str, Any], wanted: int) -> Any:
    lowest = schema.get("minimum", schema.get("exclusiveMinimum", wanted - 1) + 1)
    highest = schema.get("maximum", schema.get("exclusiveMaximum", max(wanted, lowest) + 1) - 1)
    return min(max(wanted, lowest), highest)


def _string(schema: Mapping[str, Any], words: Sequence[str]) -> str:
    known = {"date": "2026-11-22", "date-time": "2026-11-22T12:00:00Z", "email": "someone@example.com"}
    if schema.get("format") in known:
        return known[schema["format"]]
    text = " ".join(words[:6])
    return text.ljust(schema.get("minLength", 0), ".")[: schema.get("maxLength", len(text) + 1_000)]


def _resolve(reference: str, root: Mapping[str, Any]) -> Mapping[str, Any]:
    found: Any = root
    for part in reference.removeprefix("#").strip("/").split("/"):
        found = found.get(part, {}) if isinstance(found, Mapping) and part else found
    return found if isinstance(found, Mapping) else {}
