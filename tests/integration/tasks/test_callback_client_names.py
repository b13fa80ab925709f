"""Names and certificates. The network is replaced at its two ways out only: resolving and dialling."""

from __future__ import annotations

import datetime
import socket
import ssl
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from sluice.callbacks.addresses import AddressPolicy, Endpoint
from sluice.callbacks.client import CallbackClient, NotDelivered, Reply, dial

from .receiver import OK, listening, read_request

PUBLIC_ADDRESS = "93.184.215.14"


@dataclass(frozen=True)
class Authority:
    """A certificate authority of the test, and one certificate that it gave."""

    ca_file: Path
    certificate: Path

    def trusted(self) -> ssl.SSLContext:
        return ssl.create_default_context(cafile=str(self.ca_file))


def make_authority(directory: Path, name: str, valid_days: int = 1) -> Authority:
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "test")])
    now = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=30))
        .not_valid_after(now + datetime.timedelta(days=valid_days))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    pem = certificate.public_bytes(serialization.Encoding.PEM)
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    (directory / "ca.pem").write_bytes(pem)
    (directory / "server.pem").write_bytes(private + pem)
    return Authority(directory / "ca.pem", directory / "server.pem")


@contextmanager
def tls_receiver(authority: Authority, names: list[str | None]) -> Iterator[int]:
    """Answer 204 over TLS; note the name that each client asked for."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(authority.certificate)
    context.sni_callback = lambda _connection, name, _context: names.append(name)

    def behave(connection: socket.socket) -> None:
        with context.wrap_socket(connection, server_side=True) as secured:
            read_request(secured)
            secured.sendall(OK)

    with listening(behave) as port:
        yield port


HOOKS = Endpoint("https", "hooks.example.com", 443, "/")


def post_over_tls(
    authority: Authority, tls: ssl.SSLContext, addresses: list[str]
) -> tuple[Reply, list[str | None], list[str]]:
    names: list[str | None] = []
    dialled: list[str] = []
    with tls_receiver(authority, names) as port:

        def dial_here(address: str, asked_port: int, seconds: float) -> socket.socket:
            dialled.append(f"{address}:{asked_port}")
            return dial("127.0.0.1", port, seconds)

        client = CallbackClient(AddressPolicy(), tls, 5.0, lambda _host, _port: addresses, dial_here)
        return client.post(HOOKS, {}, b"{}"), names, dialled


def test_the_checked_address_is_dialled_and_the_name_is_proved(tmp_path: Path) -> None:
    authority = make_authority(tmp_path, "hooks.example.com")
    reply, names, dialled = post_over_tls(authority, authority.trusted(), [PUBLIC_ADDRESS])
    assert reply.status == 204
    assert names == ["hooks.example.com"]
    assert dialled == [f"{PUBLIC_ADDRESS}:443"]


def test_ipv4_is_dialled_where_there_is_both(tmp_path: Path) -> None:
    authority = make_authority(tmp_path, "hooks.example.com")
    _, _, dialled = post_over_tls(authority, authority.trusted(), ["2606:4700::1111", PUBLIC_ADDRESS])
    assert dialled == [f"{PUBLIC_ADDRESS}:443"]


@pytest.mark.parametrize(("name", "days"), [("other.example.com", 1), ("hooks.example.com", -1)])
def test_a_certificate_of_another_name_or_time_is_refused(tmp_path: Path, name: str, days: int) -> None:
    authority = make_authority(tmp_path, name, days)
    with pytest.raises(NotDelivered, match="certificate is not valid"):
        post_over_tls(authority, authority.trusted(), [PUBLIC_ADDRESS])


def test_a_certificate_that_nobody_vouches_for_is_refused(tmp_path: Path) -> None:
    authority = make_authority(tmp_path, "hooks.example.com")
    with pytest.raises(NotDelivered, match="certificate is not valid"):
        post_over_tls(authority, ssl.create_default_context(), [PUBLIC_ADDRESS])


def test_a_server_without_tls_is_refused() -> None:
    with listening(lambda connection: connection.sendall(OK)) as port:
        client = CallbackClient(
            AddressPolicy(),
            ssl.create_default_context(),
            0.5,
            lambda _host, _port: [PUBLIC_ADDRESS],
            lambda _address, _port, seconds: dial("127.0.0.1", port, seconds),
        )
        with pytest.raises(NotDelivered, match="TLS failed"):
            client.post(HOOKS, {}, b"{}")


@pytest.mark.parametrize(
    "addresses",
    [
        ["127.0.0.1"],
        ["169.254.169.254"],
        ["10.0.0.1"],
        ["::1"],
        ["::ffff:10.0.0.1"],
        ["fe80::1%eth0"],
        [PUBLIC_ADDRESS, "10.0.0.1"],
        ["2606:4700::1111", "fd00::1"],
        [],
    ],
)
def test_a_name_with_any_address_inside_is_not_dialled(addresses: list[str]) -> None:
    dialled: list[str] = []

    def never(address: str, _port: int, _seconds: float) -> socket.socket:
        dialled.append(address)
        raise AssertionError(f"{address} was dialled.")

    client = CallbackClient(AddressPolicy(), ssl.create_default_context(), 5.0, lambda _host, _port: addresses, never)
    with pytest.raises(NotDelivered, match="not on the public internet"):
        client.post(HOOKS, {}, b"{}")
    assert dialled == []


def test_a_name_that_changes_its_mind_is_asked_once() -> None:
    answers = iter([[PUBLIC_ADDRESS], ["127.0.0.1"]])
    dialled: list[str] = []

    def refuse(address: str, _port: int, _seconds: float) -> socket.socket:
        dialled.append(address)
        raise ConnectionRefusedError

    client = CallbackClient(
        AddressPolicy(), ssl.create_default_context(), 5.0, lambda _host, _port: next(answers), refuse
    )
    with pytest.raises(NotDelivered):
        client.post(HOOKS, {}, b"{}")
    assert dialled == [PUBLIC_ADDRESS]


def test_a_name_server_that_does_not_answer_costs_a_short_time() -> None:
    def stall(_host: str, _port: int) -> list[str]:
        time.sleep(1.0)
        return [PUBLIC_ADDRESS]

    with pytest.raises(NotDelivered, match="took longer"):
        CallbackClient(AddressPolicy(), ssl.create_default_context(), 0.1, stall).post(HOOKS, {}, b"{}")


def test_a_name_that_does_not_resolve_is_named() -> None:
    def fail(_host: str, _port: int) -> list[str]:
        raise socket.gaierror(-2, "Name or service not known")

    with pytest.raises(NotDelivered, match="does not resolve"):
        CallbackClient(AddressPolicy(), ssl.create_default_context(), 5.0, fail).post(HOOKS, {}, b"{}")


def test_no_proxy_of_the_environment_is_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTPS_PROXY", "HTTP_PROXY", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    authority = make_authority(tmp_path, "hooks.example.com")
    reply, _, _ = post_over_tls(authority, authority.trusted(), [PUBLIC_ADDRESS])
    assert reply.status == 204
