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
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network

from scow.errors import Internal
from scow.linux import libc, rtnetlink
from scow.linux.netlink import ROUTE, Netlink

_CLONE_NEWNET = 0x40000000
_INSIDE = "eth0"
_FORWARDING = "3"


@dataclass(frozen=True, slots=True)
class Place:
    """Where a sandbox is plugged in: the bridge, its address and what its containers are told."""

    bridge: str
    bridge_index: int
    gateway: IPv4Address
    prefix_length: int
    mtu: int

    @property
    def subnet(self) -> IPv4Network:
        return IPv4Network((self.gateway, self.prefix_length), strict=False)


@dataclass(frozen=True, slots=True)
class Ready:
    """A namespace with eth0 up, addressed and plugged in. `netns` is an open fd that belongs to the holder of this."""

    netns: int
    endpoint_id: str
    veth: str
    address: IPv4Address
    mac_address: str

    def close(self) -> None:
        os.close(self.netns)


def new_endpoint_id() -> str:
    return os.urandom(32).hex()


def veth_prefix(bridge: str) -> str:
    """What the names of all veths of one bridge begin with; several daemons on one machine have several bridges."""
    return "veth" + hashlib.sha256(bridge.encode()).hexdigest()[:3]


def veth_name(bridge: str, endpoint_id: str) -> str:
    """The host side's name follows from the endpoint, so that the next daemon knows it."""
    return veth_prefix(bridge) + endpoint_id[:8]


def make(place: Place, address: IPv4Address, mac_address: str, endpoint_id: str, *, announce: bool = False) -> Ready:
    """Make a sandbox. Blocks for some milliseconds; call it in a thread. Nothing is left when it raises.

    `announce`: tell the neighbours the hardware address, for they may remember another one for this address.
    """
    outcome: list[Ready | BaseException] = []

    def work() -> None:
        try:
            outcome.append(_make_here(place, address, mac_address, endpoint_id, announce))
        except BaseException as error:  # noqa: BLE001 - it is raised again in the thread that waits
            outcome.append(error)

    # A thread of its own enters the new namespace and ends there: no thread ever has to find its way back.
    thread = threading.Thread(target=work, name="sandbox", daemon=True)
    thread.start()
    thread.join()
    (result,) = outcome
    if isinstance(result, OSError):
        raise Internal(f"cannot make a network namespace on bridge {place.bridge}: {result}") from result
    if isinstance(result, BaseException):
        raise result
    return result


def _make_here(place: Place, address: IPv4Address, mac_address: str, endpoint_id: str, announce: bool) -> Ready:
    veth = veth_name(place.bridge, endpoint_id)
    with contextlib.ExitStack() as undo, contextlib.closing(Netlink(ROUTE)) as host:
        libc.unshare(_CLONE_NEWNET)
        netns = os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
        undo.callback(os.close, netns)
        host.send(
            [
                rtnetlink.new_veth(veth, place.bridge_index, place.mtu, _INSIDE, mac_address, netns),
                rtnetlink.hairpin(veth),
                rtnetlink.no_ipv6_address(veth),
                rtnetlink.set_up(veth),
            ]
        )
        # The network is IPv4 only, so the interface has no IPv6 address at all, link-local included (CVE-2024-32473).
        _write_sysctl(f"/proc/sys/net/ipv6/conf/{_INSIDE}/disable_ipv6", "1")
        with contextlib.closing(Netlink(ROUTE)) as inside:
            index = rtnetlink.link(inside, _INSIDE).index
            inside.send(
                [
                    rtnetlink.set_up("lo"),
                    rtnetlink.add_address(index, str(address), place.prefix_length),
                    rtnetlink.set_up(_INSIDE),
                    rtnetlink.add_default_route(index, str(place.gateway)),
                ]
            )
        _await_forwarding(veth)
        if announce:
            _announce(address, mac_address)
        undo.pop_all()
    return Ready(netns, endpoint_id, veth, address, mac_address)


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


def _announce(address: IPv4Address, mac_address: str) -> None:
    """One gratuitous ARP request from the new namespace, which this thread is in."""
    mac = rtnetlink.mac_bytes(mac_address)
    ethernet = b"\xff" * 6 + mac + struct.pack("!H", 0x0806)
    request = struct.pack("!HHBBH", 1, 0x0800, 6, 4, 1) + mac + address.packed + bytes(6) + address.packed
    with socket.socket(socket.AF_PACKET, socket.SOCK_RAW | socket.SOCK_CLOEXEC, 0) as raw:
        raw.bind((_INSIDE, 0))
        raw.send(ethernet + request)
