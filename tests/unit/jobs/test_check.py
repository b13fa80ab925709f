"""Lines told apart: what can run, and what cannot and why."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sluice.jobs.edits import apply_edits
from sluice.jobs.formats.check import (
    Asked,
    BadLine,
    GoodLine,
    LineBlock,
    LineRules,
    check_block,
    check_line,
    check_lines,
)
from sluice.jobs.formats.request_line import Defaults

MODEL = "claude-haiku-5-5"
PARAMS = {"model": MODEL, "max_tokens": 9, "messages": [{"role": "user", "content": "Hi"}]}
RULES = LineRules(Defaults(), 10_000, lambda model, max_tokens: None)
FILLING = LineRules(Defaults(MODEL, 77), 10_000, lambda model, max_tokens: None)


def line(**changes: Any) -> bytes:
    """A good line with changes; None takes a key away."""
    values = {"custom_id": "a", "params": PARAMS, **changes}
    return json.dumps({name: each for name, each in values.items() if each is not None}).encode()


def params(**changes: Any) -> bytes:
    values = {**PARAMS, **changes}
    return line(params={name: each for name, each in values.items() if each is not None})


def check(text: bytes, rules: LineRules = RULES, number: int = 7) -> GoodLine | BadLine:
    """Check a line, and that it means the same to the quick way."""
    found = check_line(number, 100, text, rules)
    run = check_block(LineBlock(100, number, text + b"\n"), rules)
    if run:
        assert isinstance(found, GoodLine)
        assert found.edit is None
        assert run.ids == [found.custom_id]
        assert run.asked == {found.model: Asked(1, found.max_tokens, found.max_tokens, found.max_tokens)}
    return found


def sent(text: bytes, found: GoodLine) -> bytes:
    """Make the edit of a line, as it is made when it passes."""
    made = b"".join(apply_edits([text], [found.edit] if found.edit else [], 100))
    assert made == found.text
    return made


@pytest.mark.parametrize(
    ("text", "kind", "says"),
    [
        (b"", "empty", "empty"),
        (b" \t\r", "empty", "empty"),
        (b"hello", "not JSON", "not JSON"),
        (b"\xff\xfe{\x00", "not JSON", "not UTF-8 at byte 1"),
        (line()[:-1], "not JSON", "not JSON"),
        (line() + b"," + line(), "not JSON", "not JSON"),
        (line().replace(b"Hi", b"a\x00b"), "not JSON", "not JSON"),
        (line().replace(b"Hi", b"\xc3"), "not JSON", "not UTF-8"),
        (b"\xef\xbb\xbf" + line(), "not JSON", "not JSON"),
        (b"[1]", "keys", "expected"),
        (b"17", "keys", "expected"),
        (line(body={}), "keys", 'unknown field "body"'),
        (b'{"custom_id":"a"}', "params", 'no "params"'),
        (line(params=[]), "params", "expected"),
        (line(params={}), "params", 'no "messages"'),
        (params(messages=[]), "params", "messages"),
        (params(messages="Hi"), "params", "messages"),
        (params(messages=["Hi"]), "params", "messages"),
        (params(model=None), "params", 'no "model"'),
        (params(model=""), "params", "model"),
        (params(model=3), "params", "model"),
        (params(max_tokens=None), "params", 'no "max_tokens"'),
        (params(max_tokens=0), "params", "max_tokens"),
        (params(max_tokens=-1), "params", "max_tokens"),
        (params(max_tokens=1.5), "params", "max_tokens"),
        (params(max_tokens=True), "params", "max_tokens"),
        (params(max_tokens=10**30), "params", "max_tokens"),
        (params(max_tokens=10_000_001), "params", "max_tokens"),
        (params(max_tokens="9"), "params", "max_tokens"),
        (params(stream=True), "params", "stream"),
        (params(speed="fast"), "params", "speed"),
        (params(betas=["x"]), "params", "betas"),
        (line(custom_id=5), "custom_id", "has to be text"),
        (line(custom_id=""), "custom_id", "1 to 64"),
        (line(custom_id="a" * 65), "custom_id", "1 to 64"),
        (line(custom_id="a b"), "custom_id", "1 to 64"),
        (line(custom_id="a\n"), "custom_id", "1 to 64"),
        (line(custom_id="é"), "custom_id", "1 to 64"),
        (line().replace(b'"Hi"', b"[" * 99_999 + b"]" * 99_999), "nesting", "nested"),
        (params(system="x" * 10_000), "too long", "more than 10000"),
    ],
)
def test_a_line_that_cannot_run_says_why(text: bytes, kind: str, says: str) -> None:
    found = check(text)
    assert isinstance(found, BadLine)
    assert found.problem.kind == kind
    assert says in found.problem.reason
    assert (found.number, found.offset, found.length, found.text) == (7, 100, len(text), text)


@pytest.mark.parametrize(
    "text",
    [
        line(),
        line() + b"\r",
        b" \t" + line() + b"  ",
        params(stream=False),
        params(system="Grüße 🌍"),
        params(
            messages=[{"role": "user", "content": [{"type": "text", "text": "Hi"}]}, {"role": "user", "content": "?"}]
        ),
        json.dumps({"params": PARAMS, "custom_id": "a"}, indent=None, separators=(" , ", " : ")).encode(),
        line().replace(b"Hi", rb"\ud83c\udf0d \u00e9"),
    ],
)
def test_a_good_line_goes_as_it_is(text: bytes) -> None:
    found = check(text)
    assert isinstance(found, GoodLine)
    assert found.edit is None
    assert found.custom_id == "a"
    assert sent(text, found) == text


@pytest.mark.parametrize("given", [line(custom_id=None), line(custom_id=None).replace(b"{", b'{"custom_id":null,', 1)])
def test_a_line_without_an_id_gets_one_from_its_number(given: bytes) -> None:
    found = check(given)
    assert isinstance(found, GoodLine)
    assert json.loads(sent(given, found)) == {"custom_id": "line-7", "params": PARAMS}


def test_a_line_of_errors_jsonl_runs_again_without_its_result() -> None:
    result = {"type": "errored", "error": {"type": "error", "error": {"type": "api_error", "message": "é"}}}
    given = line(result=result)
    found = check(given)
    assert isinstance(found, GoodLine)
    assert json.loads(sent(given, found)) == {"custom_id": "a", "params": PARAMS}


def test_an_edit_is_small_where_little_changes() -> None:
    given = b'{"params":%s}' % json.dumps({**PARAMS, "system": "x" * 1000}).encode()
    found = check(given)
    assert isinstance(found, GoodLine)
    assert found.edit is not None
    assert len(found.edit.inserted) < 40
    assert found.edit.removed < 40


@pytest.mark.parametrize("custom_id", ["a", None])
@pytest.mark.parametrize(("model", "max_tokens"), [(None, 9), (MODEL, None), (None, None)])
def test_a_model_and_max_tokens_come_from_the_settings(
    custom_id: str | None, model: str | None, max_tokens: int | None
) -> None:
    asked = {"model": model, "max_tokens": max_tokens, "messages": PARAMS["messages"]}
    given = line(custom_id=custom_id, params={name: each for name, each in asked.items() if each is not None})
    found = check(given, FILLING)
    assert isinstance(found, GoodLine)
    expected = {"model": MODEL, "max_tokens": max_tokens or 77, "messages": PARAMS["messages"]}
    assert json.loads(sent(given, found)) == {"custom_id": custom_id or "line-7", "params": expected}
    assert (found.model, found.max_tokens) == (MODEL, max_tokens or 77)


def test_a_model_that_cannot_do_the_work_is_said_by_name() -> None:
    retired = LineRules(Defaults(), 10_000, lambda model, max_tokens: f"The model {model} was retired.")
    found = check(line(), retired)
    assert isinstance(found, BadLine)
    assert found.problem.reason == f"The model {MODEL} was retired."


def test_the_quick_way_takes_a_block_of_good_lines() -> None:
    texts = [line(custom_id=f"r-{number}") for number in range(9)]
    run = check_block(LineBlock(0, 1, b"\n".join(texts) + b"\n"), RULES)
    assert run is not None
    assert run.ids == [f"r-{number}" for number in range(9)]


def test_the_quick_way_sums_up_what_is_asked_of_each_model() -> None:
    asked = [("a", 5), ("b", 7), ("a", 3)]
    texts = [params(model=model, max_tokens=most) for model, most in asked]
    run = check_block(LineBlock(0, 1, b"\n".join(texts) + b"\n"), RULES)
    assert run is not None
    assert run.asked == {"a": Asked(2, 8, 5, 3), "b": Asked(1, 7, 7, 7)}


def test_two_requests_in_a_line_are_not_taken_for_two_lines() -> None:
    two = line() + b" " + line(custom_id="b") + b"\n"
    spread = re.sub(rb", ", b",\n", line(custom_id="c"), count=1) + b"\n"
    block = LineBlock(0, 1, two + spread)
    assert check_block(block, RULES) is None
    assert [type(each) for each in check_lines(block, RULES)] == [BadLine, BadLine, BadLine]


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)
_PARAMS_LIKE = st.fixed_dictionaries(
    {},
    optional={
        "model": st.just(MODEL) | _JSON,
        "max_tokens": st.integers(-1, 9) | _JSON,
        "messages": st.just(PARAMS["messages"]) | _JSON,
        "stream": _JSON,
        "system": _JSON,
    },
)
_LINE_LIKE = st.fixed_dictionaries(
    {}, optional={"custom_id": st.text(max_size=5) | _JSON, "params": _PARAMS_LIKE | _JSON, "result": _JSON}
)
_TEXTS = (
    st.binary(max_size=30)
    | st.tuples(_LINE_LIKE, st.booleans()).map(lambda case: json.dumps(case[0], ensure_ascii=case[1]).encode())
    | st.tuples(st.just(line()), st.integers(0, 120), st.binary(max_size=2)).map(
        lambda case: case[0][: case[1]] + case[2] + case[0][case[1] :]
    )
)


@given(st.lists(_TEXTS.map(lambda text: text.replace(b"\n", b" ")), min_size=1, max_size=6), st.booleans())
def test_the_quick_way_means_what_the_slow_one_does(texts: list[bytes], filling: bool) -> None:
    rules = FILLING if filling else RULES
    data = b"\n".join(texts) + b"\n"
    checked = list(check_lines(LineBlock(100, 1, data), rules))
    assert [each.number for each in checked] == list(range(1, len(texts) + 1))
    for text, found in zip(texts, checked, strict=True):
        check(text, rules)
        if isinstance(found, GoodLine):
            request = json.loads(found.text)
            assert set(request) == {"custom_id", "params"}
            assert re.fullmatch("[a-zA-Z0-9_-]{1,64}", request["custom_id"])
            assert request["params"]["messages"]
    run = check_block(LineBlock(100, 1, data), rules)
    if run:
        assert all(isinstance(found, GoodLine) and found.edit is None for found in checked)
