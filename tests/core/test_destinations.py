"""Where a webhook may go: the public internet, judged by the address that is connected to."""

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from heliograph.core import destinations

PUBLIC = ("8.8.8.8", "172.32.0.1", "100.128.0.1", "2606:4700:4700::1111", "2a00:1450::1", "64:ff9b::8.8.8.8",
          "::ffff:8.8.8.8")  # fmt: skip


@pytest.mark.parametrize("address", PUBLIC)
def test_public_addresses_may_be_reached(address: str) -> None:
    """What is on the public internet is no business of the guard."""
    assert destinations.refusal(address) is None


@pytest.mark.parametrize(
    ("address", "kind"),
    [
        ("127.0.0.1", "loopback"),
        ("127.255.255.254", "loopback"),
        ("10.0.0.1", "private"),
        ("172.31.255.255", "private"),
        ("192.168.1.1", "private"),
        ("169.254.1.1", "link-local"),
        ("169.254.169.254", "cloud metadata"),
        ("fd00:ec2::254", "cloud metadata"),
        ("100.64.0.1", "carrier-grade NAT"),
        ("0.0.0.0", "unspecified"),
        ("0.1.2.3", "unspecified"),
        ("224.0.0.1", "multicast"),
        ("255.255.255.255", "reserved"),
        ("198.18.0.1", "benchmarking"),
        ("192.0.2.1", "documentation"),
        ("::", "unspecified"),
        ("::1", "loopback"),
        ("fe80::1", "link-local"),
        ("fe80::1%eth0", "link-local"),
        ("fc00::1", "private"),
        ("fd12:3456::1", "private"),
        ("ff02::1", "multicast"),
        ("2001:db8::1", "documentation"),
        ("2001:2::1", "reserved"),
        ("100::1", "reserved"),
        ("64:ff9b:1::a00:1", "reserved"),
        ("2001:0:808:808::1", "Teredo reserved"),
        ("2001:0:808:808::f7f7:f7f7", "Teredo"),
        ("2002:808:808::1", "6to4"),
        ("localhost", "not an address"),
        ("2130706433", "not an address"),
    ],
)
def test_every_class_of_address_has_its_name(address: str, kind: str) -> None:
    """A refused address is refused by the name of its class, so that an operator understands why."""
    assert destinations.refusal(address) == kind


@given(st.ip_addresses(v=4) | st.sampled_from(["127.0.0.1", "10.1.2.3", "169.254.169.254", "8.8.8.8"]))
def test_an_ipv6_form_is_no_better_than_the_ipv4_inside(inside: object) -> None:
    """Mapped, translated, compatible, NAT64, 6to4, Teredo and ISATAP forms are refused with what they carry."""
    plain = destinations.refusal(str(inside))
    number = int(ipaddress.IPv4Address(str(inside)))
    forms = {
        "IPv4-mapped": 0xFFFF << 32 | number,
        "IPv4-translated": 0xFFFF << 48 | number,
        "NAT64": 0x0064_FF9B << 96 | number,
        "ISATAP": 0x2606_4700 << 96 | 0x5EFE << 32 | number,
    }
    for name, form in forms.items():
        kind = destinations.refusal(str(ipaddress.IPv6Address(form)))
        assert kind == (plain and f"{name} {plain}")
    by_6to4 = ipaddress.IPv6Address(0x2002 << 112 | number << 80 | 1)
    assert destinations.refusal(str(by_6to4)) == (f"6to4 {plain}" if plain else "6to4")
    assert (
        destinations.refusal(str(ipaddress.IPv6Address(0x2001_0000 << 96 | number ^ 0xFFFF_FFFF))) is not None
    )


@given(st.ip_addresses(v=6))
def test_what_python_calls_local_is_refused(address: ipaddress.IPv6Address) -> None:
    """No IPv6 address that is not global for the standard library gets through."""
    if address.ipv4_mapped is None and not (address.is_global and not address.is_multicast):
        assert destinations.refusal(str(address)) is not None


@given(st.ip_addresses(v=4))
def test_what_python_calls_local_is_refused_in_ipv4_too(address: ipaddress.IPv4Address) -> None:
    """No IPv4 address that is not global for the standard library gets through."""
    if not address.is_global or address.is_multicast:
        assert destinations.refusal(str(address)) is not None


@pytest.mark.parametrize(
    "host",
    [
        "2130706433",
        "0x7f000001",
        "0177.0.0.1",
        "127.1",
        "0x7f.1",
        "127.0.0.1.",
        "1.2.3.4.5",
        "256.1.1.1",
        "a.0x",
    ],
)
def test_an_address_in_disguise_is_known(host: str) -> None:
    """Decimal, octal, hexadecimal and shortened addresses are no names, however a resolver reads them."""
    assert destinations.is_odd_literal(host)


@pytest.mark.parametrize(
    "host",
    ["127.0.0.1", "::1", "::ffff:127.0.0.1", "example.com", "1e100.net", "0x.example", "x1", "example.com."],
)
def test_plain_hosts_are_no_disguise(host: str) -> None:
    """A name or a plain address is taken for what it is."""
    assert not destinations.is_odd_literal(host)


@pytest.mark.parametrize(
    ("host", "port", "passes"),
    [
        ("crm.internal", 80, True),
        ("crm.internal", 443, True),
        ("crm.internal", 8080, False),
        ("api.internal", 8080, True),
        ("api.internal", 443, False),
        ("::1", 443, True),
        ("::2", 80, True),
        ("::3", 9000, True),
        ("internal", 80, False),
    ],
)
def test_an_operator_allows_hosts_and_ports(host: str, port: int, passes: bool) -> None:
    """A host alone is its two usual ports; with a port it is that one."""
    allowed = ("crm.internal", "api.internal:8080", "::1", "[::2]", "[::3]:9000")
    assert destinations.is_allowed(host, port, allowed) is passes


@pytest.mark.parametrize(
    "url",
    [
        "https://example.com",
        "http://Example.com:8080/a b?c=d",
        "https://[2001:db8::1]:9/x",
        "https://bücher.example/",
    ],
)
def test_an_address_that_can_be_called_is_one(url: str) -> None:
    """Names in any script, digits, ports; what stands in the path is nobody's business."""
    assert destinations.url_fault(url) is None


@pytest.mark.parametrize(
    "url",
    [
        "http://[",
        "http://[::1",
        "http://\N{ACCOUNT OF}.com",
        "http://a b/",
        "http://",
        "https:///path",
        "http://example.com:99999/",
        "http://example.com:x/",
        "http://example.com:0/",
        "http://user:secret@example.com/",
        "ftp://example.com/",
        "example.com",
        "",
        None,
        5,
    ],
)
def test_an_address_that_can_never_be_called_is_told(url: object) -> None:
    """Whatever is written there: nothing raises."""
    assert destinations.url_fault(url)
