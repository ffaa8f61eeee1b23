"""Network namespaces of containers: one thread makes one, ready to enter, in some milliseconds.

A namespace is held by a file descriptor and by nothing else: when the daemon dies, those that no container entered go
away by themselves, and their veth pairs with them. A running container's namespace lives through its processes.
"""

import contextlib
import hashlib
import os
import socket
import struct
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network
from typing import TypeVar

from scow.errors import Internal
from scow.linux import libc, rtnetlink
from scow.linux.netlink import ROUTE, Netlink

T = TypeVar("T")
_CLONE_NEWNET = 0x40000000
FIRST_INTERFACE = "eth0"
_FORWARDING = "3"


@dataclass(frozen=True, slots=True)
class Place:
    """Where a sandbox is plugged in: the bridge, its addresses and what its containers are told. `owner`: what the names of
    its veths are derived from, "" for the bridge's. gateway6: None on a network without IPv6. routed: containers have a
    default route. parent: "bridge", or the mode of a macvlan whose parent `bridge_index` is.
    """

    bridge: str
    bridge_index: int
    gateway: IPv4Address
    prefix_length: int
    mtu: int
    gateway6: IPv6Address | None = None
    prefix_length6: int = 0
    routed: bool = True
    owner: str = ""
    macvlan: str = ""

    @property
    def subnet(self) -> IPv4Network:
        return IPv4Network((self.gateway, self.prefix_length), strict=False)

    @property
    def subnet6(self) -> IPv6Network | None:
        return IPv6Network((self.gateway6, self.prefix_length6), strict=False) if self.gateway6 else None


@dataclass(frozen=True, slots=True)
class Plug:
    """One interface to be made in a namespace: its addresses and names. `announce`: tell the neighbours the hardware
    address, for they may remember another one for this address.
    """

    endpoint_id: str
    address: IPv4Address
    mac_address: str
    address6: IPv6Address | None = None
    interface: str = FIRST_INTERFACE
    announce: bool = False


@dataclass(frozen=True, slots=True)
class Ready:
    """A namespace with eth0 up, addressed and plugged in. `netns` is an open fd that belongs to the holder of this."""

    netns: int
    endpoint_id: str
    veth: str
    address: IPv4Address
    mac_address: str
    address6: IPv6Address | None = None

    def close(self) -> None:
        os.close(self.netns)


def new_endpoint_id() -> str:
    return os.urandom(32).hex()


def veth_prefix(owner: str) -> str:
    """What the names of all veths of one daemon begin with: several daemons on one machine have several default bridges."""
    return "veth" + hashlib.sha256(owner.encode()).hexdigest()[:3]


def veth_name(owner: str, endpoint_id: str) -> str:
    """The host side's name follows from the endpoint, so that the next daemon knows it."""
    return veth_prefix(owner) + endpoint_id[:8]


def apart(work: Callable[[], T], what: str) -> T:
    """Run `work` in a thread of its own, which enters a namespace and ends there: none ever has to find its way back."""
    outcome: list[T | BaseException] = []

    def run() -> None:
        try:
            outcome.append(work())
        except BaseException as error:  # noqa: BLE001 - it is raised again in the thread that waits
            outcome.append(error)

    thread = threading.Thread(target=run, name="sandbox", daemon=True)
    thread.start()
    thread.join()
    (result,) = outcome
    if isinstance(result, OSError):
        raise Internal(f"cannot {what}: {result}") from result
    if isinstance(result, BaseException):
        raise result
    return result


def make(place: Place, plug: Plug) -> Ready:
    """Make a sandbox. Blocks for some milliseconds; call it in a thread. Nothing is left when it raises."""

    def work() -> Ready:
        with contextlib.ExitStack() as undo, contextlib.closing(Netlink(ROUTE)) as host:
            libc.unshare(_CLONE_NEWNET)
            netns = os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
            undo.callback(os.close, netns)
            _plug_in(host, place, plug, netns, first=True)
            undo.pop_all()
        veth = veth_name(place.owner or place.bridge, plug.endpoint_id)
        return Ready(netns, plug.endpoint_id, veth, plug.address, plug.mac_address, plug.address6)

    return apart(work, f"make a network namespace on {place.bridge}")


def attach(netns: int, place: Place, plug: Plug) -> None:
    """One more interface in a namespace that is there; it has no default route. Blocks. Nothing is left when it raises."""

    def work() -> None:
        with contextlib.closing(Netlink(ROUTE)) as host:
            libc.setns(netns, _CLONE_NEWNET)
            _plug_in(host, place, plug, netns, first=False)

    apart(work, f"make an interface on {place.bridge}")


