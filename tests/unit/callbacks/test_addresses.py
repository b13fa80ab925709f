"""Where callbacks may go, and above all where not."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address, ip_address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sluice.callbacks.addresses import AddressPolicy, is_public, parse_callback_url
from sluice.errors import InvalidRequest

ANY_PUBLIC = AddressPolicy()
LOCAL = AddressPolicy(local=True)

HOSTILE = [
    # Loopback and "this host", in all the ways that resolvers read numbers
    "https://127.0.0.1/",
    "https://127.1/",
    "https://127.0.1/",
    "https://127.255.255.254/",
    "https://0.0.0.0/",
    "https://0/",
    "https://2130706433/",
    "https://017700000001/",
    "https://0x7f000001/",
    "https://0x7f.0.0.1/",
    "https://0x7f.1/",
    "https://0177.0.0.1/",
    "https://127.0.0.01/",
    "https://127.000.000.001/",
    "https://127.0.0.1./",
    "https://127.0.0.0x1/",
    "https://0x/",
    "https://%31%32%37.0.0.1/",
    "https://127.0.0.1%2f@example.com/",
    "https://①②⑦.⓪.⓪.①/",
    "https://127。0。0。1/",
    "https://１２７.0.0.1/",
    "https://١٢٧.٠.٠.١/",
    # Names for it
    "https://localhost/",
    "https://LOCALHOST/",
    "https://localhost./",
    "https://api.localhost/",
    "https://localhost.localdomain/",
    "https://printer.local/",
    "https://intranet/",
    "https://db.internal/",
    "https://router.lan/",
    "https://nas.home.arpa/",
    "https://1.0.0.127.in-addr.arpa/",
    # Private, shared, link-local, reserved, multicast, broadcast
    "https://10.0.0.1/",
    "https://172.16.0.1/",
    "https://172.31.255.255/",
    "https://192.168.1.1/",
    "https://100.64.0.1/",
    "https://169.254.1.1/",
    "https://192.0.0.8/",
    "https://192.0.2.1/",
    "https://192.88.99.1/",
    "https://198.18.0.1/",
    "https://198.51.100.1/",
    "https://203.0.113.1/",
    "https://224.0.0.1/",
    "https://240.0.0.1/",
    "https://255.255.255.255/",
    "https://192.168.257/",
    "https://0300.0250.0.1/",
    # Metadata
    "https://169.254.169.254/latest/meta-data/",
    "https://169.254.170.2/v2/credentials/",
    "https://2852039166/",
    "https://0xa9fea9fe/",
    "https://0251.0376.0251.0376/",
    "https://metadata.google.internal/",
    "https://[fd00:ec2::254]/",
    "https://[::ffff:169.254.169.254]/",
    # IPv6, and IPv4 inside it
    "https://[::1]/",
    "https://[::]/",
    "https://[0:0:0:0:0:0:0:1]/",
    "https://[::127.0.0.1]/",
    "https://[::ffff:127.0.0.1]/",
    "https://[::ffff:7f00:1]/",
    "https://[::ffff:0:127.0.0.1]/",
    "https://[64:ff9b::7f00:1]/",
    "https://[64:ff9b:1::a00:1]/",
    "https://[2002:7f00:1::]/",
    "https://[2002:a9fe:a9fe::1]/",
    "https://[2001:0:4136:e378:8000:63bf:f5ff:fffe]/",
    "https://[2001:4860:4860::5efe:127.0.0.1]/",
    "https://[2001:4860:4860::200:5efe:10.0.0.1]/",
    "https://[fe80::1]/",
    "https://[fe80::1%25eth0]/",
    "https://[2606:4700::1111%25eth0]/",
    "https://[fc00::1]/",
    "https://[fec0::1]/",
    "https://[ff02::1]/",
    "https://[100::1]/",
    "https://[2001:db8::1]/",
    "https://[3fff::1]/",
    "https://[v1.hooks.example.com]/",
    # Two hosts in one URL, and other tricks of parsers
    "https://hooks.example.com@127.0.0.1/",
    "https://127.0.0.1@hooks.example.com/",
    "https://user:password@hooks.example.com/",
    "https://hooks.example.com#@127.0.0.1/",
    "https://hooks.example.com\\@127.0.0.1/",
    "https:\\\\127.0.0.1/",
    "https://hooks.example.com\t.internal/",
    "https://hooks.example.com\r\nHost: inside/",
    "https://hooks.example.com /",
    "https:///hook",
    "https:hooks.example.com",
    "//hooks.example.com/",
    "https://.example.com/",
    "https://hooks..example.com/",
    "https://hooks.example.com./",
    "https://-hooks.example.com/",
    "https://hooks_.example.com/",
    "https://bücher.example.com/",
    "https://hooks%2eexample.com/",
    "https://" + "a" * 64 + ".example.com/",
    "https://" + "a." * 130 + "example.com/",
    "https://hooks.example.com/" + "a" * 2048,
    # Ports
    "https://hooks.example.com:22/",
    "https://hooks.example.com:80/",
    "https://hooks.example.com:0/",
    "https://hooks.example.com:65536/",
    "https://hooks.example.com:-443/",
    "https://hooks.example.com:443:443/",
    "https://hooks.example.com:٤٤٣/",
    "https://hooks.example.com:/",
    # Schemes
    "http://hooks.example.com/",
    "http://127.0.0.1:8000/",
    "ftp://hooks.example.com/",
    "file:///etc/passwd",
    "gopher://127.0.0.1:6379/_",
    "javascript:alert(1)",
    "hooks.example.com",
    "",
]


@pytest.mark.parametrize("url", HOSTILE)
def test_a_hostile_address_is_refused(url: str) -> None:
    with pytest.raises(InvalidRequest, match=r"^callback_url: "):
        parse_callback_url(url, ANY_PUBLIC)


@pytest.mark.parametrize(
    "url",
    [
        *(url for url in HOSTILE if url != "http://127.0.0.1:8000/"),
        "http://127.0.0.1:80/",
        "http://localhost:8000/",
        "http://127.1:8000/",
        "http://127.0.0.2:8000/",
        "http://[::1]:8000/",
        "http://127.0.0.1:8000@hooks.example.com/",
        "https://127.0.0.1:8000/",
    ],
)
def test_what_is_allowed_locally_is_one_origin_and_no_more(url: str) -> None:
    with pytest.raises(InvalidRequest):
        parse_callback_url(url, LOCAL)


def test_the_local_origin_is_taken_where_it_is_allowed() -> None:
    endpoint = parse_callback_url("http://127.0.0.1:8000/hook?a=b", LOCAL)
    assert (endpoint.scheme, endpoint.host, endpoint.port, endpoint.target) == ("http", "127.0.0.1", 8000, "/hook?a=b")


@pytest.mark.parametrize(
    ("url", "authority", "target"),
    [
        ("https://hooks.example.com", "hooks.example.com", "/"),
        ("https://Hooks.Example.COM/A/b?c=d&e=%20", "hooks.example.com", "/A/b?c=d&e=%20"),
        ("https://hooks.example.com:8443/", "hooks.example.com:8443", "/"),
        ("https://hooks.example.com:443/", "hooks.example.com", "/"),
        ("https://xn--bcher-kva.example.com/", "xn--bcher-kva.example.com", "/"),
        ("https://a1.b-2.example.com/", "a1.b-2.example.com", "/"),
        ("https://1.1.1.1/", "1.1.1.1", "/"),
        ("https://[2606:4700::1111]:8443/", "[2606:4700::1111]:8443", "/"),
    ],
)
def test_a_public_address_is_taken(url: str, authority: str, target: str) -> None:
    endpoint = parse_callback_url(url, ANY_PUBLIC)
    assert (endpoint.authority, endpoint.target) == (authority, target)


@pytest.mark.parametrize("url", ["http://example.com/hook", "http://example.com:80/", "http://127.0.0.1/"])
def test_plain_http_is_refused_for_being_http(url: str) -> None:
    with pytest.raises(InvalidRequest, match="the scheme has to be https"):
        parse_callback_url(url, ANY_PUBLIC)


def test_only_listed_hosts_are_called_where_there_is_a_list() -> None:
    policy = AddressPolicy(hosts=("hooks.example.com", "*.example.org"))
    for url in ("https://hooks.example.com/", "https://a.example.org/", "https://a.b.example.org/"):
        assert parse_callback_url(url, policy).scheme == "https"
    for url in ("https://example.com/", "https://evil-example.org/", "https://example.org/", "https://1.1.1.1/"):
        with pytest.raises(InvalidRequest, match="not among those"):
            parse_callback_url(url, policy)


@given(st.ip_addresses(v=4))
def test_an_ipv4_address_is_no_more_public_inside_ipv6(address: IPv4Address) -> None:
    for carrier in (f"::ffff:{address}", f"::{address}", f"64:ff9b::{address}", f"2001:4860::5efe:{address}"):
        assert not is_public(ip_address(carrier))
    assert not is_public(IPv6Address((0x2002 << 112) | (int(address) << 80) | 1))


@given(st.ip_addresses())
def test_what_python_calls_private_is_never_public(address: IPv4Address | IPv6Address) -> None:
    if not address.is_global or address.is_multicast:
        assert not is_public(address) or str(address).startswith(("192.0.0.9", "192.0.0.10"))


@given(st.text(max_size=60))
def test_any_text_is_read_or_refused_with_a_reason(text: str) -> None:
    for url in (text, f"https://{text}", f"https://{text}/", f"https://hooks.example.com{text}"):
        try:
            endpoint = parse_callback_url(url, ANY_PUBLIC)
        except InvalidRequest:
            continue
        assert endpoint.scheme == "https"
        assert endpoint.literal is None or is_public(endpoint.literal)
        assert endpoint.authority.isascii()
        assert endpoint.target.isprintable()
        assert " " not in endpoint.target
