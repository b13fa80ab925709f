"""Whether an answer has the form that its schema asks for, of the keywords that Claude holds to. Pure.

A library for JSON Schema would check a hundred keywords, of which ``schema.prepare_schema`` leaves these; what is
nobody's promise, such as ``format``, is not checked.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

from sluice.jobs.wording import shorten

_SHOWN = 40


def _is_integer(value: object) -> bool:
    return not isinstance(value, bool) and (isinstance(value, int) or (isinstance(value, float) and value.is_integer()))


_IS_OF_TYPE: Mapping[str, Callable[[object], bool]] = {
    "object": lambda value: isinstance(value, dict),
    "array": lambda value: isinstance(value, list),
    "string": lambda value: isinstance(value, str),
    "integer": _is_integer,
    "number": lambda value: isinstance(value, int | float) and not isinstance(value, bool),
    "boolean": lambda value: isinstance(value, bool),
    "null": lambda value: value is None,
}


def find_misfit(value: object, schema: Mapping[str, Any]) -> str:
    """Return what keeps a value from fitting a schema, in a few words that name its place; empty where it fits.

    The words are alike for answers with the same fault, so that they can be counted. Raises RecursionError where the
    value is nested very deep.
    """
    return _misfit(value, schema, schema, "it")


def _misfit(value: object, schema: Mapping[str, Any], root: Mapping[str, Any], where: str) -> str:
    if "$ref" in schema:
        return _misfit(value, _resolve(str(schema["$ref"]), root), root, where)
    if "anyOf" in schema and all(_misfit(value, each, root, where) for each in schema["anyOf"]):
        return f"{where} is none of what may stand there"
    for each in schema.get("allOf", ()):
        if found := _misfit(value, each, root, where):
            return found
    if "type" in schema and not _has_type(value, schema["type"]):
        return f"{where} is {_kind(value)}, not {_types(schema['type'])}"
    if "enum" in schema and value not in schema["enum"]:
        return f"{where} is none of {_listed(schema['enum'])}"
    if "const" in schema and value != schema["const"]:
        return f"{where} is not {_listed([schema['const']])}"
    return _misfit_inside(value, schema, root, where)


def _misfit_inside(value: object, schema: Mapping[str, Any], root: Mapping[str, Any], where: str) -> str:
    """Look into an object, or a list."""
    if isinstance(value, dict) and isinstance(properties := schema.get("properties"), Mapping):
        if missing := [name for name in schema.get("required", ()) if name not in value]:
            return f'{where} lacks "{missing[0]}"'
        if schema.get("additionalProperties") is False and (
            extra := [name for name in value if name not in properties]
        ):
            return f'{where} has "{shorten(extra[0], _SHOWN)}", which was not asked for'
        for name, child in properties.items():
            if name in value and (found := _misfit(value[name], child, root, f'"{name}"')):
                return found
    if isinstance(value, list) and isinstance(items := schema.get("items"), Mapping):
        for each in value:
            if found := _misfit(each, items, root, f"an item of {where}"):
                return found
    return ""


def _has_type(value: object, types: str | list[str]) -> bool:
    return any(
        _IS_OF_TYPE[name](value) for name in ([types] if isinstance(types, str) else types) if name in _IS_OF_TYPE
    )


def _kind(value: object) -> str:
    return next(name for name, is_of_type in _IS_OF_TYPE.items() if is_of_type(value))


def _types(types: str | list[str]) -> str:
    return types if isinstance(types, str) else " or ".join(types)


def _listed(values: list[object]) -> str:
    return shorten(", ".join(json.dumps(each, ensure_ascii=False) for each in values), 2 * _SHOWN)


def _resolve(reference: str, root: Mapping[str, Any]) -> Mapping[str, Any]:
    found: Any = root
    for name in reference.removeprefix("#/").split("/"):
        found = found.get(name, {}) if isinstance(found, Mapping) else {}
    return found if isinstance(found, Mapping) else {}
