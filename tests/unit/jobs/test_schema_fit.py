"""Whether an answer has the form that was asked for, and what is said where it has not."""

from __future__ import annotations

from typing import Any

import pytest

from sluice.jobs.schema import prepare_schema
from sluice.jobs.schema_fit import find_misfit

SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {
        "mood": {"type": "string", "enum": ["good", "bad"]},
        "score": {"type": "integer"},
        "share": {"type": ["number", "null"]},
        "tags": {"type": "array", "items": {"$ref": "#/$defs/tag"}},
        "either": {"anyOf": [{"type": "string"}, {"type": "boolean"}]},
    },
    "$defs": {"tag": {"type": "object", "properties": {"name": {"type": "string"}}}},
}
FITTING = {"mood": "good", "score": 3, "share": None, "tags": [{"name": "a"}], "either": True}
PREPARED, _ = prepare_schema(SCHEMA)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({}, ""),
        ({"score": 3.0}, ""),
        ({"share": 2.5, "tags": []}, ""),
        ({"mood": "sad"}, '"mood" is none of "good", "bad"'),
        ({"score": "3"}, '"score" is string, not integer'),
        ({"score": True}, '"score" is boolean, not integer'),
        ({"share": "x"}, '"share" is string, not number or null'),
        ({"tags": [{"name": 1}]}, '"name" is integer, not string'),
        ({"tags": [{}]}, 'an item of "tags" lacks "name"'),
        ({"either": 3}, '"either" is none of what may stand there'),
        ({"more": 1}, 'it has "more", which was not asked for'),
    ],
)
def test_a_misfit_is_said_with_its_place(change: dict[str, Any], says: str) -> None:
    assert find_misfit({**FITTING, **change}, PREPARED) == says


def test_what_is_no_object_or_lacks_a_property_is_said() -> None:
    assert find_misfit([], PREPARED) == "it is array, not object"
    assert (
        find_misfit({name: value for name, value in FITTING.items() if name != "mood"}, PREPARED) == 'it lacks "mood"'
    )
