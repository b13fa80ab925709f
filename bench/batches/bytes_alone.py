"""What no contender can save: the bytes on their way to the simulator, and its answer, with nothing done to them."""

from __future__ import annotations

import socket
import sys
from pathlib import Path
from urllib.parse import urlsplit

from bench.measure import print_measured

_HEADERS = "host: localhost\r\nx-api-key: sk-ant-simulator\r\nanthropic-version: 2023-06-01\r\nconnection: close\r\n"
_CHUNK = 1 << 18


def send(address: tuple[str, int], body: bytes) -> dict[str, float]:
    """Post a body that is there already."""
    length = f"content-type: application/json\r\ncontent-length: {len(body)}\r\n"
    return _call(address, f"POST /v1/messages/batches HTTP/1.1\r\n{_HEADERS}{length}\r\n".encode(), body)


def collect(address: tuple[str, int], batch_id: str) -> dict[str, float]:
    """Download results, and look at none."""
    return _call(address, f"GET /v1/messages/batches/{batch_id}/results HTTP/1.1\r\n{_HEADERS}\r\n".encode(), b"")


def _call(address: tuple[str, int], head: bytes, body: bytes) -> dict[str, float]:
    answered, buffer = 0, bytearray(_CHUNK)
    with socket.create_connection(address) as connection:
        connection.sendall(head)
        connection.sendall(body)
        while count := connection.recv_into(buffer):
            if not answered and not buffer.startswith(b"HTTP/1.1 200 "):
                raise RuntimeError("The simulator refused the call.")
            answered += count
    return {"sent": len(body), "answered": answered}


def main(name: str, base_url: str, argument: str) -> None:
    parts = urlsplit(base_url)
    address = parts.hostname or "", parts.port or 80
    if name == "send":
        lines = Path(argument).read_bytes()
        body = b'{"requests":[' + lines[:-1].replace(b"\n", b",") + b"]}"
        print_measured(lambda: send(address, body))
    else:
        print_measured(lambda: collect(address, argument))


if __name__ == "__main__":
    main(*sys.argv[1:])
