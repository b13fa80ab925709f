"""Ports for tests that must name them."""

from __future__ import annotations

import socket


def ports_in_a_row(count: int) -> int:
    """Return the first of so many ports that nothing listens on now; below those that the system gives to anyone."""
    for base in range(21000, 30000, 10):
        sockets = [socket.socket() for _ in range(count)]
        try:
            for number, each in enumerate(sockets):
                each.bind(("127.0.0.1", base + number))
        except OSError:
            continue
        finally:
            for each in sockets:
                each.close()
        return base
    raise AssertionError("no free ports in a row")
