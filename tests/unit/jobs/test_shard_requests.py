"""The requests of a shard, read again for those that failed."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sluice.errors import SluiceError
from sluice.jobs.requests import read_request, wanted_lines, with_max_tokens, without_params


@settings(max_examples=60)
@given(
    st.lists(st.tuples(st.binary(max_size=4).map(lambda text: text.replace(b"\n", b"")), st.booleans()), max_size=30),
    st.integers(1, 7),
)
def test_only_the_wanted_lines_come_with_their_places(lines: list[tuple[bytes, bool]], size: int) -> None:
    runs = [b"".join(text + b"\n" for text, _ in lines[start : start + size]) for start in range(0, len(lines), size)]
    found = list(wanted_lines(runs, bytes(wanted for _, wanted in lines)))
    assert found == [(place, text) for place, (text, wanted) in enumerate(lines) if wanted]


@pytest.mark.parametrize("count", [1, 3])
def test_another_number_of_lines_is_refused(count: int) -> None:
    with pytest.raises(SluiceError, match="2 requests has"):
        list(wanted_lines([b"{}\n" * count], b"\0\0"))


def test_a_request_gets_a_larger_max_tokens_and_nothing_else_changes() -> None:
    line = b'{"params": {"model":"m", "max_tokens" : 5, "x": [1.50, "\\u00e9"]}, "custom_id": "a"}'
    longer = with_max_tokens(line, 9)
    assert longer
    assert json.loads(longer) == {"custom_id": "a", "params": {"model": "m", "max_tokens": 9, "x": [1.5, "é"]}}
    assert b"1.50" in longer
    assert list(json.loads(longer)["params"]) == ["model", "max_tokens", "x"]


def test_a_request_that_has_as_many_is_left_alone() -> None:
    assert with_max_tokens(b'{"custom_id":"a","params":{"max_tokens":9}}', 9) is None


def test_of_requests_whose_file_is_gone_the_ids_are_left() -> None:
    (run,) = without_params([b"a\nb\n"])
    first, second = (read_request(line) for line in run.splitlines())
    assert (first.custom_id, bytes(first.params), second.custom_id) == ("a", b"null", "b")
