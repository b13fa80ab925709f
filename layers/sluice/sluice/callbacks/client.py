"""Post to an address that a stranger chose, without letting it lead inside or hold us up.

A name is resolved once; every address it has must be public; and the connection goes to an address so checked, while
TLS still proves the name. Nothing is asked twice, so there is nothing to rebind. Redirects are not followed, no proxy
is used, and one deadline covers resolving, connecting, sending and reading, however slowly the other side drips.
"""

from __future__ import annotations

import http.client
import io
import socket
import ssl
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Any

from sluice.callbacks.addresses import AddressPolicy, Endpoint, is_local, is_public
from sluice.claude.errors import parse_retry_after
from sluice.errors import SluiceError

POST_SECONDS = 15.0
# Head and body of an answer together. Only the status and retry-after matter.
MAX_ANSWER_BYTES = 16 * 1024
_READ_BODY_BYTES = 1024
_SEND_BYTES = 64 * 1024

Resolve = Callable[[str, int], list[str]]
Dial = Callable[[str, int, float], socket.socket]


class NotDelivered(SluiceError):
    """No answer came. ``down``: the endpoint itself does not work, whatever was sent; None: that is not known."""

    retryable = True

    def __init__(self, message: str, *, down: bool | None = True) -> None:
        super().__init__(message)
        self.down = down


@dataclass(frozen=True, slots=True)
class Reply:
    """``retry_after`` in seconds."""

    status: int
    retry_after: float | None


def resolve(host: str, port: int) -> list[str]:
    """Ask the system's resolver for all addresses of a name."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(entry[4][0]) for entry in found))


def dial(address: str, port: int, seconds: float) -> socket.socket:
    """Connect to a literal address."""
    return socket.create_connection((address, port), seconds)


@dataclass(frozen=True, slots=True)
class CallbackClient:
    """``tls`` must verify certificates and names. ``resolve`` and ``dial`` are the only two ways out."""

    policy: AddressPolicy
    tls: ssl.SSLContext
    seconds: float = POST_SECONDS
    resolve: Resolve = resolve
    dial: Dial = dial

    def post(self, endpoint: Endpoint, headers: Mapping[str, str], body: bytes) -> Reply:
        """Post once and return the status. Raises NotDelivered with a reason that may be shown to the caller."""
        deadline = time.monotonic() + self.seconds
        try:
            address = self._checked_address(endpoint, deadline)
            with self._connect(endpoint, address, deadline) as connection:
                _send(connection, _request(endpoint, headers, body), deadline)
                return _read(connection, deadline)
        except ssl.SSLCertVerificationError as error:
            raise NotDelivered(f"The certificate is not valid: {error.verify_message}.") from error
        except ssl.SSLError as error:
            raise NotDelivered(f"TLS failed ({error.reason or type(error).__name__}).") from error
        except TimeoutError as error:
            raise NotDelivered(f"The endpoint took longer than {self.seconds:g} seconds.") from error
        except (OSError, http.client.HTTPException) as error:
            raise NotDelivered(f"The connection failed ({type(error).__name__}).") from error

    def _checked_address(self, endpoint: Endpoint, deadline: float) -> str:
        if is_local(endpoint, self.policy):
            return endpoint.host
        addresses = [endpoint.host] if endpoint.literal else self._resolve_in_time(endpoint, deadline)
        parsed = [ip_address(each) for each in addresses]
        if not parsed or not all(map(is_public, parsed)):
            raise NotDelivered("The host has an address that is not on the public internet.", down=None)
        # Lambda has no IPv6 outside of a VPC.
        return str(min(parsed, key=lambda each: each.version))

    def _resolve_in_time(self, endpoint: Endpoint, deadline: float) -> list[str]:
        """Resolve in a thread that is left behind when the time is over: the system's resolver knows no deadline."""
        executor = ThreadPoolExecutor(max_workers=1)
        try:
            return executor.submit(self.resolve, endpoint.host, endpoint.port).result(_left(deadline))
        except socket.gaierror as error:
            raise NotDelivered("The host's name does not resolve.") from error
        finally:
            executor.shutdown(wait=False)

    def _connect(self, endpoint: Endpoint, address: str, deadline: float) -> socket.socket:
        connection = self.dial(address, endpoint.port, _left(deadline))
        if is_local(endpoint, self.policy):
            return connection
        try:
            connection.settimeout(_left(deadline))
            return self.tls.wrap_socket(connection, server_hostname=endpoint.host)
        except BaseException:
            connection.close()
            raise


def _request(endpoint: Endpoint, headers: Mapping[str, str], body: bytes) -> bytes:
    framing = {"Host": endpoint.authority, "Content-Length": str(len(body)), "Connection": "close"}
    lines = [
        f"POST {endpoint.target} HTTP/1.1",
        *(f"{name}: {value}" for name, value in (framing | dict(headers)).items()),
    ]
    return "\r\n".join([*lines, "", ""]).encode("ascii") + body


def _send(connection: socket.socket, data: bytes, deadline: float) -> None:
    view = memoryview(data)
    while view:
        connection.settimeout(_left(deadline))
        view = view[connection.send(view[:_SEND_BYTES]) :]


def _read(connection: socket.socket, deadline: float) -> Reply:
    incoming: Any = _Incoming(connection, deadline)
    response = http.client.HTTPResponse(incoming, method="POST")
    try:
        response.begin()
        # The status has come, so whatever happens to the body changes nothing; reading some of it is good manners.
        with suppress(OSError, http.client.HTTPException):
            response.read(_READ_BODY_BYTES)
        return Reply(response.status, parse_retry_after(response.getheader("retry-after")))
    finally:
        response.close()


class _Incoming(io.RawIOBase):
    """What arrives on a socket, up to a deadline and a number of bytes."""

    def __init__(self, connection: socket.socket, deadline: float) -> None:
        self._connection = connection
        self._deadline = deadline
        self._bytes_left = MAX_ANSWER_BYTES

    def makefile(self, _mode: str) -> io.BufferedReader:
        """Stand in for a socket towards ``http.client``."""
        return io.BufferedReader(self)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        if self._bytes_left <= 0:
            raise http.client.HTTPException("The answer is too large.")
        self._connection.settimeout(_left(self._deadline))
        count = self._connection.recv_into(buffer, min(len(buffer), self._bytes_left))
        self._bytes_left -= count
        return count


def _left(deadline: float) -> float:
    left = deadline - time.monotonic()
    if left <= 0:
        raise TimeoutError
    return left
