"""Which addresses a callback may go to. Pure: no name is resolved here.

Two gates use this module: ``parse_callback_url`` when a task is made, which refuses what is plainly inside, and
``is_public`` for every address that a name resolves to, right before the connection to that very address.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from urllib.parse import urlsplit

from sluice.errors import InvalidRequest

MAX_URL_LENGTH = 2048
# What ``make local`` allows, and only that: the scheme and the literal host, any unprivileged port.
LOCAL_ORIGIN = "http://127.0.0.1"

# IANA: IPv4 Special-Purpose Address Registry, with multicast, class E and the old 6to4 relays. Written out, since the
# notion that the interpreter's ``ipaddress`` has of "global" changed between Python versions.
_INSIDE_V4 = tuple(
    map(
        ip_network,
        (
            "0.0.0.0/8",
            "10.0.0.0/8",
            "100.64.0.0/10",
            "127.0.0.0/8",
            "169.254.0.0/16",
            "172.16.0.0/12",
            "192.0.0.0/24",
            "192.0.2.0/24",
            "192.31.196.0/24",
            "192.52.193.0/24",
            "192.88.99.0/24",
            "192.168.0.0/16",
            "192.175.48.0/24",
            "198.18.0.0/15",
            "198.51.100.0/24",
            "203.0.113.0/24",
            "224.0.0.0/4",
            "240.0.0.0/4",
        ),
    )
)
# IANA: IPv6 Special-Purpose Address Registry. Only global unicast (2000::/3) is considered at all, which leaves out
# loopback, mapped and compatible IPv4, NAT64, unique local, link-local, site-local and multicast addresses. Of it, the
# protocol assignments (Teredo is one), documentation and 6to4 are inside too.
_GLOBAL_UNICAST = ip_network("2000::/3")
_INSIDE_V6 = tuple(map(ip_network, ("2001::/23", "2001:db8::/32", "2002::/16", "2620:4f:8000::/48", "3fff::/20")))
# RFC 5214: an ISATAP interface identifier holds an IPv4 address behind 00-00-5E-FE or 02-00-5E-FE.
_ISATAP = frozenset({0x00005EFE, 0x02005EFE})

_INSIDE_SUFFIXES = (
    "localhost",
    "local",
    "localdomain",
    "internal",
    "intranet",
    "private",
    "corp",
    "home",
    "lan",
    "home.arpa",
    "in-addr.arpa",
    "ip6.arpa",
    "onion",
    "test",
    "example",
    "invalid",
)
# RFC 1123: letters, digits and hyphens, no hyphen at an end, at most 63 to a label. Names in other scripts come as
# punycode (xn--), so that there is one spelling to check.
_LABEL = re.compile(r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9])?", re.ASCII)
_URL_CHARACTERS = re.compile(r"[!-~]+", re.ASCII)
_NUMBER = re.compile(r"(?:0x[0-9a-f]*|[0-9]+)", re.ASCII)


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where a callback goes. ``host`` is a lower-case name or a literal address; ``target`` is path and query."""

    scheme: str
    host: str
    port: int
    target: str

    @property
    def authority(self) -> str:
        """Return what belongs in the Host header (RFC 9110, 7.2)."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == (443 if self.scheme == "https" else 80) else f"{host}:{self.port}"

    @property
    def literal(self) -> IPv4Address | IPv6Address | None:
        try:
            return ip_address(self.host)
        except ValueError:
            return None


@dataclass(frozen=True, slots=True)
class AddressPolicy:
    """``hosts``: names that may be called, "*.example.com" for all under it; none: any. ``local``: LOCAL_ORIGIN."""

    hosts: tuple[str, ...] = ()
    local: bool = False

    def allows_host(self, host: str) -> bool:
        if not self.hosts:
            return True
        return any(host.endswith(each[1:]) if each.startswith("*.") else host == each for each in self.hosts)


def is_public(address: IPv4Address | IPv6Address) -> bool:
    """Return whether an address lies on the public internet, whatever IPv4 address it may carry inside."""
    if isinstance(address, IPv4Address):
        return not any(address in network for network in _INSIDE_V4)
    if address.scope_id is not None or address not in _GLOBAL_UNICAST:
        return False
    if any(address in network for network in _INSIDE_V6):
        return False
    return (int(address) >> 32) & 0xFFFFFFFF not in _ISATAP


def is_local(endpoint: Endpoint, policy: AddressPolicy) -> bool:
    """Return whether this is the one local origin that the policy allows."""
    return policy.local and (endpoint.scheme, endpoint.host) == ("http", "127.0.0.1")


def parse_callback_url(url: str, policy: AddressPolicy) -> Endpoint:
    """Read an address that a task wants to be called back at. Raises InvalidRequest with the reason."""
    endpoint = _parse(url)
    local = is_local(endpoint, policy)
    if endpoint.scheme != "https" and not local:
        raise InvalidRequest("callback_url: the scheme has to be https.")
    if endpoint.port != 443 and endpoint.port < 1024:
        raise InvalidRequest("callback_url: the port has to be 443, or 1024 and above.")
    if local:
        return endpoint
    literal = endpoint.literal
    if literal is not None and not is_public(literal):
        raise InvalidRequest("callback_url: the address is not on the public internet.")
    if literal is None:
        _check_name(endpoint.host)
    if not policy.allows_host(endpoint.host):
        raise InvalidRequest("callback_url: this host is not among those that this stack may call.")
    return endpoint


def _parse(url: str) -> Endpoint:
    if len(url) > MAX_URL_LENGTH:
        raise InvalidRequest(f"callback_url: longer than {MAX_URL_LENGTH} characters.")
    if not _URL_CHARACTERS.fullmatch(url) or "\\" in url:
        raise InvalidRequest("callback_url: not a URL in plain ASCII (write other scripts as punycode and %-escapes).")
    try:
        parts = urlsplit(url)
        host, port = (parts.hostname or "").lower(), parts.port
    except ValueError:
        raise InvalidRequest("callback_url: not a valid URL.") from None
    if parts.scheme not in ("https", "http") or not host or parts.netloc.endswith(":"):
        raise InvalidRequest("callback_url: not a complete https URL.")
    if parts.netloc.startswith("[") and ":" not in host:
        raise InvalidRequest("callback_url: brackets hold an IPv6 address.")
    if "@" in parts.netloc or "#" in url:
        raise InvalidRequest("callback_url: a user, a password or a fragment does not belong in it.")
    port = (443 if parts.scheme == "https" else 80) if port is None else port
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    return Endpoint(parts.scheme, host, port, target)


def _check_name(host: str) -> None:
    """Refuse what is no name of the public DNS; above all numbers in disguise (0x7f.1, 017700000001, 2130706433)."""
    labels = host.split(".")
    if _NUMBER.fullmatch(labels[-1]) or not all(map(_LABEL.fullmatch, labels)) or len(host) > 253:
        raise InvalidRequest("callback_url: the host is neither a DNS name nor a plain IP address.")
    if len(labels) < 2 or any(host == suffix or host.endswith(f".{suffix}") for suffix in _INSIDE_SUFFIXES):
        raise InvalidRequest("callback_url: the host is not a name of the public internet.")
