"""The bridge on the host: found or made, addressed, up; stale ports removed. Everything here blocks: run it in a thread."""

import contextlib
import errno
import os
import subprocess
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Interface, IPv4Network

from scow.errors import Conflict, InvalidArgument, Unavailable
from scow.linux import rtnetlink
from scow.linux.netlink import ROUTE, Netlink
from scow.network.ipam import choose_range, mac_for, parse_bip
from scow.network.sandbox import Place, veth_prefix

_DEFAULT_MTU = 1500
_GRACE = 0.3

Record = Callable[[str, str, str, str], None]
"""Called before the host is changed: what (sysctl, link), object, before, after."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """What flags and records say. `bip` "": the bridge's own address, else `recorded`, else a free range. mtu 0: the
    route's. `live`: addresses of running containers.
    """

    name: str
    bip: str = ""
    mtu: int = 0
    recorded: str = ""
    live: tuple[IPv4Address, ...] = ()


def check_name(name: str) -> str:
    """An interface name the kernel takes and a rule set can hold; InvalidArgument otherwise."""
    allowed = set("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.")
    if not 1 <= len(name) <= 15 or not set(name) <= allowed or name in (".", ".."):
        raise InvalidArgument(f"invalid bridge name {name!r}: 1 to 15 letters, digits, '-', '_' or '.'")
    return name


def ensure(wanted: Wanted, record: Record) -> Place:
    """The bridge as it must be. Idempotent: what is right already is not touched, running containers notice nothing."""
    with contextlib.closing(Netlink(ROUTE)) as netlink:
        found = {link.name: link for link in rtnetlink.links(netlink)}
        routes = rtnetlink.routes(netlink)
        mtu = wanted.mtu or route_mtu(routes, {link.index: link.mtu for link in found.values()})
        bridge = found.get(wanted.name)
        if bridge is not None and bridge.kind != "bridge":
            raise Conflict(f"interface {wanted.name} exists and is not a bridge")
        present = rtnetlink.addresses(netlink, bridge.index) if bridge is not None else []
        own = bridge.index if bridge is not None else -1
        interface = _choose(wanted, present, [_network(route) for route in routes if route.index != own])
        if bridge is None:
            record("link", wanted.name, "", "bridge")
            netlink.send([rtnetlink.new_bridge(wanted.name, mtu, mac_for(interface.ip))])
            bridge = rtnetlink.link(netlink, wanted.name)
        elif bridge.mtu != mtu:
            netlink.send([rtnetlink.set_mtu(bridge.index, mtu)])
        _no_ipv6(wanted.name)
        for address, prefix_length in present:
            if IPv4Address(address) != interface.ip or prefix_length != interface.network.prefixlen:
                netlink.send([rtnetlink.delete_address(bridge.index, address, prefix_length)])
        netlink.send(
            [
                rtnetlink.add_address(bridge.index, str(interface.ip), interface.network.prefixlen),
                rtnetlink.set_up(wanted.name),
            ]
        )
    return Place(wanted.name, bridge.index, interface.ip, interface.network.prefixlen, mtu)


def _choose(wanted: Wanted, present: Sequence[tuple[str, int]], used: Sequence[IPv4Network]) -> IPv4Interface:
    """Which address the bridge has. Live containers keep theirs: a range is not changed under them."""
    here = [IPv4Interface(f"{address}/{length}") for address, length in present]
    recorded = [IPv4Interface(wanted.recorded)] if wanted.recorded else []
    for candidate in here + recorded:
        if wanted.live and all(address in candidate.network for address in wanted.live):
            return candidate
    if wanted.bip:
        interface = parse_bip(wanted.bip)
        for network in used:
            if network.overlaps(interface.network):
                raise Conflict(f"the bridge's range {interface.network} overlaps the host's route to {network}")
        return interface
    if here:
        return here[0]
    for candidate in recorded:
        if not any(network.overlaps(candidate.network) for network in used):
            return candidate
    return choose_range(used)


def _network(route: rtnetlink.Route) -> IPv4Network:
    if route.prefix_length == 0:  # the default route overlaps everything and says nothing
        return IPv4Network("0.0.0.0/32")
    return IPv4Network(f"{route.destination}/{route.prefix_length}", strict=False)


def route_mtu(routes: Sequence[rtnetlink.Route], mtus: dict[int, int]) -> int:
    """The MTU on the way to the world: of the best default route or its interface; 1500 without one."""
    defaults = [route for route in routes if route.prefix_length == 0]
    if not defaults:
        return _DEFAULT_MTU
    best = min(defaults, key=lambda route: route.priority)
    return best.mtu or mtus.get(best.index, _DEFAULT_MTU)


def _no_ipv6(bridge: str) -> None:
    """No IPv6 on an IPv4 network (CVE-2024-32473), no router advertisement believed (CVE-2020-13401)."""
    set_sysctl(f"net/ipv6/conf/{bridge}/accept_ra", "0")
    set_sysctl(f"net/ipv6/conf/{bridge}/disable_ipv6", "1")


def open_ways(bridges: Iterable[str], ipv6: bool, record: Record) -> None:
    """Published ports reachable from 127.0.0.1, packets forwarded. Only behind a rule set: it drops what must not use
    these ways (CVE-2020-8558).
    """
    for name in bridges:
        set_sysctl(f"net/ipv4/conf/{name}/route_localnet", "1")
    if not forwards():
        record("sysctl", "net.ipv4.ip_forward", "0", "1")
        set_sysctl("net/ipv4/ip_forward", "1")
    if ipv6:
        _forward_ipv6(record)


def filter_neighbours(ipv6: bool, record: Record) -> None:
    """What goes from one port of a bridge to another is shown to the rules. Unavailable when the kernel cannot; then nothing
    would keep the containers of a network apart. It holds for all bridges of the machine, as with Docker.
    """
    if read_sysctl("net/bridge/bridge-nf-call-iptables") is None:
        record("module", "br_netfilter", "", "loaded")  # which switches them on for all bridges
        with contextlib.suppress(OSError, subprocess.TimeoutExpired):
            subprocess.run(["modprobe", "br_netfilter"], capture_output=True, timeout=10, check=False)
    for name in ("bridge-nf-call-iptables", *(("bridge-nf-call-ip6tables",) if ipv6 else ())):
        before = read_sysctl(f"net/bridge/{name}")
        if before is None:
            raise Unavailable(
                "containers of a network cannot be kept apart (enable_icc=false): the kernel module br_netfilter is missing"
            )
        if before == "0":
            record("sysctl", f"net.bridge.{name}", before, "1")
            set_sysctl(f"net/bridge/{name}", "1")


def _forward_ipv6(record: Record) -> None:
    """A host that forwards IPv6 takes no router's advertisement any more, unless told so: its own way out must stay."""
    name = "net/ipv6/conf/all/forwarding"
    if read_sysctl(name) != "0":
        return
    for interface in os.listdir("/proc/sys/net/ipv6/conf"):
        accepts = f"net/ipv6/conf/{interface}/accept_ra"
        if (
            interface not in ("all", "default", "lo")
            and read_sysctl(accepts) == "1"
            and _has_port_of_its_own(interface)
        ):
            record("sysctl", accepts.replace("/", "."), "1", "2")
            set_sysctl(accepts, "2")
    record("sysctl", name.replace("/", "."), "0", "1")
    set_sysctl(name, "1")


