"""JSON schemas of answers: whether the API takes one, and a value that fits it, made of words of a prompt. Pure."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

_MAX_DEPTH = 12


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
