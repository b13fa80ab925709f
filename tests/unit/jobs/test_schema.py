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
from sluice.jobs.schema import close_objects
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
    assert json.loads(request.text)["params"]["output_config"]["format"]["schema"] == CLOSED
