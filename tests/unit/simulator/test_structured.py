from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from simulator.structured import schema_problem, value_for

WORDS = ("the", "sea", "is", "wide")
TYPES: dict[str, type] = {"string": str, "integer": int, "number": int, "boolean": bool, "null": type(None)}


def check(value: Any, schema: dict[str, Any]) -> None:
    """The keywords of JSON Schema that these tests use."""
    kinds = schema.get("type", [])
    kinds = [kinds] if isinstance(kinds, str) else kinds
    if "object" in kinds:
        assert set(schema.get("required", [])) <= set(value) <= set(schema["properties"])
        for name, part in schema["properties"].items():
            check(value[name], part)
    elif "array" in kinds:
        assert len(value) >= schema.get("minItems", 0)
        for item in value:
            check(item, schema["items"])
    elif kinds:
        assert isinstance(value, tuple(TYPES[kind] for kind in kinds))
    assert value in schema.get("enum", [value])
    assert value == schema.get("const", value)
    if isinstance(value, str):
        assert schema.get("minLength", 0) <= len(value) <= schema.get("maxLength", 10**6)
    elif isinstance(value, int):
        assert schema.get("minimum", value) <= value <= schema.get("maximum", value)
        assert value < schema.get("exclusiveMaximum", value + 1)


@pytest.mark.parametrize(
    "schema",
    [
        {"type": "string", "minLength": 40},
        {"type": "string", "maxLength": 2},
        {"type": "integer", "minimum": 50},
        {"type": "number", "exclusiveMaximum": 2},
        {"type": "integer", "minimum": 1, "maximum": 1},
        {"type": ["string", "null"]},
        {"type": "null"},
        {"enum": ["red", "green"]},
        {"const": 3},
        {"type": "array", "items": {"type": "boolean"}, "minItems": 3},
    ],
)
def test_the_value_fits_the_schema(schema: dict[str, Any]) -> None:
    check(value_for(schema, WORDS), schema)


def test_the_first_of_alternatives_is_taken() -> None:
    assert value_for({"anyOf": [{"type": "integer"}, {"type": "string"}]}, WORDS) == 4


def test_a_reference_is_followed() -> None:
    city = {"type": "object", "properties": {"name": {"type": "string"}}}
    schema = {"type": "object", "properties": {"city": {"$ref": "#/$defs/city"}}, "$defs": {"city": city}}
    assert value_for(schema, WORDS) == {"city": {"name": "the sea is wide"}}


def test_a_schema_that_refers_to_itself_comes_to_an_end() -> None:
    schema = {
        "$ref": "#/$defs/node",
        "$defs": {"node": {"type": "object", "properties": {"next": {"$ref": "#/$defs/node"}}}},
    }
    assert value_for(schema, WORDS) != {}


def test_the_words_of_the_prompt_are_in_the_value() -> None:
    assert value_for({"type": "object", "properties": {"a": {"type": "string"}}}, WORDS) == {"a": "the sea is wide"}


SIMPLE: st.SearchStrategy[dict[str, Any]] = st.sampled_from(
    [{"type": "string"}, {"type": "integer", "minimum": 3}, {"type": "boolean"}, {"enum": [1, "two"]}, {"type": "null"}]
)
SCHEMAS = st.recursive(
    SIMPLE,
    lambda inner: st.one_of(
        st.builds(lambda items: {"type": "array", "items": items, "minItems": 1}, inner),
        st.builds(
            lambda parts: {
                "type": "object",
                "properties": parts,
                "required": list(parts),
                "additionalProperties": False,
            },
            st.dictionaries(st.text(max_size=3), inner, max_size=3),
        ),
    ),
    max_leaves=8,
)


@settings(max_examples=50)
@given(SCHEMAS)
def test_any_nested_schema_is_met(schema: dict[str, Any]) -> None:
    check(value_for(schema, WORDS), schema)


def closed(properties: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"type": "object", "properties": properties, "additionalProperties": False, **more}


TEXT = {"type": "string"}
UNION = {"type": ["string", "null"]}
NODE = closed({"next": {"$ref": "#/$defs/node"}})


@pytest.mark.parametrize(
    ("schema", "says"),
    [
        (closed({"minimum": TEXT, "minLength": TEXT}), None),
        (closed({f"p{number}": TEXT for number in range(24)}), None),
        (closed({f"p{number}": TEXT for number in range(30)}, required=[f"p{number}" for number in range(30)]), None),
        (closed({"a": {"$ref": "#/$defs/b"}, "c": {"$ref": "#/$defs/b"}}, **{"$defs": {"b": TEXT}}), None),
        ({"type": "object", "properties": {}}, "additionalProperties"),
        (closed({"a": {"type": "integer", "minimum": 1}}), "property 'minimum' is not supported"),
        (closed({"a": {"type": "array", "items": {**TEXT, "maxLength": 3}}}), "property 'maxLength' is not supported"),
        (closed({"a": {"type": "array", "items": TEXT, "minItems": 2}}), "minItems"),
        (closed({f"p{number}": TEXT for number in range(25)}), "too many optional"),
        (
            closed({f"p{n}": UNION for n in range(17)}, required=[f"p{n}" for n in range(17)]),
            "union",
        ),
        (closed({"a": {"$ref": "#/$defs/node"}}, **{"$defs": {"node": NODE}}), "Circular"),
    ],
)
def test_schemas_that_the_api_refuses_are_known(schema: dict[str, Any], says: str | None) -> None:
    problem = schema_problem(schema)
    assert (problem is None) == (says is None)
    assert (says or "") in (problem or "")
