"""Receivers that mean no good, over real sockets."""

from __future__ import annotations

import socket
import ssl
import time
from collections.abc import Callable

import pytest

from sluice.callbacks.addresses import AddressPolicy, Endpoint
from sluice.callbacks.client import CallbackClient, NotDelivered, Reply

from .receiver import OK, answer, listening, read_request

LOCAL = AddressPolicy(local=True)


def post(behave: Callable[[socket.socket], None], seconds: float = 5.0) -> Reply:
    with listening(behave) as port:
        endpoint = Endpoint("http", "127.0.0.1", port, "/hook?a=b")
        return CallbackClient(LOCAL, ssl.create_default_context(), seconds).post(endpoint, {"X-Test": "1"}, b"{}")


def test_a_request_is_whole_and_says_who_it_is_for() -> None:
    requests: list[bytes] = []

    def receive(connection: socket.socket) -> None:
        requests.append(read_request(connection))
        connection.sendall(b"HTTP/1.1 200 OK\r\nRetry-After: 7\r\nContent-Length: 2\r\n\r\nok")

    assert post(receive) == Reply(200, 7.0)
    head, _, body = requests[0].partition(b"\r\n\r\n")
    lines = head.split(b"\r\n")
    assert lines[0] == b"POST /hook?a=b HTTP/1.1"
    assert lines[1].startswith(b"Host: 127.0.0.1:")
    assert {b"Content-Length: 2", b"Connection: close", b"X-Test: 1"} <= set(lines)
    assert body == b"{}"


def test_a_large_body_arrives_whole() -> None:
    received: list[int] = []

    def receive(connection: socket.socket) -> None:
        size = 0
        while size < 3_000_000:
            size += len(connection.recv(1 << 16))
        received.append(size)
        connection.sendall(OK)

    with listening(receive) as port:
        endpoint = Endpoint("http", "127.0.0.1", port, "/")
        CallbackClient(LOCAL, ssl.create_default_context()).post(endpoint, {}, b"x" * 3_000_000)
    assert received[0] >= 3_000_000


def silence(connection: socket.socket) -> None:
    while connection.recv(65536):
        pass


def drip(first: bytes, piece: bytes) -> Callable[[socket.socket], None]:
    """Send a little, for ever, faster than any timeout between two reads."""

    def behave(connection: socket.socket) -> None:
        read_request(connection)
        connection.sendall(first)
        while True:
            connection.sendall(piece)
            time.sleep(0.02)

    return behave


def flood(first: bytes, piece: bytes) -> Callable[[socket.socket], None]:
    def behave(connection: socket.socket) -> None:
        read_request(connection)
        connection.sendall(first)
        while True:
            connection.sendall(piece * 10_000)

    return behave


def do_not_read(connection: socket.socket) -> None:
    time.sleep(1.0)


@pytest.mark.parametrize(
    ("behave", "reason"),
    [
        (silence, "took longer"),
        (drip(b"", b"H"), "took longer|failed"),
        (drip(b"HTTP/1.1 200 OK\r\n", b"X-A: b\r\n"), "took longer"),
        (drip(b"HTTP/1.1 100 Continue\r\n\r\n", b"HTTP/1.1 100 Continue\r\n\r\n"), "took longer"),
        (flood(b"HTTP/1.1 200 OK\r\n", b"X-A: b\r\n"), "failed"),
        (flood(b"HTTP/1.1 200 OK\r\nX-A: ", b"a"), "failed"),
        (flood(b"HTTP/1.1 100 Continue\r\n\r\n", b"HTTP/1.1 100 Continue\r\n\r\n"), "failed"),
        (flood(b"", b"\0"), "failed"),
        (answer(b""), "failed"),
        (answer(b"garbage\r\n\r\n"), "failed"),
        (answer(b"SSH-2.0-OpenSSH_9.6\r\n"), "failed"),
        (answer(b"HTTP/1.1 abc OK\r\n\r\n"), "failed"),
    ],
)
def test_a_hostile_receiver_costs_a_short_time_and_little_memory(
    behave: Callable[[socket.socket], None], reason: str
) -> None:
    with pytest.raises(NotDelivered, match=reason) as caught:
        post(behave, seconds=0.4)
    assert caught.value.down


@pytest.mark.parametrize("behave", [drip(b"HTTP/1.1 200 OK\r\n\r\n", b"x"), flood(b"HTTP/1.1 200 OK\r\n\r\n", b"x")])
def test_an_endless_body_after_a_good_status_is_left_unread(behave: Callable[[socket.socket], None]) -> None:
    assert post(behave, seconds=0.4).status == 200


def test_a_receiver_that_does_not_read_is_left() -> None:
    with listening(do_not_read) as port:
        endpoint = Endpoint("http", "127.0.0.1", port, "/")
        with pytest.raises(NotDelivered, match="took longer"):
            CallbackClient(LOCAL, ssl.create_default_context(), 0.2).post(endpoint, {}, b"x" * 50_000_000)


def test_a_refused_connection_is_named() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = int(server.getsockname()[1])
    with pytest.raises(NotDelivered, match="ConnectionRefused"):
        CallbackClient(LOCAL, ssl.create_default_context()).post(Endpoint("http", "127.0.0.1", port, "/"), {}, b"")
