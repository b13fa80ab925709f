from __future__ import annotations

import json
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streaming_runtime import wire

FIELD_NAMES = st.from_regex(r"\A[A-Za-z][A-Za-z0-9-]{0,15}\Z").filter(
    lambda name: name.lower() not in {"content-length", "transfer-encoding", "connection"}
)
FIELD_VALUES = st.text(st.characters(min_codepoint=33, max_codepoint=126), max_size=20)
FIELDS = st.dictionaries(FIELD_NAMES.map(str.lower), FIELD_VALUES, max_size=5)


def cut(data: bytes, places: list[int]) -> list[bytes]:
    edges = sorted({place % (len(data) + 1) for place in places} | {0, len(data)})
    return [data[start:end] for start, end in pairwise(edges)]


def read(pieces: list[bytes]) -> wire.AnswerReader:
    reader = wire.AnswerReader()
    for piece in pieces:
        assert not reader.complete
        reader.feed(piece)
    return reader


def head(status: int, fields: dict[str, str]) -> bytes:
    lines = "".join(f"{name}: {value}\r\n" for name, value in fields.items())
    return f"HTTP/1.1 {status} Whatever\r\n{lines}\r\n".encode()


def test_a_request_head_is_a_request_line_a_host_and_the_fields() -> None:
    assert wire.request_head("POST", "/x", "127.0.0.1:9001", [("A", "1"), ("B", "2")]) == (
        b"POST /x HTTP/1.1\r\nHost: 127.0.0.1:9001\r\nA: 1\r\nB: 2\r\n\r\n"
    )


@pytest.mark.parametrize("value", ["a\rb", "a\nb", "a\r\nB: c"])
def test_a_value_cannot_break_out_of_its_field(value: str) -> None:
    with pytest.raises(wire.WireError, match="the field A holds a line break"):
        wire.field_lines([("A", value)])


def test_a_chunk_carries_its_length_in_hexadecimal() -> None:
    assert wire.chunk(b"x" * 26) == b"1a\r\n" + b"x" * 26 + b"\r\n"


def test_the_last_chunk_carries_trailers() -> None:
    assert wire.last_chunk([("A", "1"), ("B", "2")]) == b"0\r\nA: 1\r\nB: 2\r\n\r\n"
    assert wire.last_chunk([]) == wire.LAST_CHUNK == b"0\r\n\r\n"


@given(
    status=st.integers(200, 599),
    headers=st.dictionaries(st.text(max_size=10), st.text(max_size=30), max_size=5),
    cookies=st.lists(st.text(max_size=20), max_size=3),
)
def test_a_prelude_ends_at_its_first_eight_nul_bytes(status: int, headers: dict[str, str], cookies: list[str]) -> None:
    prelude = wire.prelude(status, headers, cookies)
    document, nuls, rest = prelude.partition(b"\0" * 8)
    assert nuls
    assert not rest
    assert json.loads(document) == {"statusCode": status, "headers": headers, "cookies": cookies}


@given(status=st.integers(200, 599), fields=FIELDS, body=st.binary(max_size=300), places=st.lists(st.integers(0)))
def test_an_answer_with_a_length_reads_the_same_however_it_is_cut(
    status: int, fields: dict[str, str], body: bytes, places: list[int]
) -> None:
    data = head(status, {**fields, "Content-Length": str(len(body))}) + body
    reader = read(cut(data, places))
    assert (reader.complete, reader.reusable) == (True, True)
    assert (reader.status, reader.body) == (status, body)
    assert reader.headers == {**fields, "content-length": str(len(body))}


@given(
    pieces=st.lists(st.binary(min_size=1, max_size=80), max_size=8), trailers=FIELDS, places=st.lists(st.integers(0))
)
def test_chunks_come_back_as_they_were_written_however_they_are_cut(
    pieces: list[bytes], trailers: dict[str, str], places: list[int]
) -> None:
    body = b"".join(map(wire.chunk, pieces)) + wire.last_chunk(trailers.items())
    reader = read(cut(head(200, {"Transfer-Encoding": "chunked"}) + body, places))
    assert (reader.complete, reader.reusable, reader.body) == (True, True, b"".join(pieces))


@given(st.binary(max_size=400), st.lists(st.integers(0)))
@settings(max_examples=300)
def test_garbage_ends_in_a_wire_error_or_in_an_answer_and_nothing_else(data: bytes, places: list[int]) -> None:
    reader = wire.AnswerReader()
    try:
        for piece in [*cut(b"HTTP/1.1 " + data, places), b""]:
            if reader.feed(piece):
                break
    except wire.WireError:
        return
    assert reader.complete
    assert 0 <= reader.status <= 999


def test_a_chunk_extension_and_upper_case_lengths_are_understood() -> None:
    reader = read([head(200, {"transfer-encoding": "Chunked"}) + b"A;name=value\r\n0123456789\r\n0\r\n\r\n"])
    assert reader.body == b"0123456789"


def test_an_interim_answer_is_passed_over() -> None:
    reader = read([b"HTTP/1.1 100 Continue\r\n\r\n", head(202, {"Content-Length": "2"}) + b"ok"])
    assert (reader.status, reader.body) == (202, b"ok")


def test_an_answer_without_a_length_lasts_until_the_connection_ends() -> None:
    reader = wire.AnswerReader()
    assert not reader.feed(head(200, {}) + b"one ")
    assert not reader.feed(b"two")
    assert reader.feed(b"")
    assert (reader.body, reader.reusable) == (b"one two", False)


@pytest.mark.parametrize("status", [204, 304])
def test_an_answer_that_has_no_body_needs_no_length(status: int) -> None:
    assert read([head(status, {})]).complete


@pytest.mark.parametrize(
    "data",
    [head(200, {"Connection": "Close", "Content-Length": "0"}), b"HTTP/1.0 200 OK\r\nContent-Length: 0\r\n\r\n"],
)
def test_a_connection_that_the_answer_ends_is_not_reused(data: bytes) -> None:
    assert not read([data]).reusable


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"SMTP ready\r\n\r\n", "does not start with an HTTP/1.1 status line"),
        (b"HTTP/1.1 2x0 OK\r\n\r\n", "does not start with an HTTP/1.1 status line"),
        (b"HTTP/1.1 200 OK\r\nnonsense\r\n\r\n", "no colon"),
        (head(200, {"Content-Length": "-1"}), "no number"),
        (head(200, {"Content-Length": ""}), "no number"),
        (head(200, {"Transfer-Encoding": "chunked"}) + b"+5\r\n", "no number"),
        (head(200, {"Transfer-Encoding": "chunked"}) + b"2\r\nabc\r\n", "longer than it says"),
        (b"HTTP/1.1 200 OK\r\nA: " + b"a" * wire.MAX_HEAD_BYTES, "head of the answer is longer"),
        (
            head(200, {"Transfer-Encoding": "chunked"}) + b"1" * (wire.MAX_HEAD_BYTES + 1),
            "line of the answer is longer",
        ),
    ],
)
def test_what_is_no_http_answer_is_refused(data: bytes, message: str) -> None:
    with pytest.raises(wire.WireError, match=message):
        wire.AnswerReader().feed(data)


@pytest.mark.parametrize(
    "data",
    [b"HTTP/1.1 200 OK\r\n", head(200, {"Content-Length": "5"}) + b"four", head(200, {"Transfer-Encoding": "chunked"})],
)
def test_a_connection_that_ends_before_its_answer_is_an_error(data: bytes) -> None:
    reader = wire.AnswerReader()
    reader.feed(data)
    with pytest.raises(wire.WireError, match="ended before the answer did"):
        reader.feed(b"")
