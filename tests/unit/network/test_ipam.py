"""The address plan against a model: a set of what is held."""

from ipaddress import IPv4Address, IPv4Network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scow.errors import Forbidden, InvalidArgument, ResourceExhausted
from scow.network.ipam import CANDIDATES, AddressPool, choose_range, mac_for, parse_bip

SMALL = IPv4Network("10.9.8.0/28")
GATEWAY = IPv4Address("10.9.8.1")


@given(st.lists(st.tuples(st.sampled_from(["take", "hold", "release"]), st.integers(0, 15)), max_size=60))
def test_the_lowest_free_address_is_given_and_none_twice(steps: list[tuple[str, int]]) -> None:
    pool, model = AddressPool(SMALL, [GATEWAY]), set[IPv4Address]()
    usable = [IPv4Address(f"10.9.8.{last}") for last in range(2, 15)]
    for verb, last in steps:
        address = IPv4Address(f"10.9.8.{last}")
        if verb == "take":
            free = [one for one in usable if one not in model]
            if free:
                assert pool.take() == free[0]
                model.add(free[0])
            else:
                with pytest.raises(ResourceExhausted):
                    pool.take()
        elif verb == "hold":
            if address in usable and address not in model:
                pool.hold(address)
                model.add(address)
            else:
                with pytest.raises(InvalidArgument if last in (0, 15) else Forbidden):
                    pool.hold(address)
        else:
            pool.release(address)
            model.discard(address)
        assert set(pool.held) == model and len(pool) == len(model)


def test_an_address_of_another_network_is_refused() -> None:
    with pytest.raises(InvalidArgument, match=r"192\.0\.2\.1 is not a host address of 10\.9\.8\.0/28"):
        AddressPool(SMALL).hold(IPv4Address("192.0.2.1"))


def test_the_range_falls_on_when_the_host_uses_it() -> None:
    assert str(choose_range([])) == "172.29.0.1/16"
    used = [IPv4Network("172.29.5.0/24"), IPv4Network("172.16.0.0/12")]
    chosen = choose_range(used)
    assert not any(chosen.network.overlaps(network) for network in used)
    with pytest.raises(ResourceExhausted, match="--bip"):
        choose_range([IPv4Network("0.0.0.0/0")])


def test_candidates_do_not_overlap_each_other_and_are_private() -> None:
    networks = [parse_bip(text).network for text in CANDIDATES]
    assert all(network.is_private for network in networks)
    assert not any(a.overlaps(b) for a in networks for b in networks if a is not b)


@pytest.mark.parametrize(
    "text", ["", "172.29.0.1", "172.29.0.0/16", "172.29.255.255/16", "10.0.0.1/31", "::1/64", "x/16"]
)
def test_bad_bridge_addresses(text: str) -> None:
    with pytest.raises(InvalidArgument, match="invalid bridge address"):
        parse_bip(text)


@given(st.text(max_size=24))
def test_any_bridge_address_is_taken_or_refused(text: str) -> None:
    try:
        interface = parse_bip(text)
    except InvalidArgument:
        return
    assert interface.ip in interface.network


def test_the_hardware_address_follows_from_the_address() -> None:
    assert mac_for(IPv4Address("172.29.0.2")) == "02:42:ac:1d:00:02"