def _has_port_of_its_own(interface: str) -> bool:
    """A physical interface, not one of the kernel's making."""
    return os.path.exists(f"/sys/class/net/{interface}/device")


def forwards() -> bool:
    """Whether this machine routes packets between its interfaces."""
    return read_sysctl("net/ipv4/ip_forward") != "0"


def read_sysctl(name: str) -> str | None:
    try:
        with open(f"/proc/sys/{name}", encoding="ascii") as file:
            return file.read().strip()
    except OSError:
        return None


def set_sysctl(name: str, value: str) -> None:
    """Written only when it differs; a sysctl the kernel does not have is left out, one it refuses is an error."""
    if read_sysctl(name) in (None, value):
        return
    try:
        with open(f"/proc/sys/{name}", "w", encoding="ascii") as file:
            file.write(value)
    except OSError as error:
        raise Unavailable(f"cannot set the sysctl {name.replace('/', '.')} to {value}: {error}") from error


def is_bridge(name: str) -> bool:
    return os.path.isdir(f"/sys/class/net/{name}/bridge")


def reconcile_ports(owner: str, keep: Mapping[str, int | None]) -> list[str]:
    """Plug the veths of `keep` into the bridge of the given index (None: into no other one) where they are not; delete every
    other veth of ours and return those names.
    """
    prefix = veth_prefix(owner)
    with contextlib.closing(Netlink(ROUTE)) as netlink:
        ours = [link for link in rtnetlink.links(netlink) if link.name.startswith(prefix) and link.kind == "veth"]
        for link in ours:
            wanted = keep.get(link.name)
            if wanted is not None and wanted != link.master:
                netlink.send([rtnetlink.set_master(link.index, wanted), rtnetlink.set_up(link.name)])
    stale = [link.name for link in ours if link.name not in keep]
    deadline = time.monotonic() + _GRACE
    while any(exists(name) for name in stale) and time.monotonic() < deadline:
        time.sleep(0.01)  # the namespaces of a daemon that was killed are just being taken down by the kernel
    for name in stale:
        delete(name)
    return stale


def exists(name: str) -> bool:
    return os.path.lexists(f"/sys/class/net/{name}")


def delete(name: str) -> None:
    """Delete a link; no error when it is gone already. The kernel takes about 20 ms."""
    with contextlib.closing(Netlink(ROUTE)) as netlink:
        try:
            netlink.send([rtnetlink.delete_link(rtnetlink.link(netlink, name).index)], tolerate=(errno.ENODEV,))
        except OSError as error:
            if error.errno != errno.ENODEV:
                raise
