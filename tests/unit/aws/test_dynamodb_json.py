"""DynamoDB's JSON and Python's values."""

from __future__ import annotations

from typing import Any

import pytest
from boto3.dynamodb.types import TypeDeserializer
from hypothesis import given
from hypothesis import strategies as st

from sluice.aws.dynamodb_json import from_attribute, from_item, to_attribute, to_item

numbers = st.integers(-(10**30), 10**30) | st.floats(-1e9, 1e9, allow_nan=False).filter(
    lambda number: number == 0 or abs(number) > 1e-9
)
leaves = st.none() | st.booleans() | numbers | st.text(max_size=20) | st.binary(max_size=20)
values = st.recursive(
    leaves,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(min_size=1, max_size=8), inner, max_size=4),
)


@given(values)
def test_what_is_written_is_read(value: Any) -> None:
    assert from_attribute(to_attribute(value)) == value


@given(values)
def test_boto3_reads_the_same(value: Any) -> None:
    attribute: Any = to_attribute(value)

    assert _plain(TypeDeserializer().deserialize(attribute)) == _plain(value)


def _plain(value: Any) -> Any:
    """Boto3 reads numbers as Decimal and bytes as Binary."""
    if isinstance(value, list):
        return [_plain(each) for each in value]
    if isinstance(value, dict):
        return {name: _plain(each) for name, each in value.items()}
    if isinstance(value, bool) or value is None or isinstance(value, str):
        return value
    return bytes(value) if hasattr(value, "value") or isinstance(value, bytes) else repr(float(value))


def test_what_is_none_is_left_out_of_an_item() -> None:
    assert to_item({"a": 1, "b": None, "c": ""}) == {"a": {"N": "1"}, "c": {"S": ""}}


def test_a_time_keeps_its_fraction_and_a_whole_number_is_an_int() -> None:
    item = from_item(
        {"at": {"N": "1795000000.123456"}, "count": {"N": "3"}, "less": {"N": "-2"}, "big": {"N": "1E+30"}}
    )

    assert (item["at"], item["count"], item["less"], item["big"]) == (1795000000.123456, 3, -2, 1e30)
    assert [type(value) for value in item.values()] == [float, int, int, float]


def test_sets_and_bytes_over_the_wire_are_read() -> None:
    assert from_attribute({"SS": ["a", "b"]}) == {"a", "b"}
    assert from_attribute({"B": "aGk="}) == b"hi"


def test_what_cannot_be_kept_is_an_error() -> None:
    with pytest.raises(TypeError, match="object"):
        to_attribute({"a": [object()]})
