"""Bodies: each has a byte at least, and an end that is come to once."""

from __future__ import annotations

from collections.abc import Generator, Iterator

import pytest

from sluice.streams.response import Body, whole


def chunks(*data: bytes) -> Generator[bytes, None, None]:
    yield from data


@pytest.mark.parametrize("silent", [(), (b"",), (b"", b"")])
def test_an_answer_without_a_byte_is_sent_one(silent: tuple[bytes, ...]) -> None:
    """A Function URL may keep the connection of an answer without a body open (AWS's runtime client for Node, #95)."""
    assert b"".join(Body(chunks(*silent), lambda: None)) == b"\n"
    assert b"".join(Body(chunks(*silent), lambda: None, blank=b": end\n\n")) == b": end\n\n"
    assert b"".join(whole(200, {}, b"").body) == b"\n"


def test_an_answer_that_has_a_byte_passes_as_it_is_empty_chunks_included() -> None:
    """An empty chunk at the start sends the head ahead of the body."""
    assert list(Body(chunks(b"", b"a", b"", b"b"), lambda: None)) == [b"", b"a", b"", b"b"]
    assert list(whole(200, {}, b"all").body) == [b"all"]


@pytest.mark.parametrize("read", [1, 2, 3])
def test_what_stands_behind_a_body_ends_with_it_wherever_it_is_left(read: int) -> None:
    ended: list[str] = []

    def source() -> Iterator[bytes]:
        try:
            yield from (b"", b"a", b"b", b"c")
        finally:
            ended.append("source")

    body = Body((each for each in source()), lambda: ended.append("body"))
    for _ in range(read):
        next(body)
    body.close()
    body.close()
    assert ended == ["source", "body"]
