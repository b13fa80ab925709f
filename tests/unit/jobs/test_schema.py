"""JSON Schema as Claude takes it."""

from __future__ import annotations

import json
from copy import deepcopy
from typing import Any

import pytest

from sluice.claude.prices import shipped_prices
from sluice.jobs.folder_settings import FolderSettings
from sluice.jobs.formats.check import GoodLine, LineRules
from sluice.jobs.formats.prompts import PromptWriter
from sluice.jobs.formats.request_line import Defaults
from sluice.jobs.job_settings import merge_settings
from sluice.jobs.schema import close_objects, prepare_schema
from sluice.settings import JobSettings

TEXT = {"type": "string"}
OPEN = {"type": "object", "properties": {"a": TEXT}}
CLOSED = {**OPEN, "additionalProperties": False}


def around(inner: dict[str, Any]) -> dict[str, Any]:
    """A schema with another one in each place where there can be one."""
    return {
        "type": "object",
        "properties": {
            "one": inner,
            "list": {"type": "array", "items": inner},
            "choice": {"anyOf": [TEXT, inner]},
            "either": {"oneOf": [inner]},
            "all": {"allOf": [inner]},
            "pair": {"type": "array", "prefixItems": [inner, TEXT]},
            "maybe": {**inner, "type": ["object", "null"]},
            "named": {"$ref": "#/$defs/thing"},
            "word": {"type": "string", "enum": ["properties", "object"], "description": "an object"},
        },
        "required": ["one"],
        "$defs": {"thing": inner},
        "definitions": {"thing": inner},
    }


def test_each_object_of_a_schema_is_closed() -> None:
    assert close_objects(around(OPEN)) == {**around(CLOSED), "additionalProperties": False}


def test_the_schema_that_was_given_stays_as_it_is() -> None:
    given = around(OPEN)
    before = deepcopy(given)
    close_objects(given)
    assert given == before


def test_a_closed_schema_stays_as_it_is() -> None:
    assert close_objects(CLOSED) == CLOSED


@pytest.mark.parametrize("other", [True, {}, {"type": "string"}, None, 0])
def test_an_object_that_is_open_on_purpose_is_refused_where_it_is(other: object) -> None:
    schema = {"type": "object", "properties": {"a": {"items": {"type": "object", "additionalProperties": other}}}}
    with pytest.raises(ValueError, match=r'^schema\.properties\.a\.items: "additionalProperties" has to be false'):
        close_objects(schema)


@pytest.mark.parametrize("other", ["string", None, True, ["string"]])
def test_what_is_no_schema_is_refused_where_it_is(other: object) -> None:
    with pytest.raises(ValueError, match=r"^schema\.anyOf\[1\]\.properties\.a: has to be a JSON Schema"):
        close_objects({"anyOf": [TEXT, {"properties": {"a": other}}]})


def test_a_request_asks_for_closed_objects() -> None:
    effective = merge_settings(JobSettings("t", default_model="m"), FolderSettings(schema=OPEN), None, shipped_prices())
    writer = PromptWriter(effective, LineRules(Defaults(), 1_000, lambda model, max_tokens: None))
    request = writer.write(1, "a", "Hi", "Hi")
    assert isinstance(request, GoodLine)
    assert json.loads(request.text)["params"]["output_config"]["format"]["schema"] == {**CLOSED, "required": ["a"]}


def prepared(**properties: Any) -> dict[str, Any]:
    return prepare_schema({"type": "object", "properties": properties})[0]


def test_all_properties_are_asked_for_where_none_is_listed_as_required() -> None:
    assert prepared(a=TEXT, b=TEXT)["required"] == ["a", "b"]
    schema = {**OPEN, "properties": {"a": TEXT, "b": TEXT}, "required": ["b"]}
    assert prepare_schema(schema)[0]["required"] == ["b"]


def test_limits_that_claude_does_not_enforce_are_told_in_the_description() -> None:
    schema, notes = prepare_schema(
        {
            "type": "object",
            "properties": {
                "stars": {"type": "integer", "minimum": 1, "maximum": 5, "description": "Stars"},
                "names": {"type": "array", "items": {"type": "string", "maxLength": 9}, "minItems": 2},
                "one": {"type": "array", "items": TEXT, "minItems": 1},
                "day": {"type": "string", "format": "date"},
                "code": {"type": "string", "format": "iban"},
            },
        }
    )
    properties = schema["properties"]
    assert properties["stars"] == {"type": "integer", "description": "Stars (minimum: 1, maximum: 5)"}
    assert properties["names"]["items"] == {"type": "string", "description": "maxLength: 9"}
    assert properties["names"]["description"] == "minItems: 2"
    assert properties["one"]["minItems"] == 1
    assert properties["day"]["format"] == "date"
    assert properties["code"] == {"type": "string", "description": 'format: "iban"'}
    assert [note.partition(":")[0] for note in notes] == [
        "schema.properties.stars",
        "schema.properties.names",
        "schema.properties.names.items",
        "schema.properties.code",
    ]


def test_a_prepared_schema_stays_as_it_is() -> None:
    once = prepare_schema(around(OPEN))[0]
    assert prepare_schema(once) == (once, ())


@pytest.mark.parametrize(
    ("schema", "says"),
    [
        ({"type": "text"}, r"schema\.properties\.a: there is no type 'text'; write type: string"),
        ({"type": "date"}, "write type: string, format: date"),
        ({"type": "colour"}, "there are: array, boolean"),
        ({}, "has to say its type"),
        ({"enum": "yes"}, '"enum" has to be a list'),
        ({"enum": [{"a": 1}]}, '"enum" has to list'),
        ({"$ref": "#/$defs/none"}, "which is not under"),
        ({"type": "object", "properties": {"b": TEXT}, "required": ["c"]}, "\"required\" names 'c'"),
    ],
)
def test_what_claude_would_refuse_is_said_before(schema: dict[str, Any], says: str) -> None:
    with pytest.raises(ValueError, match=says):
        prepared(a=schema)


def test_too_many_optional_properties_are_counted() -> None:
    properties = {f"p{number}": TEXT for number in range(30)}
    listed = {"type": "object", "properties": properties}
    assert len(prepare_schema(listed)[0]["required"]) == 30
    assert prepare_schema({**listed, "required": [f"p{number}" for number in range(6)]})
    with pytest.raises(ValueError, match="25 properties are optional, and Claude takes 24"):
        prepare_schema({**listed, "required": [f"p{number}" for number in range(5)]})


def test_too_many_unions_are_counted() -> None:
    maybe = {"type": ["string", "null"]}
    prepared(**{f"p{number}": maybe for number in range(16)})
    with pytest.raises(ValueError, match="17 values may be of several types"):
        prepared(**{f"p{number}": maybe for number in range(17)})


def test_a_schema_that_contains_itself_is_refused() -> None:
    tree = {"type": "object", "properties": {"children": {"type": "array", "items": {"$ref": "#/$defs/tree"}}}}
    with pytest.raises(ValueError, match=r"#/\$defs/tree contains itself"):
        prepare_schema({"type": "object", "properties": {"a": {"$ref": "#/$defs/tree"}}, "$defs": {"tree": tree}})