def _plug_in(host: Netlink, place: Place, plug: Plug, netns: int, *, first: bool) -> None:
    """The calling thread is in the namespace, `host` outside."""
    veth = veth_name(place.owner or place.bridge, plug.endpoint_id)
    if place.macvlan:
        host.send(
            [
                rtnetlink.new_macvlan(
                    place.bridge_index, place.mtu, plug.interface, plug.mac_address, netns, place.macvlan
                )
            ]
        )
    else:
        host.send(
            [
                rtnetlink.new_veth(veth, place.bridge_index, place.mtu, plug.interface, plug.mac_address, netns),
                rtnetlink.hairpin(veth),
                rtnetlink.no_ipv6_address(veth),
                rtnetlink.set_up(veth),
            ]
        )
    inside_ipv6(plug.interface, plug.address6 is not None)
    with contextlib.closing(Netlink(ROUTE)) as inside:
        index = rtnetlink.link(inside, plug.interface).index
        messages = [rtnetlink.add_address(index, str(plug.address), place.prefix_length)]
        if plug.address6 is not None:
            messages.append(rtnetlink.add_address(index, str(plug.address6), place.prefix_length6))
        messages.append(rtnetlink.set_up(plug.interface))
        if first:
            messages.insert(0, rtnetlink.set_up("lo"))
            if place.routed:
                messages.append(rtnetlink.add_default_route(index, str(place.gateway)))
                if place.gateway6 is not None:
                    messages.append(rtnetlink.add_default_route(index, str(place.gateway6)))
        inside.send(messages)
    if not place.macvlan:
        _await_forwarding(veth)
    if plug.announce:
        _announce(plug.interface, plug.address, plug.mac_address)


def inside_ipv6(interface: str, wanted: bool) -> None:
    """An interface of a network without IPv6 has no IPv6 address at all, link-local included (CVE-2024-32473); one with it
    believes no router advertisement (CVE-2020-13401), and waits for no duplicates.
    """
    root = f"/proc/sys/net/ipv6/conf/{interface}"
    if not wanted:
        _write_sysctl(f"{root}/disable_ipv6", "1")
        return
    for name, value in (("disable_ipv6", "0"), ("accept_ra", "0"), ("accept_dad", "0"), ("accept_redirects", "0")):
        _write_sysctl(f"{root}/{name}", value)


def detach(netns: int, interface: str) -> None:
    """Remove an interface from a namespace, and with it its other end. No error when it is gone. Blocks."""

    def work() -> None:
        libc.setns(netns, _CLONE_NEWNET)
        with contextlib.closing(Netlink(ROUTE)) as inside, contextlib.suppress(OSError):
            inside.send([rtnetlink.delete_link(rtnetlink.link(inside, interface).index)])

    apart(work, f"remove the interface {interface}")


def set_default_route(netns: int, interface: str, gateways: tuple[str, ...]) -> None:
    """The namespace's default routes, one for each family, become these; none when there are no gateways. Blocks."""

    def work() -> None:
        libc.setns(netns, _CLONE_NEWNET)
        with contextlib.closing(Netlink(ROUTE)) as inside:
            for family in (socket.AF_INET, socket.AF_INET6):
                for route in rtnetlink.routes(inside, family):
                    if route.prefix_length == 0 and route.gateway:
                        inside.send([rtnetlink.delete_default_route(route.index, route.gateway)])
            if gateways:
                index = rtnetlink.link(inside, interface).index
                inside.send([rtnetlink.add_default_route(index, gateway) for gateway in gateways])

    apart(work, "set the default route")


def _write_sysctl(path: str, value: str) -> None:
    """Not there when the kernel has no IPv6: then there is nothing to switch off."""
    with contextlib.suppress(FileNotFoundError), open(path, "w", encoding="ascii") as file:
        file.write(value)


def _await_forwarding(veth: str) -> None:
    """The bridge takes a port into service a moment after its link is up; until then the first packet would be lost."""
    for _ in range(100):
        try:
            with open(f"/sys/class/net/{veth}/brport/state", encoding="ascii") as file:
                if file.read().strip() == _FORWARDING:
                    return
        except OSError:
            return
        time.sleep(0.0005)


def _announce(interface: str, address: IPv4Address, mac_address: str) -> None:
    """One gratuitous ARP request from the new namespace, which this thread is in."""
    mac = rtnetlink.mac_bytes(mac_address)
    ethernet = b"\xff" * 6 + mac + struct.pack("!H", 0x0806)
    request = struct.pack("!HHBBH", 1, 0x0800, 6, 4, 1) + mac + address.packed + bytes(6) + address.packed
    with socket.socket(socket.AF_PACKET, socket.SOCK_RAW | socket.SOCK_CLOEXEC, 0) as raw:
        raw.bind((interface, 0))
        raw.send(ethernet + request)
