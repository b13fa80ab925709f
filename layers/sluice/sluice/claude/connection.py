"""What holds for a connection to Claude whichever way an answer is read from it: how it fails, how it is ended."""

from __future__ import annotations

import socket
from contextlib import suppress
from http.client import HTTPException

# What http.client raises where a connection is broken or silent; TimeoutError is one of them.
CONNECTION_ERRORS = (OSError, HTTPException)


def end_read(connection: socket.socket) -> None:
    """End a read of a connection that waits in another thread."""
    with suppress(OSError):
        # The socket below the TLS layer, whose own state belongs to the thread that reads.
        socket.socket.shutdown(connection, socket.SHUT_RDWR)
