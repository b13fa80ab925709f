from __future__ import annotations

import itertools
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from local.function_url.response import MAX_PRELUDE_BYTES, PreludeReader, ResponseError, ResponseHead, read_buffered

WORDS = st.text(st.characters(min_codepoint=33, max_codepoint=126, exclude_characters=":"), min_size=1, max_size=10)


@given(
    status=st.integers(200, 599),
    headers=st.dictionaries(WORDS.map(str.lower), WORDS, max_size=4),
    cookies=st.lists(WORDS, max_size=3),
    body=st.binary(max_size=60),
    places=st.lists(st.integers(0, 500), max_size=6),
)
def test_a_prelude_reads_the_same_however_it_is_cut(
    status: int, headers: dict[str, str], cookies: list[str], body: bytes, places: list[int]
) -> None:
    document = json.dumps({"statusCode": status, "headers": headers, "cookies": cookies}).encode()
    data = document + b"\0" * 8 + body
    edges = [0, *sorted(place for place in places if place < len(data)), len(data)]
    reader, head, rest = PreludeReader(), None, b""
    for start, end in itertools.pairwise(edges):
        piece = data[start:end]
        if head is not None:
            rest += piece
        elif (read := reader.feed(piece)) is not None:
            head, rest = read
    assert head == ResponseHead(status, tuple(headers.items()), tuple(cookies))
    assert rest == body


@pytest.mark.parametrize(
    ("document", "message"),
    [
        (b"not json", "not JSON"),
        (b"[]", "not an object"),
        (b"{}", "statusCode"),
        (b'{"statusCode": "200"}', "statusCode"),
        (b'{"statusCode": 199}', "statusCode"),
        (b'{"statusCode": 200, "headers": []}', None),
        (b'{"statusCode": 200, "headers": [1]}', "headers are not an object"),
        (b'{"statusCode": 200, "cookies": "a=b"}', "cookies not a list"),
        (b'{"statusCode": 200, "headers": {"a": "1\\r\\nb: 2"}}', "line break"),
        (b'{"statusCode": 200, "cookies": ["a=1\\nb"]}', "line break"),
    ],
)
def test_a_prelude_that_is_no_head_is_refused(document: bytes, message: str | None) -> None:
    reader = PreludeReader()
    if message is None:
        assert reader.feed(document + b"\0" * 8) == (ResponseHead(200), b"")
        return
    with pytest.raises(ResponseError, match=message):
        reader.feed(document + b"\0" * 8)


def test_a_prelude_that_never_ends_is_refused() -> None:
    reader = PreludeReader()
    assert reader.feed(b" " * MAX_PRELUDE_BYTES) is None
    with pytest.raises(ResponseError, match="no prelude"):
        reader.feed(b" ")


def test_the_fields_of_the_connection_are_the_urls_own() -> None:
    fields = (("content-type", "text/plain"), ("transfer-encoding", "chunked"), ("content-length", "5"))
    assert ResponseHead(201, fields, ("a=1", "b=2")).encode((("connection", "close"),)) == (
        b"HTTP/1.1 201 Created\r\ncontent-type: text/plain\r\nx-amzn-remapped-content-length: 5\r\n"
        b"set-cookie: a=1\r\nset-cookie: b=2\r\nconnection: close\r\n\r\n"
    )


def test_a_status_without_a_name_is_passed_on() -> None:
    assert ResponseHead(529).encode(()).startswith(b"HTTP/1.1 529 Unknown\r\n")


@pytest.mark.parametrize(
    ("document", "head", "body"),
    [
        (b'{"a": 1}', ResponseHead(200, (("content-type", "application/json"),)), b'{"a": 1}'),
        (b'"text"', ResponseHead(200, (("content-type", "application/json"),)), b'"text"'),
        (b'{"statusCode": 204}', ResponseHead(204, (("content-type", "application/json"),)), b""),
        (
            b'{"statusCode": 200, "headers": {"Content-Type": "text/html"}, "body": "\xc3\xa9", "cookies": ["a=b"]}',
            ResponseHead(200, (("content-type", "text/html"),), ("a=b",)),
            b"\xc3\xa9",
        ),
        (
            b'{"statusCode": 200, "body": "/w==", "isBase64Encoded": true}',
            ResponseHead(200, (("content-type", "application/json"),)),
            b"\xff",
        ),
    ],
)
def test_a_buffered_answer_follows_payload_format_2(document: bytes, head: ResponseHead, body: bytes) -> None:
    assert read_buffered(document) == (head, body)


@pytest.mark.parametrize(
    "document",
    [
        b"not json",
        b'{"statusCode": 99}',
        b'{"statusCode": 200, "headers": "none"}',
        b'{"statusCode": 200, "body": {"a": 1}}',
        b'{"statusCode": 200, "body": "*", "isBase64Encoded": true}',
    ],
)
def test_a_buffered_answer_that_breaks_the_format_is_refused(document: bytes) -> None:
    with pytest.raises(ResponseError):
        read_buffered(document)
