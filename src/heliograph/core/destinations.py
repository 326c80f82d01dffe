"""Which addresses a workspace's messages may reach: the public internet, and nothing behind our own walls.

Law: judged is the address that will be connected to, never a name. An IPv6 address that carries an IPv4
address inside (mapped, translated, NAT64, 6to4, Teredo, ISATAP) is no better than the one it carries.
What is not known to be public is refused: so is all of Teredo and 6to4, whose relays are switched off.
Hosts that the operator allows are no business of this module.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Collection
from urllib.parse import urlsplit

_USUAL_PORTS = (80, 443)
_V4 = (
    ("cloud metadata", ("169.254.169.254", "168.63.129.16", "100.100.100.200", "192.0.0.192")),
    ("unspecified", ("0.0.0.0/8",)),
    ("loopback", ("127.0.0.0/8",)),
    ("private", ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16")),
    ("carrier-grade NAT", ("100.64.0.0/10",)),
    ("link-local", ("169.254.0.0/16",)),
    ("documentation", ("192.0.2.0/24", "198.51.100.0/24", "203.0.113.0/24")),
    ("benchmarking", ("198.18.0.0/15",)),
    ("multicast", ("224.0.0.0/4",)),
    ("reserved", ("192.0.0.0/24", "192.88.99.0/24", "240.0.0.0/4")),
)
_V6 = (
    ("cloud metadata", ("fd00:ec2::254", "fd20:ce::254")),
    ("unspecified", ("::",)),
    ("loopback", ("::1",)),
    ("private", ("fc00::/7", "fec0::/10")),
    ("link-local", ("fe80::/10",)),
    ("multicast", ("ff00::/8",)),
    ("documentation", ("2001:db8::/32", "3fff::/20")),
)
_FORBIDDEN: dict[int, tuple[tuple[str, ipaddress.IPv4Network | ipaddress.IPv6Network], ...]] = {
    version: tuple((kind, ipaddress.ip_network(block)) for kind, blocks in table for block in blocks)
    for version, table in ((4, _V4), (6, _V6))
}
_ROUTED, _UNROUTED = ipaddress.IPv6Network("2000::/3"), ipaddress.IPv6Network("2001::/23")

# Where an IPv6 address carries an IPv4 address: the block, and how far from the right the 32 bits stand.
_CARRIERS = (
    ("IPv4-mapped", ipaddress.IPv6Network("::ffff:0:0/96"), 0),
    ("IPv4-translated", ipaddress.IPv6Network("::ffff:0:0:0/96"), 0),
    ("IPv4-compatible", ipaddress.IPv6Network("::/96"), 0),
    ("NAT64", ipaddress.IPv6Network("64:ff9b::/96"), 0),
)
_TEREDO, _6TO4 = ipaddress.IPv6Network("2001::/32"), ipaddress.IPv6Network("2002::/16")
_ISATAP = (0x0000_5EFE, 0x0200_5EFE)
_HOST = re.compile(r"[\w.:%~-]+")
"""What the name of a host, in any script, or an address in digits may consist of."""
_SHOWN = 200
_NUMERIC = re.compile(r"(?:.*\.)?(?:[0-9]+|0[xX][0-9a-fA-F]*)\.?")


def refusal(written: str) -> str | None:
    """The class of a forbidden address (`loopback`, `IPv4-mapped private` …), or None where it is public.

    `written` is an address in digits, as a resolver gives it; anything else is `not an address`.
    """
    try:
        address = ipaddress.ip_address(written)
    except ValueError:
        return "not an address"
    return _class_of(address)


def url_fault(written: object) -> str | None:
    """Why this is no URL that could ever be called over http or https, as a fault of its field; or None."""
    if not isinstance(written, str):
        return "takes an http or https address"
    shown = repr(written[:_SHOWN])
    try:
        read = urlsplit(written)
        port = read.port
    except ValueError:
        return f"takes an http or https address, not {shown}"
    if read.scheme not in ("http", "https"):
        return f"takes an http or https address, not {shown}"
    if not read.hostname or not _HOST.fullmatch(read.hostname) or port == 0:
        return f"names no host that could be called: {shown}"
    if read.username is not None or read.password is not None:
        return "cannot carry a user or password: use a header"
    return None


def break_fault(filled: str) -> str | None:
    """Why a URL that was filled is none after all, or None: `url_fault` passes over line breaks, a call does not.

    It is not asked where a rule is saved: one that was saved with such a URL must still be read.
    """
    broken = _CONTROL.search(filled.strip())
    return f"holds a line break or another control character: {filled[:_SHOWN]!r}" if broken else None


def header_fault(name: str, value: str | None) -> str | None:
    """Why a header cannot be sent along, or None; `value` is None where nobody knows it yet."""
    if not _TOKEN.fullmatch(name):
        return f"{name!r} is not a header's name"
    if name.lower() in _OURS:
        return f"the header {name} is made from the request: leave it out"
    if value is not None and not value.isprintable():
        return f"the header {name} holds a line break or another control character"
    return None


_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_OURS = frozenset(
    (
        *(
            "host",
            "content-length",
            "transfer-encoding",
            "connection",
            "upgrade",
            "te",
            "trailer",
            "keep-alive",
        ),
        *("proxy-authorization", "proxy-connection", "accept-encoding", "expect"),
    )
)


def is_allowed(host: str, port: int, allowed: Collection[str]) -> bool:
    """Whether the operator allows a host: an entry is a host, for ports 80 and 443, or a host with a port (A27).

    An IPv6 address stands in brackets before its port.
    """
    named = port in _USUAL_PORTS and (host in allowed or _bracketed(host) in allowed)
    return named or f"{_bracketed(host)}:{port}" in allowed


def entry(host: str, port: int) -> str:
    """What an operator names to allow a host at a port."""
    return _bracketed(host) if port in _USUAL_PORTS else f"{_bracketed(host)}:{port}"


def is_odd_literal(host: str) -> bool:
    """Whether a host is an IPv4 address in disguise (decimal, octal, hexadecimal, shortened): never a name.

    A host that ends in a number is an address to every resolver; only the dotted form of four is plain.
    """
    if ":" in host or not _NUMERIC.fullmatch(host):
        return False
    try:
        ipaddress.IPv4Address(host)
    except ValueError:
        return True
    return False


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host


def _class_of(address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> str | None:
    for kind, block in _FORBIDDEN[address.version]:
        if address in block:
            return kind
    return None if isinstance(address, ipaddress.IPv4Address) else _class_of_carried(address)


def _class_of_carried(address: ipaddress.IPv6Address) -> str | None:
    """The class of the IPv4 address inside, or of the IPv6 address itself where none is."""
    number = int(address)
    for carrier, block, shift in _CARRIERS:
        if address in block:
            return _named(carrier, number >> shift)
    if address in _TEREDO:
        return _named("Teredo", ~number) or "Teredo"  # the client's bits are stored inverted
    if address in _6TO4:
        return _named("6to4", number >> 80) or "6to4"
    if number >> 32 & 0xFFFF_FFFF in _ISATAP:
        return _named("ISATAP", number)
    return None if address in _ROUTED and address not in _UNROUTED else "reserved"


def _named(carrier: str, number: int) -> str | None:
    kind = _class_of(ipaddress.IPv4Address(number & 0xFFFF_FFFF))
    return kind and f"{carrier} {kind}"
