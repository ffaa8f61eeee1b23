"""One network on the host: its bridge or parent interface found or made, and what hands out places on it.

The functions block: run them in a thread.
"""

import contextlib
import errno
import socket
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network

from scow.background import TaskSet
from scow.errors import Conflict, InvalidArgument
from scow.linux import rtnetlink
from scow.linux.netlink import ROUTE, Netlink
from scow.model.network import AddressRange, Network
from scow.network import bridge, ipam
from scow.network.ipam import AddressPool, Range
from scow.network.pool import Reaper, SandboxPool
from scow.network.sandbox import Place

_LINK_LOCAL = ("fe80::1", 64)


@dataclass(slots=True)
class Segment:
    """A network that containers can be on. `members`: ids of containers that are."""

    network: Network
    place: Place
    addresses: AddressPool
    addresses6: AddressPool | None
    reaper: Reaper
    pool: SandboxPool
    members: set[str] = field(default_factory=set)

    def hold(self, address: str, address6: str) -> None:
        """What a live container has from an earlier daemon's time; outside the range nobody else gets it anyway."""
        for text, pool in ((address, self.addresses), (address6, self.addresses6)):
            if text and pool is not None:
                with contextlib.suppress(InvalidArgument, ipam.AddressInUse):
                    pool.hold(ip_address(text))


def open_segment(network: Network, place: Place, tasks: TaskSet, *, low: int = 0) -> Segment:
    """`low`: sandboxes that are kept ready."""
    four, six = network.range4, network.range6
    assert four is not None
    addresses = _pool(four)
    addresses6 = _pool(six) if six is not None else None
    reaper = Reaper(addresses, tasks, addresses6=addresses6)
    pool = SandboxPool(place, addresses, reaper, tasks, low=low, high=0 if place.macvlan else 16, addresses6=addresses6)
    return Segment(network, place, addresses, addresses6, reaper, pool)


def _pool(one: AddressRange) -> AddressPool:
    reserved = [ip_address(text) for text in (one.gateway, *one.auxiliary.values()) if text]
    return AddressPool(ip_network(one.subnet), reserved, ip_network(one.ip_range) if one.ip_range else None)


def ensure(network: Network, owner: str, record: bridge.Record) -> Place:
    """The network's interface on the host as it must be. Idempotent. Conflict when its name is something else. `record` is
    called before an interface is made: one that was there before is not ours to remove.
    """
    if network.driver == "macvlan":
        return _ensure_parent(network, owner, record)
    return _ensure_bridge(network, owner, record)


def _place(network: Network, owner: str, name: str, index: int, *, macvlan: str = "") -> Place:
    four, six = network.range4, network.range6
    assert four is not None
    return Place(
        bridge=name,
        bridge_index=index,
        gateway=IPv4Address(four.gateway),
        prefix_length=ip_network(four.subnet).prefixlen,
        mtu=network.mtu,
        gateway6=IPv6Address(six.gateway) if six else None,
        prefix_length6=ip_network(six.subnet).prefixlen if six else 0,
        routed=not network.internal,
        owner=owner,
        macvlan=macvlan,
    )


def _ensure_bridge(network: Network, owner: str, record: bridge.Record) -> Place:
    with contextlib.closing(Netlink(ROUTE)) as netlink:
        try:
            link = rtnetlink.link(netlink, network.bridge)
        except OSError as error:
            if error.errno != errno.ENODEV:
                raise
            mac = ipam.mac_for(IPv4Address(network.gateway))
            record("link", network.bridge, "", "bridge")
            netlink.send([rtnetlink.new_bridge(network.bridge, network.mtu, mac)])
            link = rtnetlink.link(netlink, network.bridge)
        if link.kind != "bridge":
            raise Conflict(f"interface {network.bridge} exists and is not a bridge")
        _set_ipv6(network.bridge, network.range6 is not None)
        for one in network.ranges:
            netlink.send([rtnetlink.add_address(link.index, one.gateway, ip_network(one.subnet).prefixlen)])
        if network.range6 is not None:
            netlink.send([rtnetlink.add_address(link.index, *_LINK_LOCAL)])
        if link.mtu != network.mtu:
            netlink.send([rtnetlink.set_mtu(link.index, network.mtu)])
        if not link.up:
            netlink.send([rtnetlink.set_up(network.bridge)])
    return _place(network, owner, network.bridge, link.index)


def _set_ipv6(name: str, wanted: bool) -> None:
    root = f"net/ipv6/conf/{name}"
    bridge.set_sysctl(f"{root}/accept_ra", "0")  # no router advertisement is believed (CVE-2020-13401)
    bridge.set_sysctl(f"{root}/accept_redirects", "0")
    if wanted:
        bridge.set_sysctl(f"{root}/accept_dad", "0")
    bridge.set_sysctl(f"{root}/disable_ipv6", "0" if wanted else "1")


def _ensure_parent(network: Network, owner: str, record: bridge.Record) -> Place:
    mode = network.options.get("macvlan_mode") or "bridge"
    name = network.options.get("parent") or dummy_name(network)
    with contextlib.closing(Netlink(ROUTE)) as netlink:
        try:
            link = rtnetlink.link(netlink, name)
        except OSError as error:
            if error.errno != errno.ENODEV:
                raise
            if network.options.get("parent"):
                raise InvalidArgument(f"invalid subinterface vlan name {name}, example formatting is eth0.10") from None
            record("link", name, "", "dummy")
            netlink.send([rtnetlink.new_dummy(name, network.mtu), rtnetlink.set_up(name)])
            link = rtnetlink.link(netlink, name)
    return _place(network, owner, name, link.index, macvlan=mode)


def dummy_name(network: Network) -> str:
    return f"dm-{network.id[:12]}"


def interface(network: Network) -> str:
    """The name of the interface on the host that may be of our making, "" for none."""
    if network.driver == "macvlan":
        return "" if network.options.get("parent") else dummy_name(network)
    return network.bridge


def used_ranges() -> list[Range]:
    """What the host's main table leads to, default routes aside."""
    found: list[Range] = []
    with contextlib.closing(Netlink(ROUTE)) as netlink:
        for family in (socket.AF_INET, socket.AF_INET6):
            for route in rtnetlink.routes(netlink, family):
                if route.prefix_length and not route.destination.startswith("fe80:"):
                    found.append(ip_network(f"{route.destination}/{route.prefix_length}", strict=False))
    return found


def way_mtu() -> int:
    """The MTU on the way to the world."""
    with contextlib.closing(Netlink(ROUTE)) as netlink:
        return bridge.route_mtu(rtnetlink.routes(netlink), {link.index: link.mtu for link in rtnetlink.links(netlink)})
