"""What a request for a network becomes, and what is refused by name."""

import pytest

from scow.errors import InvalidArgument
from scow.model.network import AddressRange, Network, NetworkRequest
from scow.network import request
from scow.network.request import Surroundings

AROUND = Surroundings((), (), (("10.8.0.0/16", 24),), b"seeds", 1500)


def build(**wishes: object) -> Network:
    return request.build(NetworkRequest("n", **wishes), "0" * 64, 1, AROUND)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "name",
    [
        "bridge.inhibit_ipv4",
        "container_iface_prefix",
        "bridge.gateway_mode_ipv4",
        "bridge.default_bridge",
        "enable_ipv6",
    ],
)
def test_an_option_that_has_no_effect_is_refused_by_name(name: str) -> None:
    with pytest.raises(InvalidArgument, match=f"option com.docker.network.{name} is not supported by scow"):
        build(options={f"com.docker.network.{name}": "x"})


def test_options_that_are_known_or_somebody_elses_are_kept() -> None:
    options = {
        request.NAME: "br-x",
        request.ICC: "false",
        request.MASQUERADE: "0",
        request.BINDING: "127.0.0.1",
        request.MTU: "1400",
        "com.example": "y",
    }
    network = build(options=options)
    assert (network.options, network.bridge, network.mtu) == (options, "br-x", 1400)
    assert build(driver="macvlan", options={"parent": "eth0", "macvlan_mode": "vepa"}).driver == "macvlan"


@pytest.mark.parametrize("address", ["::1", "fd00::1", "127.0.0", "x"])
def test_the_address_that_ports_are_bound_to_is_ipv4(address: str) -> None:
    with pytest.raises(InvalidArgument, match="failed to parse .*host_binding_ipv4 value: "):
        build(options={request.BINDING: address})


def test_an_ipv6_subnet_needs_ipv6() -> None:
    ranges = (AddressRange("10.9.0.0/24"), AddressRange("fd00:9::/64"))
    with pytest.raises(InvalidArgument, match="invalid subnet fd00:9::/64: it needs EnableIPv6"):
        build(ranges=ranges)
    network = build(ranges=ranges, ipv6=True)
    assert [one.gateway for one in network.ranges] == ["10.9.0.1", "fd00:9::1"]
