import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from simulator import intake as intake_module
from simulator.errors import ApiError
from simulator.intake import Intake, read_block

PARAMS = {"model": "m", "max_tokens": 5, "messages": [{"role": "user", "content": 'a },{"custom_id": b ]} \\" é'}]}


def taken(body: bytes, size: int) -> Intake:
    intake = Intake()
    for start in range(0, len(body), size):
        intake.feed(body[start : start + size])
    intake.finish()
    return intake


def read_back(intake: Intake, body: bytes) -> list[tuple[str, Any]]:
    requests = [request for block in intake.blocks for request in read_block(body[block.start : block.stop])]
    return [(request.custom_id, json.loads(bytes(request.params))) for request in requests]


def refusal(body: bytes, size: int = 1 << 20) -> tuple[int, str]:
    with pytest.raises(ApiError) as caught:
        taken(body, size)
    return caught.value.status, caught.value.message


def batch(*custom_ids: str) -> bytes:
    return json.dumps({"requests": [{"custom_id": custom_id, "params": PARAMS} for custom_id in custom_ids]}).encode()


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)


@settings(max_examples=100)
@given(
    params=st.lists(st.dictionaries(st.sampled_from(["messages", "custom_id", "params", "x"]), JSON), min_size=1),
    window=st.integers(1, 300),
    size=st.integers(1, 200),
    indent=st.sampled_from([None, 1]),
    reverse=st.booleans(),
    ascii_only=st.booleans(),
)
def test_any_body_in_any_pieces_gives_its_requests(
    params: list[dict[str, Any]], window: int, size: int, indent: int | None, reverse: bool, ascii_only: bool
) -> None:
    requests: list[dict[str, Any]] = [{"custom_id": f"r{number}", "params": part} for number, part in enumerate(params)]
    if reverse:
        requests = [dict(reversed(request.items())) for request in requests]
    body = json.dumps({"requests": requests}, indent=indent, ensure_ascii=ascii_only).encode()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(intake_module, "_WINDOW", window)
        intake = taken(body, size)
    assert read_back(intake, body) == [(request["custom_id"], request["params"]) for request in requests]
    assert intake.size == len(body)
    assert sum(block.count for block in intake.blocks) == len(requests)


def test_a_large_body_is_cut_into_blocks() -> None:
    body = batch(*(f"r{number}" for number in range(20_000)))
    intake = taken(body, 65_536)
    assert len(intake.blocks) > 3
    assert [custom_id for custom_id, _ in read_back(intake, body)] == [f"r{number}" for number in range(20_000)]


def test_white_space_around_everything_is_fine() -> None:
    body = b' { "requests" : [ {"custom_id":"a","params":{}} , {"params":{},"custom_id":"b"} ] } \n'
    assert [custom_id for custom_id, _ in read_back(taken(body, 3), body)] == ["a", "b"]


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"", "The request body is not valid JSON."),
        (b"[]", "requests: Field required"),
        (b'{"other": 1}', "requests: Field required"),
        (b'{"requests": 3}', "requests: Input should be a valid list"),
        (b'{"requests": [ ]}', "requests: List should have at least 1 item after validation, not 0"),
        (b'{"requests": [{"custom_id":"a","params":{}},]}', "The request body is not valid JSON."),
        (b'{"requests": [{"custom_id":"a","params":{}}', "The request body is not valid JSON."),
        (b'{"requests": [{"custom_id":"a","params":{"x":[1]}', "The request body is not valid JSON."),
        (b'{"requests": [{"custom_id":"a","params":{}}], "x": 1}', "The request body is not valid JSON."),
        (b'{"requests": [{"custom_id":"a"}]}', "requests.0.params: Field required"),
        (b'{"requests": [{"params":{}}]}', "requests.0.custom_id: Field required"),
        (b'{"requests": [{"custom_id":"a","params":{},"x":1}]}', "requests.0.x: Extra inputs are not permitted"),
        (b'{"requests": [7]}', "requests.0: Expected `object`, got `int`"),
        (batch("a", "b", "a"), "requests.2.custom_id: custom_ids must be unique; `a` is repeated"),
    ],
)
def test_a_wrong_body_is_refused(body: bytes, message: str) -> None:
    assert refusal(body) == (400, message)
    assert refusal(body, 7) == (400, message)


@pytest.mark.parametrize("custom_id", ["", "a b", "ü", "x" * 65, "a\n", "a/b", "a.b"])
def test_a_custom_id_of_another_form_is_refused(custom_id: str) -> None:
    status, message = refusal(batch("good", custom_id))
    assert status == 400
    assert message.startswith("requests.1.custom_id: String should match pattern")


def test_a_mistake_is_placed_right_beyond_the_first_block() -> None:
    custom_ids = [f"r{number}" for number in range(20_000)]
    custom_ids[15_000] = "not good"
    assert refusal(batch(*custom_ids), 65_536)[1].startswith("requests.15000.custom_id")


def test_too_many_requests_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(intake_module, "MAX_BATCH_REQUESTS", 2)
    assert len(taken(batch("a", "b"), 100).custom_ids) == 2
    assert refusal(batch("a", "b", "c"))[0] == 413


def test_too_many_bytes_are_refused_before_they_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(intake_module, "MAX_BATCH_BYTES", 100)
    intake = Intake()
    intake.feed(b" " * 100)
    with pytest.raises(ApiError) as caught:
        intake.feed(b" ")
    assert caught.value.status == 413
