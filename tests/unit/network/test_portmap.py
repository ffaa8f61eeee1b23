"""Parsing of port wishes and the plan of who holds which host port."""

from ipaddress import ip_address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scow.errors import InvalidArgument
from scow.model.ports import Port, PortBinding, PublishedPort
from scow.network.portmap import PortTable, Wish, in_order, parse_host_address, parse_port_range, plan


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", (0, 0)),
        ("0", (0, 0)),
        ("8080", (8080, 8080)),
        ("08080", (8080, 8080)),
        ("8000-8010", (8000, 8010)),
        ("5-5", (5, 5)),
    ],
)
def test_port_ranges(text: str, expected: tuple[int, int]) -> None:
    assert parse_port_range(text) == expected


@pytest.mark.parametrize("text", ["foo", "70000", "80-70", "1-2-3", "-1", "1-", "8080 ", "٣", "0-5", "1_000", "+5"])
def test_bad_port_ranges_in_dockers_words(text: str) -> None:
    with pytest.raises(InvalidArgument) as caught:
        parse_port_range(text)
    assert caught.value.message == f'invalid port specification: "{text}"'


@given(st.text(max_size=12))
def test_any_text_is_a_range_or_refused(text: str) -> None:
    try:
        first, last = parse_port_range(text)
    except InvalidArgument:
        return
    assert 0 <= first <= last <= 65535 and text.isascii()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("127.0.0.1", "127.0.0.1"),
        ("[::1]", "::1"),
        ("::", "::"),
        ("::ffff:127.0.0.1", "127.0.0.1"),
        ("FD00::0002", "fd00::2"),
    ],
)
def test_host_addresses(text: str, expected: str) -> None:
    assert parse_host_address(text) == expected


@pytest.mark.parametrize("text", ["localhost", "256.1.1.1", "127.1", "fe80::1%eth0", "[127.0.0.1", "0x7f.1"])
def test_what_is_no_address_never_becomes_every_address(text: str) -> None:
    with pytest.raises(InvalidArgument):
        parse_host_address(text)


@given(st.text(max_size=40))
def test_any_host_address_is_canonical_or_refused(text: str) -> None:
    try:
        address = parse_host_address(text)
    except InvalidArgument:
        return
    assert str(ip_address(address)) == address


def test_the_order_in_which_ports_are_given_out() -> None:
    bindings = [
        PortBinding(Port(81)),
        PortBinding(Port(80), "", "8282"),
        PortBinding(Port(85)),
        PortBinding(Port(80), "127.0.0.1", "8283"),
        PortBinding(Port(85)),
    ]
    wishes = plan(bindings, ipv6=True)
    assert [(wish.port.number, wish.first, wish.addresses) for wish in wishes] == [
        (80, 8283, ("127.0.0.1",)),
        (80, 8282, ("0.0.0.0", "::")),
        (85, 0, ("0.0.0.0", "::")),
        (81, 0, ("0.0.0.0", "::")),
    ]


def test_addresses_of_a_binding_without_one() -> None:
    binding = [PortBinding(Port(80), "", "80")]
    assert plan(binding, ipv6=False)[0].addresses == ("0.0.0.0",)
    assert plan(binding, ipv6=True, default_address="127.0.0.1")[0].addresses == ("127.0.0.1",)
    assert plan([PortBinding(Port(9, "sctp"), "", "9")], ipv6=True)[0].addresses == ("0.0.0.0",)
    with pytest.raises(InvalidArgument, match="sctp is published at IPv4 addresses only"):
        plan([PortBinding(Port(9, "sctp"), "::1", "9")], ipv6=True)


@pytest.mark.parametrize("port", [Port(0), Port(65536), Port(80, "icmp")])
def test_impossible_container_ports(port: Port) -> None:
    with pytest.raises(InvalidArgument, match="invalid container port"):
        plan([PortBinding(port)], ipv6=False)


def test_random_ports_go_round() -> None:
    table = PortTable(100, 103)
    wish = Wish(Port(80), ("0.0.0.0",), 0, 0)
    assert [next(table.candidates(wish)) for _ in range(6)] == [100, 101, 102, 103, 100, 101]
    assert list(table.candidates(wish)) == [102, 103, 100, 101]
    assert next(table.candidates(Wish(Port(53, "udp"), ("0.0.0.0",), 0, 0))) == 100
    assert list(table.candidates(Wish(Port(80), ("0.0.0.0",), 7, 9))) == [7, 8, 9]


def test_holding_and_releasing() -> None:
    table = PortTable()
    wish = Wish(Port(80), ("0.0.0.0", "::"), 8080, 8080)
    published = [PublishedPort(Port(80), "0.0.0.0", 8080)]
    table.hold("a", published)
    assert table.free(wish, 8080) == "0.0.0.0" and table.holder("tcp", "0.0.0.0", 8080) == "a"
    assert table.free(Wish(Port(80, "udp"), ("0.0.0.0",), 8080, 8080), 8080) == ""
    table.release("b", published)
    assert len(table) == 1
    table.release("a", published)
    assert table.free(wish, 8080) == "" and len(table) == 0


def test_listing_as_docker_lists() -> None:
    published = [
        PublishedPort(Port(80), "::", 8282),
        PublishedPort(Port(80), "0.0.0.0", 8282),
        PublishedPort(Port(80), "127.0.0.1", 8283),
    ]
    assert [one.host_ip for one in in_order(published)] == ["127.0.0.1", "0.0.0.0", "::"]
