"""Lines of results: of each, what decides; of all, the bytes."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sluice.jobs.requests import read_request
from sluice.jobs.results import (
    ForeignResults,
    ResultsUnreadable,
    check_custom_ids,
    read_answer_line,
    read_blocks,
    read_raw_result_line,
    read_result_line,
    with_custom_id,
    write_error_line,
    write_errored_result,
)

SUCCEEDED = b'{"custom_id":"a","result":{"type":"succeeded","message":{"model":"m","stop_reason":"end_turn"}}}'
EXPIRED = b'{"custom_id":"b","result":{"type":"expired"}}'


def test_blank_lines_are_left_out() -> None:
    (block,) = read_blocks([SUCCEEDED + b"\n\n  \r\n" + EXPIRED + b"\n\n"])
    assert block.data == SUCCEEDED + b"\n" + EXPIRED + b"\n"
    assert list(block.ends) == [len(SUCCEEDED) + 1, len(SUCCEEDED) + len(EXPIRED) + 2]
    assert [line.custom_id for line in block.lines] == ["a", "b"]


@pytest.mark.parametrize(
    "text",
    [
        SUCCEEDED[:-3],
        SUCCEEDED + b"\n" + EXPIRED[:20],
        b"<html>",
        b'{"custom_id": 7, "result": {"type": "expired"}}',
        b'{"custom_id":"\xff","result":{"type":"expired"}}',
        b"[]",
        b'{"custom_id":"a"}',
    ],
)
def test_a_line_that_is_no_result_is_a_transient_failure(text: bytes) -> None:
    with pytest.raises(ResultsUnreadable) as raised:
        list(read_blocks([text]))
    assert raised.value.retryable
    assert "custom" not in str(raised.value)


def test_two_results_on_one_line_stay_two() -> None:
    with pytest.raises(ResultsUnreadable):
        list(read_blocks([SUCCEEDED + EXPIRED]))


def test_the_inner_error_counts() -> None:
    plain = b'{"type":"api_error","message":"x"}'
    wrapped = b'{"type":"error","error":%s}' % plain
    for error in (wrapped, plain):
        (block,) = read_blocks([b'{"custom_id":"a","result":{"type":"errored","error":%s}}' % error])
        assert block.lines[0].result.inner_error.type == "api_error"


def test_an_error_without_a_body_has_no_type() -> None:
    (block,) = read_blocks([b'{"custom_id":"a","result":{"type":"errored","error":null}}'])
    assert block.lines[0].result.inner_error.type == ""


@settings(max_examples=50)
@given(st.text(st.characters(codec="utf-8"), max_size=30), st.from_regex(r"[a-zA-Z0-9_-]{1,64}", fullmatch=True))
def test_a_custom_id_is_restored_and_nothing_else_changes(text: str, custom_id: str) -> None:
    result = {"type": "succeeded", "message": {"content": text, "custom_id": "nonce"}}
    line = json.dumps({"custom_id": "nonce", "result": result}, ensure_ascii=False).encode()
    assert json.loads(with_custom_id(line, custom_id)) == {"custom_id": custom_id, "result": result}


def test_an_error_line_is_a_request_with_its_result() -> None:
    request = read_request(b'{"custom_id":"a","params":{"model":"m"}}')
    line = write_error_line(request, write_errored_result("api_error", 'a "quoted" word'))
    assert json.loads(line) == {
        "custom_id": "a",
        "params": {"model": "m"},
        "result": {
            "type": "errored",
            "error": {"type": "error", "error": {"type": "api_error", "message": 'a "quoted" word'}},
        },
    }


def test_an_error_line_is_read_as_a_result() -> None:
    request = read_request(b'{"params":{"model":"m"},"custom_id":"a"}')
    line = read_result_line(write_error_line(request, write_errored_result("api_error", "why")))
    assert (line.custom_id, line.result.inner_error.message) == ("a", "why")


def test_an_answer_is_its_blocks_of_text() -> None:
    content = [{"type": "text", "text": "one "}, {"type": "tool_use", "input": {}}, {"type": "text", "text": "two"}]
    result = {"type": "succeeded", "message": {"content": content, "usage": {"output_tokens": 2}}}
    answer = read_answer_line(json.dumps({"custom_id": "a", "result": result}).encode())
    assert (answer.custom_id, answer.result.message.text) == ("a", "one two")


@pytest.mark.parametrize("line", [EXPIRED, b'{"result":{"type":"expired"}, "custom_id" : "b"}'])
def test_a_line_is_that_of_its_id_however_it_is_written(line: bytes) -> None:
    check_custom_ids([line], [b"b"])
    with pytest.raises(ForeignResults):
        check_custom_ids([line], [b"a"])


def test_a_raw_result_keeps_its_bytes() -> None:
    line = read_raw_result_line(b'{"custom_id":"a", "result": {"type" : "expired"}}')
    assert bytes(line.result) == b'{"type" : "expired"}'
