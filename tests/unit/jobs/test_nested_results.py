"""Results that are nested deeper than Python's stack."""

from __future__ import annotations

import json
from collections.abc import Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sluice.jobs.results import (
    ResultsUnreadable,
    read_blocks,
    read_raw_result_line,
    read_result,
    with_custom_id,
    without_depths,
)

DEEP = b"[" * 100_000 + b'"]]}"' + b"]" * 100_000
CONTENT = b'[{"type":"text","text":"[{\\"["},{"type":"tool_use","input":{"a":%s}}]' % DEEP
MESSAGE = b'{"content":%s,"model":"m","stop_reason":"tool_use","usage":{"output_tokens":7}}' % CONTENT
RESULT = b'{"type":"succeeded","message":%s}' % MESSAGE
LINE = b'{"custom_id":"a-1","result":%s}' % RESULT
PLAIN = b'{"custom_id":"b","result":{"type":"expired"}}'


def lines(data: Iterable[bytes]) -> list[tuple[str, str]]:
    return [(line.custom_id, line.result.type) for block in read_blocks(data) for line in block.lines]


def test_a_deep_answer_is_read_with_its_tokens_and_kept_as_it_came() -> None:
    (block,) = read_blocks([PLAIN + b"\n\n" + LINE + b"\n"])

    assert [line.custom_id for line in block.lines] == ["b", "a-1"]
    message = block.lines[1].result.message
    assert message is not None
    assert (message.model, message.stop_reason) == ("m", "tool_use")
    assert message.usage is not None
    assert message.usage.output_tokens == 7
    assert block.data == PLAIN + b"\n" + LINE + b"\n"


def test_the_custom_id_of_a_deep_answer_is_restored() -> None:
    assert read_raw_result_line(LINE).custom_id == "a-1"
    assert with_custom_id(LINE + b"\n", "river") == b'{"custom_id":"river","result":%s}' % RESULT
    assert read_result(bytes(read_raw_result_line(LINE).result)).type == "succeeded"


@pytest.mark.parametrize("length", [200, len(LINE) // 2, len(LINE) - 1])
def test_a_deep_answer_that_is_cut_short_is_unreadable(length: int) -> None:
    with pytest.raises(ResultsUnreadable):
        lines([LINE[:length]])


values = st.recursive(
    st.text() | st.integers() | st.none(), lambda each: st.lists(each) | st.dictionaries(st.text(), each)
)


@given(values)
def test_what_is_not_deep_is_left_as_it_is(value: object) -> None:
    text = json.dumps(value).encode()
    assert without_depths(text) == text
