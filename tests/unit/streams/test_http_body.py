"""Where a body ends: any cut of the bytes gives the same body."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sluice.streams.http_body import ChunkedBody, FramingError, SizedBody


def cut(data: bytes, places: list[int]) -> list[bytes]:
    bounds = [0, *sorted(place % (len(data) + 1) for place in places), len(data)]
    return [data[start:end] for start, end in pairwise(bounds) if start < end]


CHUNKS = st.lists(st.binary(min_size=1, max_size=40), max_size=6)
PLACES = st.lists(st.integers(0, 10_000), max_size=12)


@given(CHUNKS, PLACES, st.sampled_from([b"", b";name=value"]), st.sampled_from([b"", b"trailer: x\r\n"]))
def test_a_chunked_body_is_read_however_it_comes(
    chunks: list[bytes], places: list[int], extension: bytes, trailer: bytes
) -> None:
    wire = b"".join(b"%X%b\r\n%b\r\n" % (len(chunk), extension, chunk) for chunk in chunks)
    wire += b"0\r\n" + trailer + b"\r\n"
    body = ChunkedBody()

    read = b"".join(body.feed(piece) for piece in cut(wire, places))

    assert read == b"".join(chunks)
    assert body.complete
    assert body.end()


@given(CHUNKS, PLACES, st.integers(1, 200))
def test_a_chunked_body_that_lacks_its_end_is_not_complete(chunks: list[bytes], places: list[int], lost: int) -> None:
    wire = b"".join(b"%x\r\n%b\r\n" % (len(chunk), chunk) for chunk in chunks) + b"0\r\n\r\n"
    body = ChunkedBody()

    read = b"".join(body.feed(piece) for piece in cut(wire[: max(0, len(wire) - lost)], places))

    assert b"".join(chunks).startswith(read)
    assert not body.end()


@pytest.mark.parametrize("wire", [b"nothing\r\n", b"\r\n", b"-1\r\n", b"x" * 5000])
def test_what_is_no_chunk_is_told(wire: bytes) -> None:
    with pytest.raises(FramingError):
        ChunkedBody().feed(wire)


@given(st.binary(max_size=60), PLACES)
def test_a_body_of_known_length_ends_there(content: bytes, places: list[int]) -> None:
    body = SizedBody(len(content))

    read = b"".join(body.feed(piece) for piece in cut(content + b"the next answer", places))

    assert read == content
    assert body.complete


def test_a_body_of_known_length_that_is_cut_is_not_complete() -> None:
    body = SizedBody(10)

    assert body.feed(b"123") == b"123"
    assert not body.end()


def test_a_body_without_length_ends_with_its_connection() -> None:
    body = SizedBody(None)

    assert body.feed(b"123") == b"123"
    assert not body.complete
    assert body.end()
