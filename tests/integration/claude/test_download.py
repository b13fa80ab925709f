"""Downloads, from servers that end, stall or chunk their answers."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Thread

import pytest

from sluice.claude.download import open_download
from sluice.errors import TransientError


@contextmanager
def serving(answer: bytes, *, close: bool = True) -> Iterator[str]:
    """A server that sends the same bytes to one caller, then ends the connection or, with ``close`` False, waits."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            connection, _ = listener.accept()
            with connection:
                connection.recv(65536)
                connection.sendall(answer)
                if not close:
                    connection.recv(1)

        thread = Thread(target=serve)
        thread.start()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}/results"
        thread.join(10)


def download(url: str, seconds: float = 5.0) -> bytes:
    with open_download(url, {"x-api-key": "key"}, 5.0, seconds) as answer:
        return b"".join(answer.chunks(4))


def test_a_body_comes_in_chunks_of_the_size_asked_for() -> None:
    with (
        serving(b"HTTP/1.1 200 OK\r\ncontent-length: 6\r\n\r\nabcdef") as url,
        open_download(url, {}, 5.0, 5.0) as answer,
    ):
        assert list(answer.chunks(4)) == [b"abcd", b"ef"]


def test_a_body_in_transfer_chunks_is_put_together() -> None:
    with serving(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n3\r\ndef\r\n0\r\n\r\n") as url:
        assert download(url) == b"abcdef"


@pytest.mark.parametrize(
    "cut",
    [
        b"HTTP/1.1 200 OK\r\ncontent-length: 12\r\n\r\nabcdef",
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n",
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n30\r\nabc",
        b"HTTP/1.1 200",
        b"",
        b"what is this?\r\n\r\n",
    ],
)
def test_an_answer_that_ends_early_passes(cut: bytes) -> None:
    with serving(cut) as url, pytest.raises(TransientError):
        download(url)


def test_a_silent_server_passes() -> None:
    with (
        serving(b"HTTP/1.1 200 OK\r\ncontent-length: 6\r\n\r\nabc", close=False) as url,
        pytest.raises(TransientError),
    ):
        download(url, seconds=0.2)


def test_a_redirect_is_not_followed_with_the_key() -> None:
    found = b"HTTP/1.1 302 Found\r\nlocation: http://127.0.0.1:9/\r\ncontent-length: 0\r\n\r\n"
    with serving(found) as url, open_download(url, {"x-api-key": "key"}, 5.0, 5.0) as answer:
        assert answer.status == 302
